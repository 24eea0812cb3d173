"""The handbook, as it is read in a terminal, out of the package and out of mirror.pyz."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mirror
from mirror.cli.commands.anywhere.help import DOCUMENTS, TOPICS, page, title
from mirror.cli.main import COMMANDS, main, parser
from mirror.cli.manpage import man_page
from mirror.cli.parsing import leaves
from mirror.cli.prose import rendered
from mirror.connected.packing.installer import write_installer

PAGES = Path(mirror.__file__).parent / "help"


def test_every_page_is_a_topic_and_every_topic_a_page_with_a_title() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(TOPICS)
    assert all(title(topic) for topic in TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_fits_a_terminal(topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 60 columns too, but for what is to be copied; addresses are as long as they are."""
    for wide in (60, 80):
        monkeypatch.setenv("COLUMNS", str(wide))
        for line in rendered(page(topic), io.StringIO()).splitlines():
            limit = 80 if line.startswith("    ") else wide
            assert len(line) < limit or "https://" in line, line


def test_without_a_topic_the_topics_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^    {topic} +{re.escape(title(topic))}$", out, re.MULTILINE) for topic in TOPICS)


def test_a_command_is_a_topic_too(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["install"], ["trust", "rotate"]):
        assert main(["help", *words]) == 0
        assert capsys.readouterr().out.startswith(f"usage: mirror {' '.join(words)}")
    assert main(["help", "trust"]) == 0
    assert "`mirror trust --help` shows the options of the command." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["troubleshoting"], "hint: Did you mean troubleshooting? `mirror help` lists the topics."),
        (["instal"], "hint: Did you mean install? `mirror help` lists the topics."),
        (["trust", "nonsense"], "hint: `mirror trust --help` lists what it takes."),
    ],
)
def test_an_unknown_topic_is_refused_with_what_comes_near(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["help", *words])
    assert ended.value.code == 2
    assert hint in capsys.readouterr().err.splitlines()


def test_colours_mark_headings_and_are_left_out_where_nobody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    assert rendered("# A\n\nsay `b` **c**", stream) == "A\n=\n\nsay `b` c"
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert rendered("# A\n\nsay `b`", stream) == "\x1b[1mA\x1b[0m\n\nsay \x1b[1mb\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in rendered("# A\n\nsay `b`", stream)


def test_mirror_pyz_has_the_same_pages(tmp_path: Path) -> None:
    write_installer(tmp_path / "mirror.pyz")
    for topic in TOPICS:
        command = [sys.executable, "-I", str(tmp_path / "mirror.pyz"), "help", topic]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert shown.startswith(f"{title(topic)}\n")


def test_every_command_that_a_page_names_is_there() -> None:
    known = dict(leaves(parser(), ""))
    for topic in TOPICS:
        for words in re.findall(r"(?:`|^    )(?:python3 -I )?mirror(?:\.pyz)? ([a-z]+)", page(topic), re.MULTILINE):
            assert words in known, f"{topic}: mirror {words}"


def test_every_option_that_a_page_names_is_one_of_a_command() -> None:
    known = {word for _, one in leaves(parser(), "") for action in one._actions for word in action.option_strings}
    foreign = {"--version", "--no-index", "--find-links", "--require-hashes", "--generate-hashes", "--no-deps"}
    foreign |= {"--array", "--nthreads", "--resources", "--start-server"}  # of sbatch, dask, sccache
    foreign |= {"--host", "--port", "--gpu-memory-utilization", "--noproxy", "--user"}  # of vLLM, curl, systemctl
    foreign |= {"--patch-from", "--torch"}  # of zstd, scripts/cuda-rpms
    foreign |= {"--outdir", "--repofrompath", "--import"}  # of clush, dnf, rpm
    for topic in sorted({*TOPICS} - {"foreign-locks", *DOCUMENTS}):
        for word in re.findall(r"(?<![\w-])--[a-z][\w-]+", page(topic)):
            assert word in known | foreign, f"{topic}: {word}"


def test_the_page_of_foreign_locks_names_options_of_mirror_and_of_the_tool_in_its_line() -> None:
    known = {word for _, one in leaves(parser(), "") for action in one._actions for word in action.option_strings}
    prose = re.sub(r"```text\n.*?```", "", page("foreign-locks"), flags=re.DOTALL)
    of_locks = {"--extra-index-url", "--find-links", "--require-hashes", "--pre", "--prefer-binary", "--only-binary"}
    assert {*re.findall(r"(?<![\w-])--[a-z][\w-]+", prose)} <= known | of_locks


def test_contributing_names_every_package_of_every_room() -> None:
    block = re.findall(r"```text\n(.*?)```", page("contributing"), re.DOTALL)[0]
    rooms = dict(re.findall(r"^mirror/(\w+)/(.*?)(?=^mirror/|\Z)", block, re.MULTILINE | re.DOTALL))
    for room in ("core", "connected", "review", "closed"):
        packages = {path.parent.name for path in (PAGES.parent / room).glob("*/__init__.py")}
        named = re.findall(r"^    ((?:\w+(?:, )?)+)", rooms[room], re.MULTILINE)
        assert {name for names in named for name in names.split(", ")} == packages


def test_the_man_page_holds_every_command_and_man_reads_it_without_complaint(tmp_path: Path) -> None:
    text = man_page(parser())
    for name in COMMANDS:
        assert f".SS mirror {name}\n" in text
    if shutil.which("man") and shutil.which("groff"):
        (tmp_path / "mirror.1").write_text(text)
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", tmp_path / "mirror.1"], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "mirror lock" in done.stdout

"""``mirror completion``: what each shell offers, asked of the shells themselves."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mirror.cli.commands.anywhere.completion import SCRIPTS, script
from mirror.cli.grammar import places
from mirror.cli.main import COMMANDS, parser
from mirror.connected.packing.installer import write_installer

CASES = [
    ("ver", {"verify"}),
    ("trust ro", {"rotate"}),
    ("verify --pol", {"--policy"}),
    ("lock --resolver ", {"uv", "pip-tools"}),
    ("trust add --role ", {"root", "builder", "approver"}),
    ("-q trust --js", set()),
]


@pytest.fixture(params=sorted(SCRIPTS))
def shell(request: pytest.FixtureRequest) -> str:
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param} on this machine")
    return str(request.param)


@pytest.fixture
def file(shell: str, tmp_path: Path) -> Path:
    path = tmp_path / "script"
    path.write_text(script(shell, list(places(parser()))))
    return path


def offered(shell: str, file: Path, line: str, directory: Path) -> set[str]:
    """What the shell offers at the end of a line, in a directory."""
    if shell == "fish":
        asked = f"source {file}; complete -C {line!r}"
        done = subprocess.run([shell, "-N", "-c", asked], capture_output=True, text=True, cwd=directory, check=True)
        assert done.stderr == ""
        return {one.partition("\t")[0] for one in done.stdout.splitlines()}
    start = {
        "bash": f"source {file}; bind 'set show-all-if-ambiguous on'; bind 'set enable-bracketed-paste off'; PS1='> '",
        "zsh": f"autoload -U compinit; compinit -u -D; source {file}; LISTMAX=0; PS1='> '; unsetopt zle_bracketed_paste",
    }[shell]
    words = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[shell]
    return typed(words, start, line, directory)


def typed(command: list[str], start: str, line: str, directory: Path) -> set[str]:
    """Type a line and TAB into an interactive shell; the words that it has on its screen then, beyond what was typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(directory)
        os.environ.update(TERM="dumb", COLUMNS="200", INPUTRC="/dev/null", HISTFILE="/dev/null")
        os.execvp(command[0], command)
    try:
        os.write(terminal, f"{start}; echo rea''dy\n".encode())
        seen_until(terminal, "ready\r\n")
        os.write(terminal, f"{line}\t\t".encode())
        text = seen_until(terminal, None)
    finally:
        os.kill(pid, 9)
        os.close(terminal)
        os.waitpid(pid, 0)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x07|\x08", " ", text)
    return set(text.split()) - set(line.split())


def seen_until(terminal: int, mark: str | None) -> str:
    """What a terminal shows until a mark, or until it is quiet."""
    text, end = "", time.monotonic() + 20
    while time.monotonic() < end and not (mark and mark in text):
        ready, _, _ = select.select([terminal], [], [], 20 if mark else 1.5)
        if not ready:
            break
        text += os.read(terminal, 65536).decode(errors="replace")
    return text


@pytest.mark.parametrize(("line", "wanted"), CASES)
@pytest.mark.parametrize("program", ["mirror", "mirror.pyz"])
def test_commands_actions_options_and_choices(
    shell: str, file: Path, tmp_path: Path, program: str, line: str, wanted: set[str]
) -> None:
    found = offered(shell, file, f"{program} {line}", tmp_path)
    assert wanted <= found or wanted == {one for one in found if one in wanted}
    assert not {one for one in found if one in COMMANDS} - wanted


def test_files_are_offered_where_a_file_is_meant_and_directories_where_one_is(
    shell: str, file: Path, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    (place / "xdir").mkdir(parents=True)
    (place / "xfile.tar").touch()
    assert {"xdir/", "xfile.tar"} <= offered(shell, file, "mirror verify x", place)
    assert any("xdir" in one for one in offered(shell, file, "mirror status --prefix x", place))
    assert not any("xfile" in one for one in offered(shell, file, "mirror status --prefix x", place))


def test_the_script_of_mirror_pyz_offers_what_it_holds(shell: str, tmp_path: Path) -> None:
    write_installer(tmp_path / "mirror.pyz")
    command = [sys.executable, "-I", str(tmp_path / "mirror.pyz"), "completion", shell]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "rollback" in text and "--resolver" not in text and "resolver" not in text


def test_the_shell_reads_it_without_complaint(shell: str, file: Path) -> None:
    done = subprocess.run([shell, "-n", file], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

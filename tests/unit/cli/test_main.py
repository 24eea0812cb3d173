"""The door: exit codes, words, and what each copy of mirror holds. Run as a user runs it: in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pytest

from mirror.cli.grammar import places
from mirror.cli.main import COMMANDS, main, overview, parser
from mirror.connected.packing.installer import installer_bytes, write_installer
from mirror.core.commands import COMMANDS as TABLE
from tests.unit.test_house import HOUSE

TOMLI = HOUSE / "connected" / "tomli.txt"


def mirror(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mirror.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pyz") / "mirror.pyz"
    write_installer(path)
    return path


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert command in capsys.readouterr().out


def test_every_option_has_help() -> None:
    queue = [parser()]
    for one in queue:
        for action in one._actions:
            if isinstance(action.choices, dict):
                queue.extend(action.choices.values())
            else:
                assert action.help, f"{one.prog}: {action.dest} has no help"


def test_a_named_error_gives_sentence_hint_ref_and_its_exit_code(tmp_path: Path) -> None:
    done = mirror("verify", tmp_path / "none.tar")
    assert done.returncode == 11
    assert done.stderr.splitlines() == [
        f"error: cannot read {tmp_path / 'none.tar'}: No such file or directory",
        "hint: Check the path and its permissions.",
        "ref: unreadable",
    ]
    assert done.stdout == ""


def test_json_tells_machines_the_same(tmp_path: Path) -> None:
    done = mirror("verify", tmp_path / "none.tar", "--json")
    error = json.loads(done.stdout)["error"]
    assert (error["ref"], error["exit_code"]) == ("unreadable", 11)


def test_debug_adds_the_traceback(tmp_path: Path) -> None:
    assert "Traceback" in mirror("--debug", "verify", tmp_path / "none.tar").stderr
    assert "Traceback" not in mirror("verify", tmp_path / "none.tar").stderr


@pytest.mark.parametrize("words", [["-q"], ["nonsense"], ["verify"], ["bundle"], ["verify", "x", "--polcy", "y"]])
def test_a_usage_error_is_2(words: list[str]) -> None:
    done = mirror(*words)
    assert done.returncode == 2
    assert "usage: mirror" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence", "hint"),
    [
        ("bundel", "there is no command 'bundel'", "Did you mean bundle? `mirror help` lists the commands."),
        ("qqqq", "there is no command 'qqqq'", "`mirror help` lists the commands."),
        ("bundle h100 --wheelhose x", "unrecognized arguments: --wheelhose x", "Did you mean --wheelhouse? "),
        ("lock h100 --idnex-url=x", "unrecognized arguments: --idnex-url=x", "Did you mean --index-url? "),
        ("trust rotat", "argument ACTION: invalid choice: 'rotat'", "Did you mean rotate? `mirror trust --help`"),
        (
            "lock h100 --resolver piptools",
            "argument --resolver: invalid choice: 'piptools'",
            "Did you mean pip-tools? ",
        ),
    ],
)
def test_a_near_miss_is_answered_with_a_question(words: str, sentence: str, hint: str) -> None:
    done = mirror(*words.split())
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {sentence}")
    assert f"\nhint: {hint}" in done.stderr


def test_without_a_trusted_root_nothing_is_verified(tmp_path: Path, pyz: Path) -> None:
    bundle = tmp_path / "b.tar"
    bundle.write_bytes(b"not a bundle" * 100)
    assert mirror("verify", bundle).returncode == 13


@pytest.mark.group(52)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_with_its_own_code_and_no_traceback(tmp_path: Path, number: int, code: int) -> None:
    """While it works: `mirror install` of a bundle behind a FIFO would not read, so it is stopped at a slow import."""
    script = (
        "import sys, time\nfrom mirror.cli import main as door\nimport mirror.cli.commands.review.verify as verify\n"
        "def wait(args):\n    print('ready', flush=True)\n    time.sleep(30)\n    return 0\n"
        "verify.run = wait\nsys.exit(door.main(['verify', 'x']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(number)
    _, words = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in words


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("verify", "It only reads: nothing was changed, and the same command begins anew."),
        (
            "install",
            "Nothing is half installed: 'mirror status' shows what is current, which is what was before or all of the new one. "
            "The same command begins anew.",
        ),
        (
            "gc",
            "What was removed is gone, what is left is whole or goes with the next 'mirror gc': the same command goes on.",
        ),
    ],
)
def test_what_is_said_of_an_interrupted_command_is_true_of_it(command: str, hint: str) -> None:
    (module,) = (one.module for one in TABLE if one.name == command)
    script = (
        f"import sys\nfrom mirror.cli import main as door\nimport {module} as command\n"
        "def stop(args):\n    raise KeyboardInterrupt\n"
        f"command.run = stop\nsys.exit(door.main(['{command}'] + ['x'] * ('{command}' != 'gc')))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, f"error: interrupted\nhint: {hint}\nref: interrupted\n")


def test_the_installer_is_the_same_bytes_each_time_and_holds_nothing_of_the_connected_room(pyz: Path) -> None:
    assert pyz.read_bytes() == installer_bytes()
    with zipfile.ZipFile(pyz) as archive:
        assert not [name for name in archive.namelist() if name.startswith("mirror/connected/")]


def test_the_installer_carries_tomli_as_it_is_pinned_and_its_licence(pyz: Path) -> None:
    pinned = [line.split("  ") for line in TOMLI.read_text().splitlines() if not line.startswith("#")]
    with zipfile.ZipFile(pyz) as archive:
        assert {name for name in archive.namelist() if not name.startswith("mirror/")} == {
            "__main__.py",
            *(name for _, name in pinned),
        }
        for digest, name in pinned:
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest
        assert b"Permission is hereby granted" in archive.read(pinned[0][1])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda path: path.unlink(), "it is not installed"),
        (lambda path: path.write_text("other"), "its sha256 is not the one that mirror pins"),
    ],
)
def test_no_installer_is_made_with_another_tomli(
    tmp_path: Path, change: Callable[[Path], object], problem: str
) -> None:
    """Beside a copy of tomli's files that comes first on the path, and one of them is gone or altered."""
    for name in (line.split("  ")[1] for line in TOMLI.read_text().splitlines() if not line.startswith("#")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(Path(str(distribution("tomli").locate_file(name))).read_bytes())
    (tmp_path / "tomli-2.4.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tomli\nVersion: 2.4.1\n")
    change(tmp_path / "tomli" / "_re.py")
    command = [sys.executable, "-m", "mirror.cli.main", "installer", "-o", str(tmp_path / "mirror.pyz")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 11
    assert done.stderr.splitlines() == [
        f"error: cannot read tomli/_re.py: {problem}",
        "hint: mirror.pyz carries this file. Install mirror's dependencies again, or this one: pip install tomli==2.4.1",
        "ref: unreadable",
    ]
    assert not (tmp_path / "mirror.pyz").exists()


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11"])
def test_a_policy_is_read_by_the_installer_on_every_python(pyz: Path, tmp_path: Path, version: str) -> None:
    """By tomli in it below 3.11, isolated from all that is installed; its faults and its limits have names there too."""
    python = next(iter(sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))), None)
    if python is None:
        pytest.skip(f"no Python {version} here")
    ask = "import sys; sys.path.insert(0, sys.argv[1]); from mirror.core.policy.document import Policy\n"
    ask += "from mirror.core.errors import InvalidDocument\n"
    ask += "print(Policy.parse(b'[waivers]\\nby = [\"alice\"] # x').waivers, sys.modules.get('tomli'))\n"
    ask += "for text in (b'a = ' + b'[' * 100000, b'a = ' + b'9' * 5000, b'a = 1 2'):\n"
    ask += "  try: Policy.parse(text)\n"
    ask += "  except InvalidDocument as exc: print(exc)\n"
    done = subprocess.run([python, "-I", "-c", ask, pyz], capture_output=True, text=True, check=True)
    read, deep, long, bad = done.stdout.splitlines()
    carried = "None" if version == "3.11" else f"<module 'tomli' from '{pyz}/tomli/__init__.py'>"
    assert read == f"('alice',) {carried}"
    assert deep == "policy.toml invalid: nested too deep"
    assert long.startswith("policy.toml invalid: ")
    assert bad.startswith("policy.toml invalid: not valid TOML: Expected newline or end of document after a statement")


def test_the_installer_runs_isolated(pyz: Path) -> None:
    done = subprocess.run([sys.executable, "-I", pyz, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mirror ")


STOP = b"import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"


@pytest.mark.parametrize(
    "member", ["mirror/__init__.py", "mirror/cli/start.py", "mirror/cli/main.py", "mirror/cli/failure.py"]
)
def test_ctrl_c_while_the_installer_is_being_loaded_gives_no_traceback(pyz: Path, tmp_path: Path, member: str) -> None:
    """A real signal comes while one of its first modules is imported; before main is there, it ends us as any program."""
    copy = tmp_path / "stopped.pyz"
    with zipfile.ZipFile(pyz) as archive, zipfile.ZipFile(copy, "w") as stopped:
        for name in archive.namelist():
            stopped.writestr(name, archive.read(name) + STOP * (name == member))
    done = subprocess.run([sys.executable, "-I", copy, "verify", "x"], capture_output=True, text=True)
    assert done.stdout == "" and "Traceback" not in done.stderr
    assert done.returncode == (130 if member == "mirror/cli/failure.py" else -signal.SIGINT)


def test_ctrl_c_after_the_last_word_gives_no_traceback(pyz: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.pyz"
    with zipfile.ZipFile(pyz) as archive, zipfile.ZipFile(late, "w") as stopped:
        for name in archive.namelist():
            data = archive.read(name)
            if name == "mirror/cli/start.py":
                data = data.replace(
                    b"    sys.exit(code)\n", b"    import os\n    os.kill(os.getpid(), SIGINT)\n    sys.exit(code)\n"
                )
            stopped.writestr(name, data)
    done = subprocess.run([sys.executable, "-I", late, "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("mirror ") and done.stderr == ""
    assert done.returncode == -signal.SIGINT


def test_who_ignores_ctrl_c_goes_on_ignoring_it(pyz: Path) -> None:
    command = f"trap '' INT; {sys.executable} -I {pyz} doctor --log /dev/stdin"
    process = subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    process.stdin.write(b"a line\n" * 99_999)
    process.stdin.flush()
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert b"nothing failed so far in words that are known here" in out and b"(99999 lines)" in out


def test_the_installer_says_where_the_other_commands_run(pyz: Path) -> None:
    for command in TABLE:
        if not command.is_carried:
            done = subprocess.run([sys.executable, "-I", pyz, command.name], capture_output=True, text=True)
            assert done.returncode == 2
            assert done.stderr.splitlines()[0] == (
                f"error: '{command.name}' runs on the connected machine, "
                "and is not in mirror.pyz, the installer for the closed network"
            )


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m mirror.cli.main trust --help | true", shell=True, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr


def test_an_interrupt_while_the_commands_are_imported_is_no_traceback() -> None:
    program = """
import sys
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "mirror.closed.prefix.status":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Slow())
from mirror.cli.main import main
sys.exit(main(["status"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (130, "error: interrupted")


def imported(*words: str) -> set[str]:
    """The modules of ours that are there when the command has ended."""
    code = (
        "import sys\nfrom mirror.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return {name for name in done.stderr.split() if name.startswith("mirror.")}


def test_a_command_imports_no_other_command() -> None:
    others = {command.module for command in TABLE} - {"mirror.cli.commands.closed.status"}
    assert "mirror.cli.commands.closed.status" in imported("status", "--help") and not others & imported(
        "status", "--help"
    )


def test_version_and_help_import_no_command_at_all() -> None:
    assert imported("--version") == {
        "mirror.cli",
        "mirror.cli.main",
        "mirror.cli.streams",
        "mirror.core",
        "mirror.core.commands",
    }
    for words in ([], ["--help"]):
        assert not {command.module for command in TABLE} & imported(*words)
        assert "mirror.core.errors" not in imported(*words)


def test_bare_mirror_shows_the_help_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    for command in TABLE:
        assert command.name in out and command.summary in " ".join(out.split())


@pytest.mark.parametrize("wide", [60, 80])
def test_help_fits_the_terminal(wide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for lines that will be copied: they begin with four blanks or more, and fit 80 columns."""
    monkeypatch.setenv("COLUMNS", str(wide))
    for place in places(parser()):
        raw = {line for text in (place.parser.description, place.parser.epilog) for line in (text or "").splitlines()}
        for line in place.parser.format_help().splitlines():
            assert len(line) < (80 if line in raw else wide), f"mirror {place.name}: {line}"
    monkeypatch.setenv("COLUMNS", str(wide))
    assert max(map(len, overview().splitlines())) < wide


def test_quiet_and_verbose_may_stand_before_and_after_the_command() -> None:
    for place in places(parser()):
        if not place.inner:
            assert {"-q", "--quiet", "-v", "--verbose"} <= {word for option in place.options for word in option.words}
    assert mirror("-q", "status", "-v").returncode != 2


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["instal"], "install"), (["verify", "x", "--polcy", "y"], "--policy"), (["trust", "sho"], "show")],
)
def test_what_was_probably_meant_is_asked(words: list[str], meant: str) -> None:
    assert f"hint: Did you mean {meant}? " in mirror(*words).stderr


def test_a_bundle_is_upgraded_by_locking() -> None:
    said = mirror("bundle", "demo", "--upgrade").stderr
    assert (
        "hint: `mirror lock demo --upgrade` lets versions move; what is locked is taken then. `mirror bundle --help`"
        in said
    )


def test_options_are_written_out() -> None:
    assert mirror("verify", "x", "--js").returncode == 2

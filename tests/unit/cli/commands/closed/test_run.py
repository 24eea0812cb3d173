"""``mirror run`` and ``mirror env``: the environment of what is installed, for a program and for a shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.closed.environment.launch import CannotRun, find_program, not_started
from mirror.connected.packing.installer import write_installer
from tests.support.desk import Desk
from tests.support.otheruser import call_as_other, needs_root, shared_directory

PYTHONS = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python")) or [Path(sys.executable)]
FITTING = (
    [path for path in PYTHONS if tuple(map(int, path.parts[-3].split(".")[:2])) >= (3, 9)]
    if len(PYTHONS) > 1
    else PYTHONS
)


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pyz") / "mirror.pyz"
    write_installer(path)
    return path


@pytest.fixture
def prefix(desk: Desk) -> Path:
    return desk.install(desk.bundle("1.0")).prefix


def mirror(
    *words: object, python: Path = Path(sys.executable), pyz: Path | None = None
) -> subprocess.CompletedProcess[str]:
    start = [str(python), "-I", str(pyz)] if pyz else [sys.executable, "-m", "mirror.cli.main"]
    return subprocess.run([*start, *map(str, words)], text=True, capture_output=True, check=False)


SAY = "import sys, left_pad; print(left_pad.__version__, *sys.argv[1:]); sys.exit(7)"


@pytest.mark.parametrize("python", FITTING, ids=lambda path: path.parts[-3])
def test_a_program_runs_in_the_environment_under_every_python(prefix: Path, pyz: Path, python: Path) -> None:
    done = mirror("run", "--prefix", prefix, "--", "python", "-c", SAY, "--json", "--", "x", python=python, pyz=pyz)
    assert (done.returncode, done.stdout) == (7, "1.0 --json -- x\n"), done


def test_the_program_takes_the_place_of_mirror(prefix: Path) -> None:
    words = ["run", "--prefix", str(prefix), "--", "sh", "-c", "echo $$; kill -TERM $$"]
    with subprocess.Popen(
        [sys.executable, "-m", "mirror.cli.main", *words], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.read() == f"{process.pid}\n"
    assert process.returncode == -15


@pytest.mark.group(67)
@pytest.mark.parametrize("umask", [0, 0o002, 0o077])
def test_what_run_makes_of_the_cache_is_private_and_says_nothing(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    before = os.umask(umask)
    try:
        done = mirror("run", "--prefix", prefix, "--", "true")
    finally:
        os.umask(before)
    assert (done.returncode, done.stderr) == (0, "")
    made = [path for path in (tmp_path / ".cache", *(tmp_path / ".cache").rglob("*")) if not path.is_symlink()]
    assert len(made) == 4 and {path.stat().st_mode & 0o777 for path in made} == {0o700}


@pytest.mark.group(67)
def test_run_warns_of_a_cache_that_others_may_write_and_starts(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / ".cache/mirror").mkdir(parents=True)
    (tmp_path / ".cache/mirror").chmod(0o777)
    done = mirror("run", "--prefix", prefix, "--", "echo", "started")
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert done.stderr.startswith(f"warning: compiled code in {tmp_path}/.cache/mirror/jit/")
    assert (
        f"cannot be trusted: {tmp_path}/.cache/mirror may be written by every user. Whoever writes there decides what your "
        "server runs. Take the right away (chmod go-w), or name a directory of your own with XDG_CACHE_HOME.\n"
    ) in done.stderr


def test_a_program_that_is_not_there_or_not_one_is_named(prefix: Path, tmp_path: Path) -> None:
    done = mirror("run", "--prefix", prefix, "--", "no-such-program")
    assert done.returncode == 106
    assert done.stderr.startswith("error: cannot run no-such-program: there is no such program\nhint: ")
    orphan = tmp_path / "orphan"
    orphan.write_text("#!/no/such/interpreter\n")
    orphan.chmod(0o755)
    assert "cannot run" in mirror("run", "--prefix", prefix, "--", orphan).stderr
    assert "its interpreter is missing" in mirror("run", "--prefix", prefix, "--", orphan).stderr


def test_without_a_program_there_is_a_usage_error(prefix: Path) -> None:
    for words in (("run", "--prefix", prefix), ("run", "--prefix", prefix, "--")):
        done = mirror(*words)
        assert done.returncode == 2 and "name a program after --" in done.stderr


def test_a_stack_is_named_before_the_dashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for words in (("run", "h100", "--", "true"), ("env", "h100")):
        assert mirror(*words).returncode == 99


def test_a_shell_evaluates_what_env_prints(prefix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "--prefix", str(prefix)]) == 0
    script = capsys.readouterr().out
    assert script == (prefix / "current" / "env.sh").read_text()
    assert main(["env", "--prefix", str(prefix), "--shell", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["set"]["VIRTUAL_ENV"] == str((prefix / "current").resolve() / "venv")
    for shell in ("fish", "csh"):
        assert main(["env", "--prefix", str(prefix), "--shell", shell]) == 0
        assert str((prefix / "current").resolve()) in capsys.readouterr().out


def test_json_tells_what_a_sourced_script_sets(prefix: Path) -> None:
    sourced = subprocess.run(
        ["sh", "-c", f'. "{prefix}/current/env.sh" && env -0'], capture_output=True, check=True, env=dict(os.environ)
    )
    variables = dict(line.decode().split("=", 1) for line in sourced.stdout.split(b"\0") if line)
    document = json.loads(mirror("env", "--prefix", prefix, "--shell", "json").stdout)
    assert {name: variables.get(name) for name in document["set"]} == document["set"]


FAILS = (
    "import sys; print('results'); sys.stderr.write('x' * 3000000 + chr(10)); "
    "import ctypes; ctypes.CDLL('libcudart.so.12')"
)


def test_with_explain_what_a_failure_means_comes_after_its_own_words(prefix: Path) -> None:
    done = mirror("run", "--explain", "--prefix", prefix, "--", "python", "-c", FAILS)
    assert (done.returncode, done.stdout) == (1, "results\n")
    own, _, meaning = done.stderr.partition("\npython ended with 1. What its last words mean:\n")
    assert own.startswith("xxx") and len(own) > 3000000
    assert own.rstrip().endswith("libcudart.so.12: cannot open shared object file: No such file or directory")
    assert "libcudart.so.12" in meaning.splitlines()[0]
    assert "problem " in meaning


@pytest.mark.parametrize("code", ["0", "143"])
def test_with_explain_nothing_is_said_of_a_program_that_did_as_it_was_told(prefix: Path, code: str) -> None:
    done = mirror("run", "--explain", "--prefix", prefix, "--", "sh", "-c", f"echo CUDA error >&2; exit {code}")
    assert (done.returncode, done.stderr) == (int(code), "CUDA error\n")


def test_with_explain_a_request_to_end_reaches_the_program_and_its_code_comes_back(prefix: Path) -> None:
    wait = "trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.1; done"
    words = ["run", "--explain", "--prefix", str(prefix), "--", "sh", "-c", wait]
    start = [sys.executable, "-m", "mirror.cli.main", *words]
    with subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "up\n"
        process.terminate()
        assert process.communicate(timeout=60)[0] == "bye\n"
    assert process.returncode == 9


def test_with_explain_a_program_whose_child_goes_on_is_not_waited_for(prefix: Path) -> None:
    done = mirror("run", "--explain", "--prefix", prefix, "--", "sh", "-c", "sleep 300 & echo $!")
    assert done.returncode == 0
    os.kill(int(done.stdout), 9)


def test_with_explain_a_program_that_is_not_there_is_named(prefix: Path) -> None:
    done = mirror("run", "--explain", "--prefix", prefix, "--", "no-such-program")
    assert (done.returncode, done.stdout) == (106, "")
    assert "cannot run no-such-program: there is no such program" in done.stderr


def test_with_explain_a_kill_is_told_for_what_it_mostly_is(prefix: Path) -> None:
    done = mirror("run", "--explain", "--prefix", prefix, "--", "sh", "-c", "kill -9 $$")
    assert done.returncode == 137
    assert "sh ended with 137: something killed it with SIGKILL, mostly the kernel for want of memory" in done.stderr


@needs_root
def test_another_user_is_told_that_the_interpreter_is_out_of_reach() -> None:
    with shared_directory() as shared:
        (shared / "owner").mkdir()
        python = shared / "owner/python3"
        python.symlink_to(os.path.realpath("/bin/sh"))
        (shared / "bin").mkdir()
        (shared / "bin/python").symlink_to(python)
        script = shared / "bin/vllm"
        script.write_text(f"#!{shared}/bin/python\n")
        script.chmod(0o755)
        (shared / "owner").chmod(0o700)
        words = f"it leads to {python}, which you cannot reach: {shared}/owner is open to its owner only (mode 0700)"

        def look() -> None:
            with pytest.raises(CannotRun) as caught:
                find_program("python", {"PATH": f"{shared}/bin:/usr/bin:/bin"})
            assert str(caught.value) == f"cannot run {shared}/bin/python: {words}"
            assert "Ask the owner of this install to open that directory" in caught.value.hint
            try:
                os.execv(script, ["vllm"])
            except OSError as exc:
                assert str(not_started(str(script), exc)) == f"cannot run {script}: {words}"

        call_as_other(look)

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from mirror.closed.host.command import CANNOT_START, TIMED_OUT, clean_environment, run
from mirror.core.errors import Unwritable


def test_keeps_what_a_program_says_and_its_code(tmp_path: Path) -> None:
    finished = run(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], clean_environment(tmp_path))
    assert (finished.code, finished.output, finished.errors) == (3, "out\n", "err\n")
    assert finished.tail(1) == "err"


def test_keeps_only_the_tail_of_a_flood(tmp_path: Path) -> None:
    finished = run(["/bin/sh", "-c", "yes | head -c 1000000; echo last"], clean_environment(tmp_path))
    assert len(finished.output) == 64 << 10
    assert finished.output.endswith("last\n")


def test_a_program_that_cannot_be_started_is_a_result(tmp_path: Path) -> None:
    finished = run([str(tmp_path / "nothing")], clean_environment(tmp_path))
    assert finished.code == CANNOT_START
    assert "nothing" in finished.errors


def test_no_directory_for_temporary_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(Unwritable, match=r"TMPDIR.*No such file or directory"):
        run(["/bin/true"], clean_environment(tmp_path))


def test_nothing_of_the_callers_environment_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PIP_INDEX_URL", "UV_INDEX_URL", "HTTPS_PROXY", "LD_PRELOAD_NOT"):
        monkeypatch.setenv(name, "planted")
    finished = run(["/usr/bin/env"], clean_environment(tmp_path))
    assert "planted" not in finished.output
    assert f"HOME={tmp_path}" in finished.output


def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    finished = run(
        ["/bin/sh", "-c", "sleep 1000 & echo $! >child; wait"], clean_environment(tmp_path), cwd=tmp_path, timeout_s=0.5
    )
    assert finished.code == TIMED_OUT
    assert "without a result" in finished.tail()
    assert_gone(int((tmp_path / "child").read_text()))


def test_a_signal_to_us_ends_the_program_too(tmp_path: Path) -> None:
    source = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        "from mirror.closed.host.command import run\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"run(['/bin/sh', '-c', 'echo $$ >pid; exec sleep 1000'], {{}}, cwd=Path({str(tmp_path)!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", source])
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text().strip()):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert_gone(int(pid.read_text()))


@pytest.mark.parametrize(
    "call", ["command.run(LINE, {})", "sandbox.run_cut_off(LINE, cwd=Path(), environment={}, log=LOG)"]
)
def test_a_signal_while_the_program_starts_ends_it_too(tmp_path: Path, call: str) -> None:
    """It has begun, and nobody knows its number yet."""
    source = (
        "import os, signal, subprocess, sys\n"
        "from pathlib import Path\n"
        "from mirror.closed.host import command\n"
        "from mirror.connected.building import sandbox\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "class Slow(subprocess.Popen):\n"
        "    def __init__(self, *args, **how):\n"
        "        super().__init__(*args, **how)\n"
        "        Path('pid').write_text(str(self.pid))\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "subprocess.Popen = Slow\n"
        "LINE, LOG = ['/bin/sleep', '1000'], sys.stderr.buffer\n"
        f"{call}\n"
    )
    done = subprocess.run([sys.executable, "-c", source], cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 143
    assert_gone(int((tmp_path / "pid").read_text()))


def assert_gone(pid: int) -> None:
    """A killed process may stay a moment as a zombie of whoever adopts it."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"process {pid} lives on")

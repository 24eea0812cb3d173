"""Commands run here have no network, whichever fence the kernel offers, and leave nothing running."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mirror.connected.building import network_isolation, sandbox
from mirror.connected.building.sandbox import LimitReached, Limits, NetworkCutUnavailable, run_cut_off

FENCES = pytest.mark.parametrize("without", ["", "namespace"], ids=["namespace", "seccomp"])


def run(tmp_path: Path, script: str, without: str = "", **environment: str) -> tuple[int, str]:
    log = tmp_path / "log"
    with open(log, "wb") as stream:
        status = run_cut_off(
            [sys.executable, "-I", "-c", script], cwd=tmp_path, environment=environment, log=stream, without=without
        )
    return status, log.read_text()


@FENCES
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_a_listening_socket_outside_cannot_be_reached(tmp_path: Path, without: str, family: str) -> None:
    address = {"AF_INET": "127.0.0.1", "AF_INET6": "::1"}[family]
    with socket.create_server((address, 0), family=getattr(socket, family)) as server:
        port = server.getsockname()[1]
        script = f"import socket; socket.socket(socket.{family}).connect(({address!r}, {port}))"
        status, log = run(tmp_path, script, without)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert status == 1
    assert "OSError" in log or "ConnectionRefusedError" in log


@FENCES
def test_an_outside_address_is_unreachable(tmp_path: Path, without: str) -> None:
    status, log = run(tmp_path, "import socket; socket.create_connection(('192.0.2.1', 443), 5)", without)
    assert status == 1
    assert "Network is unreachable" in log


@FENCES
def test_a_child_of_the_command_is_cut_off_too(tmp_path: Path, without: str) -> None:
    inner = "import socket; socket.create_connection(('192.0.2.1', 443), 5)"
    status, log = run(
        tmp_path, f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {inner!r}]))", without
    )
    assert status == 1
    assert "Network is unreachable" in log


def test_the_namespace_has_a_loopback_of_its_own(tmp_path: Path) -> None:
    script = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
    assert run(tmp_path, script) == (0, "")


@FENCES
def test_unix_sockets_still_work(tmp_path: Path, without: str) -> None:
    script = "import socket; socket.socket(socket.AF_UNIX).bind('s'); a, b = socket.socketpair(); a.send(b'x')"
    assert run(tmp_path, script, without) == (0, "")


def test_the_filter_is_installed_when_the_namespace_is_not(tmp_path: Path) -> None:
    status, log = run(tmp_path, "print(open('/proc/self/status').read())", "namespace")
    assert status == 0
    assert "Seccomp:\t2" in log
    assert "NoNewPrivs:\t1" in log


def test_the_filter_refuses_io_uring_which_could_make_sockets_unseen(tmp_path: Path) -> None:
    script = (
        "import ctypes, errno; libc = ctypes.CDLL(None, use_errno=True);"
        "made = libc.syscall(425, 1, ctypes.create_string_buffer(512));"
        "print(made, errno.errorcode.get(ctypes.get_errno()))"
    )
    assert run(tmp_path, script, "namespace") == (0, "-1 ENETUNREACH\n")


def test_the_environment_is_only_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "1")
    status, log = run(tmp_path, "import os; print(sorted(os.environ))", GIVEN="1", LC_ALL="C.UTF-8")
    assert status == 0
    assert log.strip() == "['GIVEN', 'LC_ALL']"


def test_the_umask_is_fixed(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        run(tmp_path, "open('made', 'w')")
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o644


def test_the_exit_status_is_passed_on(tmp_path: Path) -> None:
    assert run(tmp_path, "raise SystemExit(7)") == (7, "")


def test_a_signal_is_told_as_a_shell_does(tmp_path: Path) -> None:
    assert run(tmp_path, "import os; os.kill(os.getpid(), 9)")[0] == 137


def test_a_command_that_is_not_there_has_status_127_and_a_line_in_the_log(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as stream:
        assert run_cut_off(["no-such-command"], cwd=tmp_path, environment={}, log=stream) == 127
    assert (tmp_path / "log").read_text() == "cannot run no-such-command: No such file or directory\n"


def test_what_the_command_left_running_is_ended(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], stdout=subprocess.DEVNULL)\n"
        "print(child.pid)"
    )
    status, log = run(tmp_path, script)
    assert status == 0
    deadline = time.monotonic() + 5
    while _is_running(int(log)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _is_running(int(log))


def _is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_without_any_fence_nothing_is_run(tmp_path: Path) -> None:
    with pytest.raises(NetworkCutUnavailable) as caught:
        run(tmp_path, "open('made', 'w')", without="namespace seccomp")
    assert not (tmp_path / "made").exists()
    assert str(caught.value) == (
        "a build must not reach the network, and this machine has no way to cut it off: "
        "namespace: not tried; seccomp: not tried"
    )


STUBBORN = """
import ctypes, errno, struct, sys
from pathlib import Path
from mirror.connected.building.sandbox import run_cut_off
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
UNSHARE = {"x86_64": 272, "aarch64": 97}[sys.argv[1]]
PRCTL = {"x86_64": 157, "aarch64": 167}[sys.argv[1]]
LOAD, EQUAL, RETURN, EPERM = 0x20, 0x15, 0x06, 0x00050000 | errno.EPERM
program = [(LOAD, 0, 0, 0), (EQUAL, 3, 0, UNSHARE), (EQUAL, 0, 3, PRCTL), (LOAD, 0, 0, 16), (EQUAL, 0, 1, 22),
           (RETURN, 0, 0, EPERM), (RETURN, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.addressof(header), 0, 0) == 0
with open("log", "wb") as log:
    run_cut_off(["touch", "made"], cwd=Path.cwd(), environment={"PATH": "/usr/bin:/bin"}, log=log)
"""


def test_a_kernel_that_refuses_both_fences_is_told_in_its_words(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN, os.uname().machine],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[4])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1].endswith(
        "NetworkCutUnavailable: a build must not reach the network, and this machine has no way to cut it off: "
        "namespace: unshare: Operation not permitted; seccomp: seccomp: Operation not permitted"
    )
    assert not (tmp_path / "made").exists()


def test_no_filter_is_guessed_for_an_unknown_machine() -> None:
    with pytest.raises(OSError, match="no filter is known for riscv64"):
        network_isolation.network_filter("riscv64")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_lands_inside_it(machine: str) -> None:
    code = network_isolation.network_filter(machine)
    count = len(code) // 8
    for index in range(count):
        operation, if_true, if_false = code[index * 8], code[index * 8 + 2], code[index * 8 + 3]
        if operation & 0x07 == 0x05:
            assert index + 1 + max(if_true, if_false) < count


# Nothing survives mirror

FLEES = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("fled.tmp", "w").write(str(os.getpid()))
        os.rename("fled.tmp", "fled")
        time.sleep(120)
    os._exit(0)
os.wait()
time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
"""
"""A daemon in a session of its own, as nvcc's jobs below ninja are in groups of their own."""

CALLER = """
import sys
from pathlib import Path
from mirror.cli.failure import stop_at_signals
from mirror.connected.building.sandbox import run_cut_off
stop_at_signals()
with open("log", "wb") as log:
    run_cut_off([sys.executable, "-c", sys.argv[1], "60"], cwd=Path.cwd(), environment={}, log=log, without=sys.argv[2])
"""


def _ended(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not _is_running(pid)


@FENCES
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_what_fled_into_a_session_of_its_own_ends_with_mirror(
    tmp_path: Path, number: signal.Signals, without: str
) -> None:
    mirror = subprocess.Popen(
        [sys.executable, "-c", CALLER, FLEES, without],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[4])},
        stderr=subprocess.DEVNULL,
    )
    while not (tmp_path / "fled").exists():
        assert mirror.poll() is None
        time.sleep(0.02)
    fled = int((tmp_path / "fled").read_text())
    mirror.send_signal(number)
    mirror.wait()
    assert _ended(fled)


def test_what_fled_ends_when_the_command_has_ended(tmp_path: Path) -> None:
    assert run(tmp_path, FLEES) == (0, "")
    assert not _is_running(int((tmp_path / "fled").read_text()))


def test_a_command_that_takes_too_long_is_ended_and_the_limit_is_named(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as log, pytest.raises(LimitReached) as caught:
        words = [sys.executable, "-c", FLEES, "60"]
        run_cut_off(words, cwd=tmp_path, environment={}, log=log, limits=Limits(seconds=0.6))
    assert str(caught.value) == "it took longer than the 0.01 minutes that it may"
    assert not _is_running(int((tmp_path / "fled").read_text()))


def test_a_command_that_holds_too_much_memory_is_ended_and_told(tmp_path: Path) -> None:
    held = "import time; x = bytearray(90 << 20); time.sleep(60)"
    words = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"]
    told = r"its processes held 0\.1 GiB of memory, more than the 0\.0625 GiB that they may"
    with open(tmp_path / "log", "wb") as log, pytest.raises(LimitReached, match=told):
        run_cut_off(words, cwd=tmp_path, environment={}, log=log, limits=Limits(memory=64 << 20))


# What watches over a command is of the same user

FIGHTS = (
    FLEES.partition("os.wait()")[0]
    + """
while not os.path.exists("fled"):
    time.sleep(0.01)
"""
)
"""A daemon has fled; what follows does something to the process that watches."""

TAKES_PIPES = """
place = f"/proc/{os.getppid()}/fd/"
held = [open(place + one, "wb") for one in os.listdir(place) if os.readlink(place + one).startswith("pipe:")]
assert held
"""


@pytest.mark.group(52)
@pytest.mark.parametrize("again", ["time.sleep(60)", "\nwhile True: os.kill(os.getppid(), 19)"])
def test_a_command_that_stops_what_watches_over_it_is_ended_at_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    monkeypatch.setattr(sandbox, "_GRACE_S", 0.5)
    words = [sys.executable, "-c", f"{FIGHTS}os.kill(os.getppid(), 19); {again}"]
    with (
        open(tmp_path / "log", "wb") as log,
        pytest.raises(LimitReached, match=r"it took longer than the 0\.01 minutes"),
    ):
        run_cut_off(words, cwd=tmp_path, environment={}, log=log, limits=Limits(seconds=0.6))
    assert _ended(int((tmp_path / "fled").read_text()))


@pytest.mark.group(52)
def test_a_command_that_stops_what_watches_over_it_ends_with_mirror(tmp_path: Path) -> None:
    mirror = subprocess.Popen(
        [sys.executable, "-c", CALLER, f"{FIGHTS}os.kill(os.getppid(), 19); open('done', 'w'); time.sleep(60)", ""],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[4])},
        stderr=subprocess.DEVNULL,
    )
    while not (tmp_path / "done").exists():
        assert mirror.poll() is None
        time.sleep(0.02)
    mirror.send_signal(signal.SIGINT)
    mirror.wait(timeout=5)
    assert _ended(int((tmp_path / "fled").read_text()))


def test_a_command_that_stops_what_watches_over_it_is_waited_for_no_longer_than_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_TICK_S", 0.05)
    assert run(tmp_path, "import os; os.kill(os.getppid(), 19)") == (0, "")


@FENCES
@pytest.mark.parametrize("held", ["", TAKES_PIPES])
def test_what_a_command_leaves_that_kills_what_watches_over_it_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: str, held: str
) -> None:
    """The second one takes the pipe as well, whose end is waited for."""
    monkeypatch.setattr(sandbox, "_TICK_S", 0.05)
    begins = f"import os\n{held}\n"
    sleeping = subprocess.Popen(["sleep", "60"], start_new_session=True)
    sandbox._watching.add(sleeping.pid)  # as another thread's would be
    try:
        assert run(tmp_path, f"{begins}{FIGHTS}os.kill(os.getppid(), 9); time.sleep(60)", without)[0] == 137
        assert sleeping.poll() is None
    finally:
        sandbox._watching.discard(sleeping.pid)
        sleeping.kill()
        sleeping.wait()
    assert _ended(int((tmp_path / "fled").read_text()))
    assert not subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-x", "python"], capture_output=True, check=False
    ).stdout


def test_once_it_has_ended_what_other_programs_leave_is_nobody_elses(tmp_path: Path) -> None:
    """A service that was started meanwhile, and is waited for by its number, would never be gone."""
    assert run(tmp_path, "pass") == (0, "")
    taken = ctypes.c_int(-1)
    ctypes.CDLL(None).prctl(37, ctypes.byref(taken), 0, 0, 0)  # prctl(2): PR_GET_CHILD_SUBREAPER
    assert taken.value == 0

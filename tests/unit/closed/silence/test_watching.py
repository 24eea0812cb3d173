"""Real programs on this kernel, watched each way; the addresses are those that RFC 5737 keeps for examples."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mirror.closed.environment.launch import CannotRun
from mirror.closed.silence.attempts import Attempt, Name
from mirror.closed.silence.notifier import Notifier
from mirror.closed.silence.watching import SECCOMP, STRACE, CannotWatch, Watched, watch
from tests.support.faults import HOUSE, needs_strace

WAYS = [SECCOMP, pytest.param(STRACE, marks=needs_strace)]
DNS = 'bytes(4) + b"\\0\\1" + bytes(6) + b"\\3hub\\7example\\3com\\0" + b"\\0\\1\\0\\1"'


def watched(source: str, way: str, start: str = "from socket import *\n") -> Watched:
    return watch([sys.executable, "-I", "-c", start + source], os.environ, (way,))


def places(found: Watched) -> set[str]:
    return set(map(str, found.seen.outward))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("s = socket(AF_INET, SOCK_DGRAM); s.connect(('192.0.2.8', 80))", "udp 192.0.2.8:80"),
        ("s = socket(AF_INET6, SOCK_DGRAM); s.connect_ex(('2001:db8::8', 80))", "udp [2001:db8::8]:80"),
        ("s = socket(); s.setblocking(False); s.connect_ex(('192.0.2.8', 443))", "tcp 192.0.2.8:443"),
        ("s = socket(AF_INET, SOCK_DGRAM); s.sendto(b'x', ('192.0.2.9', 1900))", "udp 192.0.2.9:1900"),
        ("s = socket(AF_INET, SOCK_DGRAM); s.sendmsg([b'x'], [], 0, ('192.0.2.9', 7))", "udp 192.0.2.9:7"),
        (
            "s = socket(AF_INET6); s.setblocking(False); s.connect_ex(('::ffff:192.0.2.8', 443))",
            "tcp 192.0.2.8:443",
        ),
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', 'from socket import *; "
         "s = socket(AF_INET, SOCK_DGRAM); s.connect_ex((\"192.0.2.3\", 5))'])", "udp 192.0.2.3:5"),
        ("from threading import Thread; s = socket(AF_INET, SOCK_DGRAM)\n"
         "t = Thread(target=s.connect_ex, args=(('192.0.2.4', 5),)); t.start(); t.join()", "udp 192.0.2.4:5"),
    ],
)  # fmt: skip
def test_an_attempt_is_seen(way: str, source: str, place: str) -> None:
    found = watched(f"try:\n    exec({source!r})\nexcept OSError: pass", way)
    assert places(found) == {place}
    assert (found.code, found.seen.is_silent, found.way) == (0, False, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "send",
    [
        f"s.connect(('127.0.0.1', 53)); s.send({DNS})",
        f"s.sendto({DNS}, ('127.0.0.1', 53))",
        f"s.sendmsg([{DNS}[:9], {DNS}[9:]], [], 0, ('127.0.0.1', 53))",
    ],
)
def test_a_name_is_seen_also_when_a_name_server_of_this_host_is_asked(way: str, send: str) -> None:
    found = watched(f"s = socket(AF_INET, SOCK_DGRAM); {send}", way)
    if way == SECCOMP or "sendmsg" not in send:  # strace shows the two parts apart
        assert {(one.name, one.server) for one in found.seen.names} == {("hub.example.com", "127.0.0.1")}
    assert places(found) == {"udp 127.0.0.1:53"}


def test_what_glibc_asks_is_seen() -> None:
    """Its resolver sends both questions in one sendmmsg(2)."""
    found = watched("try: getaddrinfo('no-such-name.example.com', 443)\nexcept OSError: pass", SECCOMP)
    assert "no-such-name.example.com" in {one.name for one in found.seen.names}


@pytest.mark.parametrize("way", WAYS)
def test_loopback_and_local_sockets_are_silence_and_the_exit_code_is_the_programs(way: str) -> None:
    source = (
        "import sys\ns = socket(); s.bind(('127.0.0.1', 0)); s.listen(); c = create_connection(s.getsockname()); c.send(b'x')\n"
        "a, b = socketpair(); a.sendmsg([b'x']); getaddrinfo('127.0.0.1', 80); sys.exit(7)"
    )
    found = watched(source, way)
    assert (found.code, found.seen.is_silent) == (7, True)
    assert (found.seen.attempts, found.seen.names, found.seen.unseen) == ({}, {}, {})


def test_an_address_of_this_host_is_told_and_is_no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirror.closed.silence.attempts.is_own_address", lambda ip: str(ip) == "192.0.2.10")
    found = watched("s = socket(AF_INET, SOCK_DGRAM); s.connect_ex(('192.0.2.10', 80))", SECCOMP)
    assert found.seen.is_silent
    assert list(map(str, found.seen.own)) == ["udp 192.0.2.10:80"]


def test_every_place_is_told_once_with_its_program_and_how_often() -> None:
    found = watched("for n in range(3): socket(AF_INET, SOCK_DGRAM).connect_ex(('192.0.2.8', 80))", SECCOMP)
    program = Path(os.path.realpath(sys.executable)).name
    ((attempt, count),) = found.seen.attempts.items()
    assert attempt == Attempt("udp", "192.0.2.8", 80, attempt.program)
    assert (attempt.program[:6], count) == (program[:6], 3)


def test_a_signal_that_ends_it_is_its_exit_code() -> None:
    assert watched("import os; os.kill(os.getpid(), 9)", SECCOMP).code == 137


def test_what_a_program_leaves_running_is_watched_and_then_ended(tmp_path: Path) -> None:
    late = (
        "import time; from socket import *; time.sleep(1)\n"
        "socket(AF_INET, SOCK_DGRAM).connect_ex(('192.0.2.66', 9)); time.sleep(600)"
    )
    source = f"import subprocess, sys\np = subprocess.Popen([sys.executable, '-I', '-c', {late!r}], start_new_session=True)\n"
    source += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid)); p.returncode = 0"
    found = watched(source, SECCOMP)
    assert places(found) == {"udp 192.0.2.66:9"}
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()


def test_io_uring_is_refused_as_by_a_kernel_without_it() -> None:
    source = (
        "import ctypes, errno\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.syscall(425, 1, 0) == -1 and ctypes.get_errno() == errno.ENOSYS"
    )
    assert watched(source, SECCOMP, start="").code == 0


def test_a_call_whose_destination_cannot_be_read_is_not_silence() -> None:
    source = "import ctypes\nctypes.CDLL(None).connect(0, ctypes.c_void_p(4096), 16)"
    found = watched(source, SECCOMP, start="")
    assert not found.seen.is_silent
    assert "called connect, and whereto could not be read" in next(iter(found.seen.unseen))


MANY = r"""
import ctypes, struct
from socket import *
def sendmmsg(fd, places, family=AF_INET):
    begin = struct.pack("=H", family) + struct.pack(">H", 9)
    name = [ctypes.create_string_buffer(begin + inet_aton(one) + bytes(8)) for one in places]
    part = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(name[0]), 1))
    rest = ctypes.addressof(part), 1, 0, 0, 0, 0
    data = b"".join(struct.pack("=QI4xQQQQi4xI4x", ctypes.addressof(one), 16, *rest) for one in name)
    return ctypes.CDLL(None).sendmmsg(fd, ctypes.create_string_buffer(data, len(data)), len(name), 0)
s = socket(AF_INET, SOCK_DGRAM)
"""


@pytest.mark.parametrize("way", WAYS)
def test_the_last_of_many_messages_is_seen(way: str) -> None:
    found = watched("sendmmsg(s.fileno(), ['127.0.0.1'] * 1023 + ['192.0.2.9'])", way, start=MANY)
    assert (places(found), found.seen.unseen) == ({"udp 192.0.2.9:9"}, {})


@pytest.mark.parametrize("way", WAYS)
def test_an_address_without_a_family_is_no_way_round(way: str) -> None:
    """The kernel sends there as if the family were IPv4's."""
    found = watched("sendmmsg(s.fileno(), ['192.0.2.9'], AF_UNSPEC)", way, start=MANY)
    assert not found.seen.is_silent
    assert places(found) == {"udp 192.0.2.9:9"} or found.seen.unseen


@needs_strace
@pytest.mark.parametrize("early", ["", "socket(AF_INET, SOCK_DGRAM).connect_ex(('127.0.0.1', 9)); "])
def test_what_a_killed_strace_did_not_see_is_not_silence(early: str) -> None:
    source = (
        f"import os, time; {early}os.kill(os.getppid(), 9); socket(AF_INET, SOCK_DGRAM).connect_ex(('192.0.2.8', 80))"
    )
    found = watched(source, STRACE)
    assert not found.seen.is_silent
    assert list(found.seen.unseen) == [
        "what strace told ends before the command does: it was killed, or could not write"
    ]


@needs_strace
def test_strace_tells_the_end_of_every_thread_and_process_however_it_comes(tmp_path: Path) -> None:
    source = (
        "import os, subprocess, threading, time\n"
        "def many():\n    for n in range(50): socket().connect_ex(('127.0.0.1', 9))\n"
        "for n in range(8): threading.Thread(target=many).start()\n"
        "subprocess.run(['sh', '-c', 'kill -9 $$'])\n"
        "threading.Thread(target=os.execv, args=('/bin/sh', ['sh', '-c', 'exit 3'])).start(); time.sleep(60)"
    )
    found = watched(source, STRACE)
    assert (found.code, found.seen.is_silent, found.seen.unseen) == (3, True, {})


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(CannotRun) as exc_info:
        watch(["no-such-program"], os.environ)
    assert str(exc_info.value) == "cannot run no-such-program: there is no such program"


def test_a_script_whose_interpreter_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/no/such\n")
    (tmp_path / "script").chmod(0o755)
    with pytest.raises(CannotRun):
        watch([str(tmp_path / "script")], os.environ, (SECCOMP,))


def test_where_no_way_works_nothing_is_run_and_nothing_is_called_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a filter of our own the kernel gives no second listener; and there is no strace."""
    monkeypatch.setenv("PATH", str(tmp_path))
    inner = (
        f"import sys; sys.path.insert(0, {str(HOUSE)!r})\nfrom mirror.closed.silence.watching import *\n"
        f"try: watch(['/bin/touch', {str(tmp_path / 'ran')!r}], {{}})\nexcept CannotWatch: sys.exit(9)"
    )
    assert watched(inner, SECCOMP, start="").code == 9
    assert not (tmp_path / "ran").exists()
    with pytest.raises(CannotWatch) as exc_info:
        watch([sys.executable], os.environ, (STRACE,))
    assert (
        str(exc_info.value) == "what a program tries to reach cannot be seen on this host: strace: it is not installed"
    )


def test_a_machine_whose_calls_are_not_known_is_refused() -> None:
    with pytest.raises(OSError, match="not known for riscv64"):
        Notifier("riscv64")


def test_a_request_to_end_is_handed_on_and_the_list_comes(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mirror.cli.main",
        "silence",
        "--",
        "sh",
        "-c",
        f"touch {tmp_path}/up; exec sleep 600",
    ]
    process = subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True)
    while not (tmp_path / "up").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert output.startswith("silent: it tried to reach nothing outside this host\n")


def test_names_are_counted_by_server_and_program() -> None:
    found = watched(f"s = socket(AF_INET, SOCK_DGRAM); [s.sendto({DNS}, ('127.0.0.1', 53)) for n in range(2)]", SECCOMP)
    ((name, count),) = found.seen.names.items()
    assert name == Name("hub.example.com", "127.0.0.1", name.program)
    assert count == 2

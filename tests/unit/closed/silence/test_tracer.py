"""Logs as strace 6.1 writes them, whole and not."""

from __future__ import annotations

import pytest

from mirror.closed.silence.attempts import Seen
from mirror.closed.silence.tracer import Log

END = "12 +++ exited with 0 +++\n"
ADDRESS = r'{sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("\x31\x39\x32\x2e\x30\x2e\x32\x2e\x39")}'


def read(text: str, code: int = 0, step: int = 7) -> Seen:
    """What a log tells that comes in small pieces."""
    seen = Seen()
    log, data = Log(seen), text.encode()
    for at in range(0, len(data), step):
        log.feed(data[at : at + step])
    log.end(code)
    return seen


def test_a_line_that_is_no_call_tells_nothing() -> None:
    text = '12 write(1, "sin_port=htons(80), sin_addr=inet_addr(\\"\\x38\\")"...) = 1\n'
    assert read(text + END).is_silent
    assert read("12 +++ killed by SIGTERM +++\n", -15).is_silent


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("12 connect(3<UDP:[1]>, {sa_family=AF_UNSPEC}, 16) = 0\n", 0),
        (END + "13 conn", 0),
        ("13 connect(3<UDP:[1]>, {sa_family=AF_UNSPEC}, 16) = 0\n" + END, 0),
        (END, -9),
        ("12 +++ superseded by execve in pid 13 +++\n", 0),
    ],
    ids=["empty", "no end", "half a line", "one has no end", "killed", "only superseded"],
)
def test_a_log_that_is_not_whole_is_not_silence(text: str, code: int) -> None:
    seen = read(text, code)
    assert not seen.is_silent
    assert list(seen.unseen) == ["what strace told ends before the command does: it was killed, or could not write"]


@pytest.mark.parametrize(
    "call",
    [
        "connect(3<UDP:[1]>, 0x1000, 16) = -1 EFAULT (Bad address)",
        r'connect(3<UDP:[1]>, {sa_family=AF_INET, sa_data="\x00"}, 3) = -1 EINVAL (Invalid argument)',
        r'sendto(3<UDP:[1]>, "\x78", 1, 0, {sa_family=AF_UNSPEC, sa_data="\x00\x09\xc0\x00\x02\x09"}, 16) = 1',
        "sendmmsg(3<UDP:[1]>, [{msg_hdr={msg_name=NULL}, msg_len=1}, ...], 1025, 0) = 1024",
        "io_uring_setup(8, {flags=0}) = 3",
    ],
)
def test_a_call_that_is_not_shown_whole_is_not_silence(call: str) -> None:
    assert len(read(f"12 {call}\n{END}").unseen) == 1


def test_io_uring_that_is_refused_is_silence() -> None:
    assert read(f"12 io_uring_setup(8, {{flags=0}}) = -1 ENOSYS (Function not implemented)\n{END}").is_silent


@pytest.mark.parametrize(
    "lines",
    [
        f"12 connect(3, {ADDRESS}, 16) = -1 EINPROGRESS\n{END}",
        f"12 connect(3<TCP:[1]>, {ADDRESS}, 16 <unfinished ...>\n13 +++ exited with 0 +++\n12 +++ killed by SIGKILL +++\n",
        f"12 sendmmsg(3<UDP:[1]>,  <unfinished ...>\n12 <... sendmmsg resumed>[{{msg_name={ADDRESS}}}], 1, 0) = 1\n{END}",
        f"12 connect(3<TCP:[1]>, {ADDRESS}, 16) = 0\n12 +++ superseded by execve in pid 14 +++\n{END}",
    ],
    ids=["no socket's kind", "killed in it", "in two lines", "superseded"],
)
def test_what_strace_tells_in_pieces_is_read(lines: str) -> None:
    seen = read(lines)
    assert ({one.address for one in seen.outward}, seen.unseen) == ({"192.0.2.9"}, {})

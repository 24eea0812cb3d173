"""The kernel's notices of system calls: seccomp's user notification, by ctypes, without privileges (seccomp_unotify(2)).

A thread takes on a filter and starts the program; the filter is its own and its children's, the descriptor that tells of calls
is the whole process's, so that nothing has to be handed over. Each call waits until it has been looked at, and then goes on as
if nothing had been there. ``mirror.closed.silence.notified`` looks.

Rules: connect, sendto, sendmsg and sendmmsg are told, and every call of a program for another architecture, whose numbers are
others; io_uring, which could connect unseen, is refused as by a kernel that has none.

Example::

    notifier = Notifier(os.uname().machine)
    listener = notifier.enter()      # in the thread that is going to start the program
    notice = notifier.receive(listener); notifier.go_on(listener, notice)
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from typing import NamedTuple, Optional

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_CONTINUE = 1
_ALLOW, _ERRNO, _NOTIFY = 0x7FFF0000, 0x00050000, 0x7FC00000
_LOAD_WORD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_X32_BIT = 0x40000000

_NOTICE, _ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x40082102

_PIDFD_OPEN, _PIDFD_GETFD = 434, 438


class _Machine(NamedTuple):
    """Numbers of system calls (asm/unistd.h) and the audit architecture."""

    architecture: int
    seccomp: int
    calls: dict[int, str]


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 317, {42: "connect", 44: "sendto", 46: "sendmsg", 307: "sendmmsg"}),
    "aarch64": _Machine(0xC00000B7, 277, {203: "connect", 206: "sendto", 211: "sendmsg", 269: "sendmmsg"}),
}
_IO_URING_SETUP = 425

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = (ctypes.c_long, *[ctypes.c_ulong] * 3)
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


class Notice(NamedTuple):
    """One call that waits.

    Attributes:
        key: the kernel's name for it.
        thread: who calls.
        call: its name; empty for one of another architecture.
        arguments: six numbers.
    """

    key: int
    thread: int
    call: str
    arguments: tuple[int, ...]


class Notifier:
    """Notices on one kind of machine. Raises ``OSError`` for one whose calls we do not know.

    Args:
        machine: as ``uname -m`` prints it.
    """

    def __init__(self, machine: str) -> None:
        if machine not in _MACHINES:
            raise OSError(errno.ENOSYS, f"the numbers of its system calls are not known for {machine}")
        self._machine = _MACHINES[machine]

    def program(self) -> bytes:
        """The filter, as an array of ``struct sock_filter``."""
        numbers = list(self._machine.calls)
        notify = 7 + len(numbers)  # the last step; a jump counts from the step after its own
        steps = (
            (_LOAD_WORD, 0, 0, _ARCHITECTURE),
            (_IF_EQUAL, 0, notify - 2, self._machine.architecture),
            (_LOAD_WORD, 0, 0, _NUMBER),
            (_IF_AT_LEAST, notify - 4, 0, _X32_BIT),  # the same calls under other numbers
            *((_IF_EQUAL, notify - 5 - index, 0, number) for index, number in enumerate(numbers)),
            (_IF_EQUAL, 1, 0, _IO_URING_SETUP),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
            (_RETURN, 0, 0, _NOTIFY),
        )
        return b"".join(struct.pack("=HBBI", *step) for step in steps)

    def enter(self) -> int:
        """Take on the filter, for this thread and what it starts; the descriptor that tells of calls. Raises ``OSError``."""
        if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise _error("no_new_privs")
        code = self.program()
        held = ctypes.create_string_buffer(code, len(code))
        header = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, ctypes.addressof(held)))
        listener = int(_libc.syscall(self._machine.seccomp, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.addressof(header)))
        if listener < 0:
            raise _error("seccomp")
        return listener

    def receive(self, listener: int) -> Optional[Notice]:
        """The next call that waits; None when its caller is gone already."""
        buffer = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, buffer)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.EINTR):
                return None
            raise
        key, thread, _, number, architecture, _, *arguments = _NOTICE.unpack(buffer)
        known = architecture == self._machine.architecture and not number & _X32_BIT
        return Notice(key, thread, self._machine.calls.get(number, "") if known else "", tuple(arguments))

    def still_waits(self, listener: int, notice: Notice) -> bool:
        """Whether the caller is still the one that was read: numbers of threads are used again."""
        try:
            fcntl.ioctl(listener, _IS_VALID, struct.pack("=Q", notice.key))
        except OSError:
            return False
        return True

    def go_on(self, listener: int, notice: Notice) -> None:
        """Let the call happen. Raises ``OSError`` where this kernel cannot (before Linux 5.5)."""
        try:
            fcntl.ioctl(listener, _SEND, bytearray(_ANSWER.pack(notice.key, 0, 0, _CONTINUE)))
        except OSError as exc:
            if exc.errno != errno.ENOENT:
                raise


def copy_descriptor(process: int, number: int) -> int:
    """A descriptor of another process, for us to ask (Linux 5.6). Raises ``OSError``."""
    pidfd = int(_libc.syscall(_PIDFD_OPEN, process, 0, 0))
    if pidfd < 0:
        raise _error("pidfd_open")
    try:
        copied = int(_libc.syscall(_PIDFD_GETFD, pidfd, number, 0))
    finally:
        os.close(pidfd)
    if copied < 0:
        raise _error("pidfd_getfd")
    return copied


def _error(what: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"{what}: {os.strerror(code)}")

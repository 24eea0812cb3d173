"""The inside of ``mirror.connected.building.sandbox``: give up the network, then run the given command and watch over it.

Run by path in a process of its own (``python -I network_isolation.py REPORT_FD PARENT WITHOUT SECONDS BYTES COMMAND...``), so
it imports the standard library alone, and ``supervision`` beside it; unshare(2) wants a process with one thread, which the
caller may not be.

Two fences, the first that works:

1. a new user and network namespace: there is no interface but a loopback of its own;
2. a seccomp filter: no socket of any family but AF_UNIX and AF_NETLINK can be made, and io_uring, which could make one
   unseen, is refused. There is no loopback then.

Both last until the process and all its children end; neither needs root. Which one it was is written to REPORT_FD, or why
there is none; the command runs only when there is one. A second line there says which limit ended the command. This keeps a
build from downloading. It is no jail for hostile code: such a build still runs as the user who called it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import socket
import struct
import sys

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1

# linux/bpf_common.h and linux/seccomp.h
_LOAD_WORD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; little endian on both machines
_X32_BIT = 0x40000000

_SYSCALLS = {  # audit architecture, socket(2), io_uring_setup(2)
    "x86_64": (0xC000003E, 41, 425),
    "aarch64": (0xC00000B7, 198, 425),
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def enter_namespace() -> None:
    """Leave for a network namespace in which only a loopback exists. Raises ``OSError`` where the kernel forbids it."""
    user, group = os.getuid(), os.getgid()
    _check(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET), "unshare")
    # user_namespaces(7): without "deny" an ordinary user may not write gid_map. We stay who we were.
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="utf-8") as stream:
            stream.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = struct.unpack("16xh", fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sh", b"lo", 0)))[0]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | _IFF_UP))


def network_filter(machine: str) -> bytes:
    """The BPF program that refuses sockets, as an array of ``struct sock_filter``.

    Raises:
        OSError: for a machine whose system call numbers we do not know.
    """
    if machine not in _SYSCALLS:
        raise OSError(errno.ENOSYS, f"no filter is known for {machine}")
    architecture, socket_call, io_uring_setup = _SYSCALLS[machine]
    refuse = _REFUSE | errno.ENETUNREACH
    program = (  # code, jump if true, jump if false, operand; a jump counts the instructions that it skips
        (_LOAD_WORD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),  # a 32-bit call: its numbers differ
        (_LOAD_WORD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, 6, 0, _X32_BIT),  # x32: the same calls under other numbers
        (_IF_EQUAL, 5, 0, io_uring_setup),
        (_IF_EQUAL, 0, 3, socket_call),
        (_LOAD_WORD, 0, 0, _FIRST_ARGUMENT),
        (_IF_EQUAL, 1, 0, socket.AF_UNIX),
        (_IF_EQUAL, 0, 1, socket.AF_NETLINK),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, refuse),
    )
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def enter_filter() -> None:
    """Install the filter for this process and its children. Raises ``OSError`` where the kernel has no seccomp."""
    code = network_filter(platform.machine())
    program = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(code) // 8, ctypes.addressof(program))  # struct sock_fprog
    pointer = ctypes.create_string_buffer(header, len(header))
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(pointer), 0, 0), "seccomp")


def enter(without: str = "") -> str:
    """Give up the network by the first fence that works, and say which.

    Args:
        without: name of a fence not to try; tests use it to reach the second one.

    Raises:
        OSError: naming each fence and why it failed.
    """
    # setuid programs could step out of both fences; the filter demands this as well.
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    reasons = []
    for name, fence in (("namespace", enter_namespace), ("seccomp", enter_filter)):
        if name in without:
            reasons.append(f"{name}: not tried")
            continue
        try:
            fence()
        except OSError as exc:
            reasons.append(f"{name}: {exc.strerror or exc}")
            continue
        return name
    raise OSError(errno.EPERM, "; ".join(reasons))


def main(arguments: list[str]) -> None:
    report, parent, without = int(arguments[0]), int(arguments[1]), arguments[2]
    limit_s, limit_bytes, command = float(arguments[3]), int(arguments[4]), arguments[5:]
    os.set_inheritable(report, False)
    try:
        os.write(report, b"cut off by " + enter(without).encode("ascii"))
    except OSError as exc:
        os.write(report, (exc.strerror or str(exc)).encode("utf-8", "replace"))
        os._exit(1)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120  # -I leaves it out
    from supervision import supervise  # type: ignore[import-not-found]

    status, ended = supervise(command, parent, limit_s, limit_bytes)
    os.write(report, f"\n{ended}".encode())
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])

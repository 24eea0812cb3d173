"""The calls that the kernel tells of, read: whom each names, over which kind of socket, and which name it asks for.

``mirror.closed.silence.notifier`` tells of them, ``mirror.closed.silence.attempts`` counts.

Rules: a caller's memory is read while it waits, and believed only if it still waits afterwards; what cannot be read is told as
missed, never passed over. It is for programs that mean no harm: one with threads could show one address and use another.

Example::

    Reader(notifier, listener, seen).look(notice)
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Union

from mirror.closed.silence.attempts import DNS_PORT, Seen
from mirror.closed.silence.notifier import Notice, Notifier, copy_descriptor
from mirror.closed.silence.questions import NSCD, RESOLVED, nscd_request, question

_MOST_BYTES = 1024
"""Of what is sent: a question is shorter."""

_MOST_MESSAGES, _MOST_PARTS = 1024, 1024
"""As many as the kernel takes in one call (UIO_MAXIOV)."""
_MESSAGE = struct.Struct("=QI4xQQ")  # msg_name, msg_namelen, msg_iov, msg_iovlen of struct msghdr
_MESSAGES_APART = 64  # bytes of struct mmsghdr

_LOCAL_FAMILIES = (socket.AF_UNSPEC, socket.AF_UNIX, socket.AF_NETLINK, 38)
"""AF_UNSPEC takes a connection back; 38 is AF_ALG, the kernel's own cryptography."""


class _Message(NamedTuple):
    """One destination, None for the socket's own, and the beginning of what is sent there."""

    address: bytes
    data: bytes


class _Peer(NamedTuple):
    """A socket: ``"tcp"``, ``"udp"`` or ``"ip"``, and what it is connected to, as Python gives addresses; None for nothing."""

    protocol: str
    name: Union[tuple[str, int], str, None]


class Reader:
    """Reads each notice into what was seen.

    Args:
        notifier, listener: where the notices are from.
        seen: where they are counted.
    """

    def __init__(self, notifier: Notifier, listener: int, seen: Seen) -> None:
        self._notifier, self._listener, self._seen = notifier, listener, seen
        self._peers: dict[tuple[int, int], _Peer] = {}
        """What was connected to what, for hosts where descriptors cannot be copied: (process, descriptor)."""

    def look(self, notice: Notice) -> None:
        """Count what a waiting call is about to do."""
        program = _program(notice.thread)
        try:
            messages = list(_messages(notice))
            process = _process(notice.thread)
        except (OSError, ValueError, struct.error) as exc:
            if self._notifier.still_waits(self._listener, notice):
                why = exc.strerror if isinstance(exc, OSError) else exc
                self._seen.missed(f"{program} called {notice.call}, and whereto could not be read: {why}")
            return
        if not self._notifier.still_waits(self._listener, notice):
            return
        if not notice.call:
            self._seen.missed(f"{program} is a program for another architecture, whose calls are not read")
            return
        descriptor = notice.arguments[0] & 0x7FFFFFFF
        for message in messages:
            self._count(process, descriptor, message, notice.call == "connect", program)

    def _count(self, process: int, descriptor: int, message: _Message, connects: bool, program: str) -> None:
        named = _address(message.address, is_sent=not connects)
        asks = question(message.data) or nscd_request(message.data)
        if not named and not asks:
            return  # more over a connection that was counted when it was made
        if isinstance(named, int):
            if named not in _LOCAL_FAMILIES:
                self._seen.other(named, program)
            return
        peer = self._peer(process, descriptor)
        if connects:
            self._peers[process, descriptor] = _Peer(peer.protocol, named or None)
        place = named or peer.name
        if isinstance(place, str):
            if place == RESOLVED and connects:
                self._seen.asked("a name, by systemd-resolved", place, program)
            elif place in NSCD and (name := nscd_request(message.data)):
                self._seen.asked(name, place, program)
        elif place:
            if named:
                self._seen.address(peer.protocol, place[0], place[1], program)
            if place[1] == DNS_PORT and (name := question(message.data)):
                self._seen.asked(name, place[0], program)

    def _peer(self, process: int, descriptor: int) -> _Peer:
        try:
            copied = copy_descriptor(process, descriptor)
        except OSError:
            return self._peers.get((process, descriptor), _Peer("ip", None))
        with socket.socket(fileno=copied) as found:
            protocol = {socket.SOCK_STREAM: "tcp", socket.SOCK_DGRAM: "udp"}.get(found.type, "ip")
            name = None
            with contextlib.suppress(OSError):
                name = found.getpeername()
        return _Peer(protocol, name if isinstance(name, str) or not name else (str(name[0]), int(name[1])))


def _messages(notice: Notice) -> Iterator[_Message]:
    """What a call sends where. Raises ``OSError`` when the caller's memory cannot be read."""
    first, second = notice.arguments[1], notice.arguments[2]
    with open(f"/proc/{notice.thread}/mem", "rb", buffering=0) as memory:
        if notice.call == "connect":
            yield _Message(_read(memory.fileno(), first, min(second, 128)), b"")
        elif notice.call == "sendto":
            data = _read(memory.fileno(), first, min(second, _MOST_BYTES))
            yield _Message(_read(memory.fileno(), notice.arguments[4], min(notice.arguments[5], 128)), data)
        elif notice.call == "sendmsg":
            yield _message(memory.fileno(), first)
        elif notice.call == "sendmmsg":
            for number in range(min(second & 0xFFFFFFFF, _MOST_MESSAGES)):
                yield _message(memory.fileno(), first + number * _MESSAGES_APART)


def _message(memory: int, place: int) -> _Message:
    name, name_size, parts, count = _MESSAGE.unpack(_read(memory, place, _MESSAGE.size))
    data = b""
    for number in range(min(count, _MOST_PARTS)):
        if len(data) >= _MOST_BYTES:
            break
        start, size = struct.unpack("=QQ", _read(memory, parts + number * 16, 16))
        data += _read(memory, start, min(size, _MOST_BYTES - len(data)))
    return _Message(_read(memory, name, min(name_size, 128)), data)


def _read(memory: int, place: int, size: int) -> bytes:
    if not place or size <= 0:
        return b""
    return os.pread(memory, size, place)


def _address(data: bytes, is_sent: bool) -> Union[tuple[str, int], str, int]:
    """A ``struct sockaddr``: address and port, a socket's path, or the number of another family; empty for none.

    Args:
        is_sent: whether something is sent there; an address without a family is then taken for IPv4's (net/ipv4/udp.c).

    Raises:
        ValueError: when it is too short for its family.
    """
    if len(data) < 2:
        return ""
    (family,) = struct.unpack("=H", data[:2])
    is_inet = family == socket.AF_INET or (is_sent and family == socket.AF_UNSPEC)
    if is_inet and len(data) >= 8:
        return socket.inet_ntoa(data[4:8]), struct.unpack(">H", data[2:4])[0]
    if family == socket.AF_INET6 and len(data) >= 24:
        return socket.inet_ntop(socket.AF_INET6, data[8:24]), struct.unpack(">H", data[2:4])[0]
    if family == socket.AF_UNIX:
        return os.fsdecode(data[2:].partition(b"\0")[0]) or "an abstract name"
    return int(family)


def _program(thread: int) -> str:
    try:
        return Path(f"/proc/{_process(thread)}/comm").read_text("utf-8", "replace").strip()
    except (OSError, ValueError):
        return f"process {thread}"


def _process(thread: int) -> int:
    """The process that a thread is of."""
    for line in Path(f"/proc/{thread}/status").read_text("utf-8", "replace").splitlines():
        if line.startswith("Tgid:"):
            return int(line.split()[1])
    raise ValueError(f"process {thread} does not say whose thread it is")

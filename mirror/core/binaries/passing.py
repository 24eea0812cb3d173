"""A compiled file that goes by but once, as a stream that can be read where its headers are.

What ``mirror.core.binaries.elf`` and ``mirror.core.binaries.fatbin`` ask for lies at a file's beginning, at its end, in the
dynamic section, and at the beginning of each piece of GPU code: that is kept while the content goes by, and nothing of it is
written. The content of a wheel can be decompressed again from the middle (``mirror.core.archives.zipseek``); that of an RPM or
of a tar cannot.

Rules: memory is flat, whatever the file's size; what is read is what was at that place; a place that was not kept is
``NotKept``, never a guess: whoever reads the archive reads it again, and copies that one file.

Example::

    passing = Passing()
    for piece in pieces:
        passing.feed(piece)
    read_elf(io.BufferedReader(passing))
"""

from __future__ import annotations

import struct
from collections import deque

from mirror.core.archives.pieces import Places
from mirror.core.binaries.fatheaders import GpuHeaders

HEAD_BYTES = 8 << 20
"""A file up to this size is kept whole."""

_TAIL_BYTES = 2 << 20
_MAX_RANGE = 1 << 20
_MAX_HEADERS = 64
_DYNAMIC = 2


class NotKept(OSError):
    """A place is asked for that went by and was not kept."""


class Passing(Places):
    """What was kept of the content so far; feed it all before it is read."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._ranges: dict[tuple[int, int], bytearray] = {}
        self._is_large = False
        self._gpus = GpuHeaders()

    def feed(self, piece: bytes) -> None:
        """Take in the next piece of the content."""
        start, room = self._size, HEAD_BYTES - len(self._head)
        self._size += len(piece)
        self._gpus.feed(piece)
        self._head += piece[:room]
        if self._size <= HEAD_BYTES:
            return
        if not self._is_large:
            self._is_large = True
            self._ranges = {place: bytearray() for place in _dynamic(self._head) if place[0] >= HEAD_BYTES}
        for (first, stop), kept in self._ranges.items():
            kept += piece[max(0, first - start) : max(0, stop - start)]
        rest = piece[max(0, room) :]
        self._tail.append(rest)
        self._tail_size += len(rest)
        while self._tail_size - len(self._tail[0]) >= _TAIL_BYTES:
            self._tail_size -= len(self._tail.popleft())

    def read(self, size: int = -1) -> bytes:
        """The bytes from here on. Raises ``NotKept``."""
        left = max(0, self._size - self._offset)
        size = left if size < 0 else min(size, left)
        data = self._kept(self._offset, size)
        self._offset += size
        return data

    def _kept(self, offset: int, size: int) -> bytes:
        if offset + size <= len(self._head):
            return bytes(self._head[offset : offset + size])
        start = self._size - self._tail_size
        if offset >= start:
            tail = b"".join(self._tail)
            return tail[offset - start : offset - start + size]
        places = ((first, bytes(kept)) for (first, _), kept in self._ranges.items() if first <= offset)
        gpu = ((offset, self._gpus.kept[offset]) for _ in range(offset in self._gpus.kept))
        for first, kept in (*places, *gpu):
            data = kept[offset - first : offset - first + size]
            if len(data) == size:
                return data
        raise NotKept(f"{size} bytes at {offset} went by")


def _dynamic(head: bytearray) -> list[tuple[int, int]]:
    """Where a file's dynamic section lies, by its program headers; nothing that is larger than any is."""
    try:
        (table,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        found = []
        for index in range(min(count, _MAX_HEADERS)):
            kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", head, table + index * size)
            if kind == _DYNAMIC and length <= _MAX_RANGE:
                found.append((offset, offset + length))
        return found[:4]
    except (struct.error, OverflowError):  # they lead beyond what was read
        return []

"""The members of a zip file, one by one, in bounded memory whatever the file claims.

``zipfile`` takes the whole directory of a zip into memory before it gives the first name, and inflates a member to whatever
size it has. Wheels are judged far more strictly, by ``mirror.core.wheels.wheelzip``; this reader is for the dumps of a
vulnerability database, which many tools write in many ways.

Rules: the directory is read entry by entry; a member is inflated to a limit and no further; a member that cannot be read is an
error of that member, not of the file; encryption and compression other than deflate are refused.

Example::

    for member in zip_members(stream):
        data = member.read(stream, limit=4 << 20)
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_BYTES = (1 << 32) - 2
"""Up to here offsets need no zip64 fields of a member."""

MAX_MEMBERS = 2_000_000

_END, _END64, _LOCATOR, _ENTRY, _LOCAL = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2", b"PK\3\4"
_MAX_COMMENT = (1 << 16) - 1
_CHUNK = 1 << 16


class NoZip(ValueError):
    """What should be a zip file is none, or is damaged."""


@dataclass(frozen=True)
class ZipMember:
    """One entry of the directory.

    Attributes:
        name: as it stands there, never to be used as a path.
        method: 0 stored, 8 deflated.
        flags: bit 0 is encryption.
        packed: bytes in the file.
        size: bytes once unpacked, by the directory's word.
        offset: of its local header.
    """

    name: str
    method: int
    flags: int
    packed: int
    size: int
    offset: int

    def read(self, stream: BinaryIO, limit: int) -> bytes:
        """Its bytes. Raises NoZip: when they are more than ``limit`` or cannot be read."""
        if self.flags & 1 or self.method not in (0, 8):
            raise NoZip(f"{self.name}: encrypted, or compressed by method {self.method}")
        if max(self.size, self.packed) > limit:
            raise NoZip(f"{self.name}: {max(self.size, self.packed)} bytes, more than the {limit} allowed")
        local = _at(stream, self.offset, 30)
        if local[:4] != _LOCAL:
            raise NoZip(f"{self.name}: there is no file where the directory says")
        name, extra = struct.unpack("<HH", local[26:30])
        packed = _at(stream, self.offset + 30 + name + extra, self.packed)
        data = packed if self.method == 0 else self._inflated(packed)
        if len(data) != self.size:
            raise NoZip(f"{self.name}: {len(data)} bytes, the directory says {self.size}")
        return data

    def _inflated(self, packed: bytes) -> bytes:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            # One byte more than promised is enough to see a lie; it is never inflated further.
            return inflater.decompress(packed, self.size + 1)
        except zlib.error as exc:
            raise NoZip(f"{self.name}: {exc}") from exc


def zip_members(stream: BinaryIO) -> Iterator[ZipMember]:
    """The entries of a zip file's directory, in its order.

    Raises:
        NoZip: when there is no directory, or it is not as it says.
    """
    size = stream.seek(0, os.SEEK_END)
    if size > MAX_BYTES:
        raise NoZip(f"{size} bytes, more than the {MAX_BYTES} allowed")
    count, length, position = _directory(stream, size)
    if count > MAX_MEMBERS or position + length > size:
        raise NoZip(f"its directory of {count} entries and {length} bytes cannot be in {size} bytes")
    end = position + length
    for _ in range(count):
        entry = _at(stream, position, 46)
        if entry[:4] != _ENTRY:
            raise NoZip(f"no entry of its directory at byte {position}")
        flags, method = struct.unpack("<HH", entry[8:12])
        packed, unpacked = struct.unpack("<II", entry[20:28])
        name, extra, comment = struct.unpack("<HHH", entry[28:34])
        (offset,) = struct.unpack("<I", entry[42:46])
        yield ZipMember(
            _at(stream, position + 46, name).decode("utf-8", "replace"), method, flags, packed, unpacked, offset
        )
        position += 46 + name + extra + comment
        if position > end:
            raise NoZip("its directory is longer than it says")


def _directory(stream: BinaryIO, size: int) -> tuple[int, int, int]:
    """How many entries, in how many bytes, from which byte on."""
    tail_at = max(0, size - 22 - _MAX_COMMENT)
    tail = _at(stream, tail_at, size - tail_at)
    found = tail.rfind(_END)
    if found < 0 or len(tail) - found < 22:
        raise NoZip("no zip file: it has no directory at its end")
    count, length, position = struct.unpack("<HII", tail[found + 10 : found + 20])
    if count < 0xFFFF and length < 0xFFFFFFFF and position < 0xFFFFFFFF:
        return count, length, position
    locator = tail[max(0, found - 20) : found]
    if locator[:4] != _LOCATOR or len(locator) < 20:
        return count, length, position  # 65,535 entries and no more
    end64 = _at(stream, struct.unpack("<Q", locator[8:16])[0], 56)
    if end64[:4] != _END64:
        raise NoZip("its zip64 directory is not where it says")
    count, length, position = struct.unpack("<QQQ", end64[32:56])
    return count, length, position


def _at(stream: BinaryIO, offset: int, size: int) -> bytes:
    """Exactly these bytes, in pieces, so that a false size takes no memory."""
    if offset > MAX_BYTES:
        raise NoZip(f"it ends before byte {offset}")
    stream.seek(offset)
    data = bytearray()
    while len(data) < size:
        piece = stream.read(min(_CHUNK, size - len(data)))
        if not piece:
            raise NoZip(f"it ends before byte {offset + size}")
        data += piece
    return bytes(data)

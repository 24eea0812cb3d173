"""A wheel's zip file, read so strictly that no two readers can see two different wheels in it.

It holds the archive's local headers and its members' bytes; ``mirror.core.archives.zipdirectory`` reads the central directory.
``mirror.core.vetting.wheel`` judges what a wheel must hold; ``mirror.core.wheels.paths`` knows which names are plain.

Rules (SECURITY.md 22 to 24 and 47):
(1) every byte belongs to something: the members lie one after another from the first byte to the central directory, which
    ends where the archive's end begins; nothing before, between or after, no comment, no second end;
(2) each local header says what the central directory says; no name twice;
(3) methods stored and deflate only, nothing encrypted, no field that readers understand differently;
(4) a member is exactly as long as announced, with the announced CRC, and nothing follows its compressed stream;
(5) sizes are judged before anything is read; memory is flat: the directory has a cap, contents are streamed.

A member that is announced by a data descriptor is judged by all these rules; that there is one is told, for PyPI refuses it.

Example::

    archive = read_archive(stream)
    for member in archive.members:
        for piece in archive.content(member): ...
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import BinaryIO

from mirror.core.archives.zipdirectory import (
    DEFLATED,
    DESCRIPTOR,
    MAX16,
    MAX32,
    STORED,
    ZIP64,
    BadZip,
    Member,
    bytes_at,
    check_flags,
    extra_fields,
    member_name,
    read_directory,
    refuse,
    widened,
)
from mirror.core.archives.zipseek import Marks, seekable

__all__ = ["Archive", "BadZip", "Marks", "Member", "read_archive"]

_LOCAL = struct.Struct("<4s5H3L2H")
_BLOCK = 1 << 18
_PIECE = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A zip file whose form is sound.

    Attributes:
        members: in the order of their bytes.
        size: bytes of the archive.
        library: ``zlib``, or one that has its functions and is faster.
    """

    stream: BinaryIO
    members: tuple[Member, ...]
    size: int
    library: ModuleType = zlib

    def content(self, member: Member, marks: Marks | None = None) -> Iterator[bytes]:
        """A member's content in pieces of at most a mebibyte (rule 4).

        Args:
            marks: where to put down places to which ``seekable`` can go back afterwards.

        Raises:
            BadZip: when it is not exactly what was announced; the pieces handed out before are to be forgotten.
        """
        crc = size = 0
        for piece in self._inflated(member, marks) if member.method == DEFLATED else self._packed(member):
            size += len(piece)
            if size > member.size:
                refuse(f"{member.name!r} has more than the {member.size} bytes that are announced", "zip-content")
            crc = self.library.crc32(piece, crc)
            yield piece
        if size != member.size:
            refuse(f"{member.name!r} has {size} bytes, {member.size} are announced", "zip-content")
        if crc != member.crc:
            refuse(f"{member.name!r} has CRC {crc:08x}, {member.crc:08x} is announced", "zip-content")

    def seekable(
        self,
        member: Member,
        marks: Marks,
        known: Mapping[int, bytes] = MappingProxyType({}),
        scratch: Path | None = None,
    ) -> BinaryIO:
        """A member that went by once, to be read at any place; see ``mirror.core.archives.zipseek``."""
        return seekable(self.stream, member, marks, known, scratch, self.library.error)

    def read(self, member: Member, limit: int) -> bytes:
        """A small member's content. Raises BadZip: as ``content`` does, and for one of more than ``limit`` bytes."""
        self.checked(member, limit)
        return b"".join(self.content(member))

    @staticmethod
    def checked(member: Member, limit: int) -> int:
        """A small member's size. Raises ``BadZip`` for one of more than ``limit`` bytes."""
        if member.size > limit:
            refuse(f"{member.name!r} has {member.size} bytes, at most {limit} are read", "zip-content")
        return member.size

    def _packed(self, member: Member) -> Iterator[bytes]:
        left = member.packed
        while left:
            self.stream.seek(member.start + member.packed - left)  # others may read it between two pieces
            block = self.stream.read(min(left, _BLOCK))
            if not block:
                refuse(f"{member.name!r} is cut short", "zip-content")
            left -= len(block)
            yield block

    def _inflated(self, member: Member, marks: Marks | None) -> Iterator[bytes]:
        inflate, consumed, produced = self.library.decompressobj(-zlib.MAX_WBITS), 0, 0
        try:
            for block in self._packed(member):
                if marks is not None:
                    marks.note(produced, consumed, inflate)
                consumed += len(block)
                while block:
                    if inflate.eof:
                        refuse(f"there are bytes after the compressed stream of {member.name!r}", "zip-content")
                    piece = inflate.decompress(block, _PIECE)
                    produced += len(piece)
                    yield piece
                    block = inflate.unconsumed_tail or inflate.unused_data
            while not inflate.eof:  # what is left in the decompressor's window, a piece at a time
                piece = inflate.decompress(b"", _PIECE)
                if not piece and not inflate.eof:
                    refuse(f"the compressed stream of {member.name!r} is cut short", "zip-content")
                yield piece
        except self.library.error as exc:
            refuse(f"the compressed stream of {member.name!r} is broken: {exc}", "zip-content")


def read_archive(stream: BinaryIO, library: ModuleType = zlib) -> Archive:
    """Read an archive's form; no content is looked at.

    Args:
        stream: seekable; the caller closes it.
        library: see ``Archive``.

    Raises:
        BadZip: at the first rule that it breaks.
    """
    members, end = read_directory(stream)
    return Archive(stream, tuple(_with_local_headers(stream, members, end)), stream.seek(0, os.SEEK_END), library)


def _with_local_headers(stream: BinaryIO, members: list[Member], end: int) -> Iterator[Member]:
    """Rules 1 and 2: the members fill the archive up to the directory, each under a header that agrees."""
    offset = 0
    for index, member in enumerate(members):
        following = members[index + 1].header if index + 1 < len(members) else end
        if member.header != offset:
            refuse(f"there are {member.header - offset} bytes before {member.name!r} that belong to nothing")
        start, offset = _check_local(stream, member, following)
        if offset != following:
            refuse(f"{member.name!r} ends at byte {offset}, what follows begins at {following}")
        if member.is_directory and member.size:
            refuse(f"the directory {member.name!r} has content", "member-type")
        if member.method == STORED and member.packed != member.size:
            refuse(f"{member.name!r} is stored in {member.packed} bytes and has {member.size}")
        yield replace(member, start=start)
    if offset != end:
        refuse(f"there are {end - offset} bytes before its directory that belong to nothing")


def _check_local(stream: BinaryIO, member: Member, following: int) -> tuple[int, int]:
    """Hold a local header to the directory's; where the member's bytes begin, and where it ends."""
    if member.header + _LOCAL.size > following:
        refuse(f"{member.name!r} overlaps what follows it")
    head = bytes_at(stream, member.header, min(_LOCAL.size + 2 * MAX16, following - member.header, 512))
    signature, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack_from(head)
    start = member.header + _LOCAL.size + name_size + extra_size
    if start + member.packed > following:
        refuse(f"{member.name!r} overlaps what follows it")
    if start - member.header > len(head):
        head = bytes_at(stream, member.header, start - member.header)
    raw = head[_LOCAL.size : _LOCAL.size + name_size]
    extra = head[_LOCAL.size + name_size : start - member.header]
    if signature != b"PK\x03\x04" or member_name(raw, flags) != member.name:
        refuse(f"{member.name!r} of its directory has no local header of that name")
    check_flags(member.name, flags, method)
    extras = extra_fields(member.name, raw, extra)
    descriptor = bool(flags & DESCRIPTOR)
    if ZIP64 in extras:
        # APPNOTE 4.5.3: here the field holds both sizes. Some writers (bazel's, of protobuf) add it where nothing overflows.
        wide = widened(member.name, extras, MAX32, MAX32)
        size, packed = (long if short in (long, MAX32) else -1 for short, long in zip((size, packed), wide))
    found = (method, descriptor, crc, packed, size)
    wanted = (member.method, member.descriptor, member.crc, member.packed, member.size)
    if found != wanted and not (descriptor and (method, descriptor, *found[2:]) == (*wanted[:2], 0, 0, 0)):
        refuse(f"{member.name!r} is {wanted} in its directory, {found} in its local header (method, ..., CRC, sizes)")
    end = start + member.packed
    return start, end + _descriptor(stream, member, end, following - end) if descriptor else end


def _descriptor(stream: BinaryIO, member: Member, offset: int, size: int) -> int:
    """The length of a data descriptor, which says once more what the directory says."""
    wanted = {
        signature + struct.pack(form, member.crc, member.packed, member.size)
        for form, limit in (("<3L", MAX32), ("<L2Q", 1 << 63))
        for signature in (b"", b"PK\x07\x08")
        if max(member.packed, member.size) < limit
    }
    if size > 24 or bytes_at(stream, offset, size) not in wanted:
        refuse(f"the data descriptor of {member.name!r} does not say what its directory says")
    return size

"""The central directory of a zip file, read so strictly that every reader finds the same one.

``mirror.core.wheels.wheelzip`` reads local headers and contents.

Rules (SECURITY.md 22 to 24): the archive ends with its end, without a comment, and the directory ends where that begins; a
ZIP64 end says what the plain one says; each entry has one name in one encoding, each extra field once, a known method, and the
type of a file or a directory; the directory's size has a cap, and is judged before it is read.

Example::

    members, end = read_directory(stream)
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

MAX_MEMBERS = 1 << 18
"""The largest wheel of a CUDA stack has 16,000."""

MAX_DIRECTORY_BYTES = 64 << 20

MAX16, MAX32 = 0xFFFF, 0xFFFFFFFF
STORED, DEFLATED = 0, 8
DESCRIPTOR = 0b1000
"""Flag: the member's sizes follow it."""

ZIP64 = 0x0001
"""Extra field with what does not fit into 32 bits."""

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_ENCRYPTED, _LEVEL, _UTF8 = 0b10_0000_0100_0001, 0b110, 1 << 11
_UNICODE_PATH = 0x7075
_DOS_DIRECTORY = 0x10


class BadZip(Exception):
    """The archive breaks a rule. Whoever reads it says whose it is (``mirror.core.vetting.wheel``).

    Attributes:
        rule: ``zip-structure``, ``zip-encrypted``, ``zip-method``, ``zip-content`` or ``member-type``.
        problem: one sentence's predicate.
    """

    def __init__(self, rule: str, problem: str) -> None:
        super().__init__(rule, problem)
        self.rule, self.problem = rule, problem

    def __str__(self) -> str:
        return self.problem


def refuse(problem: str, rule: str = "zip-structure") -> NoReturn:
    raise BadZip(rule, problem)


@dataclass(frozen=True)
class Member:
    """A file or directory of the archive, both of whose headers agree.

    Attributes:
        name: as it stands there, not judged yet; a directory's ends with a slash.
        method: 0 stored, 8 deflate.
        crc: of the content.
        packed, size: bytes in the archive, and of the content.
        mode: Unix type and permission bits; 0 where there are none.
        descriptor: whether its sizes follow it.
        header: where its local header begins.
        start: where its bytes begin.
    """

    name: str
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    descriptor: bool
    header: int
    start: int = 0

    @property
    def is_directory(self) -> bool:
        return self.name.endswith("/")


def read_directory(stream: BinaryIO) -> tuple[list[Member], int]:
    """The members that the central directory lists, in the order of their bytes, and where it begins.

    Raises:
        BadZip: at the first rule that it breaks.
    """
    size = stream.seek(0, os.SEEK_END)
    count, offset, end = _find_directory(stream, size)
    members = sorted(_directory(bytes_at(stream, offset, end - offset), count), key=lambda member: member.header)
    names = set()
    for member in members:
        if member.name in names:
            refuse(f"{member.name!r} is in it twice")
        names.add(member.name)
    return members, offset


def bytes_at(stream: BinaryIO, offset: int, size: int) -> bytes:
    stream.seek(offset)
    data = stream.read(size)
    if len(data) != size:
        refuse("it is cut short")
    return data


def _find_directory(stream: BinaryIO, size: int) -> tuple[int, int, int]:
    """How many members there are, and where the central directory begins and ends."""
    if size < _END.size:
        refuse("it is too short to be a zip file")
    end = size - _END.size
    signature, disk, first, here, count, length, offset, comment = _END.unpack(bytes_at(stream, end, _END.size))
    if signature != b"PK\x05\x06" or comment:
        refuse("it does not end as a zip file does: something follows its end, or its end has a comment")
    # Python's zipfile goes by a locator wherever one stands, other readers only where a field overflows: one of them then
    # reads another directory. Here both must say the same.
    if end >= _LOCATOR.size and bytes_at(stream, end - _LOCATOR.size, 4) == b"PK\x06\x07":
        plain = (disk, first, here, count, length, offset)
        (disk, first, here, count, length, offset), end = _end64(stream, end - _LOCATOR.size, plain)
    elif MAX16 in (here, count) or MAX32 in (length, offset):
        refuse("it needs a ZIP64 end and has none")
    if disk or first or here != count:
        refuse("it is one of several disks")
    if offset + length != end:
        refuse(f"its central directory is said to end at byte {offset + length}, its end begins at {end}")
    if count > MAX_MEMBERS or length > MAX_DIRECTORY_BYTES:
        refuse(f"its directory has {count} members in {length} bytes; {MAX_MEMBERS} are allowed")
    return count, offset, end


def _end64(stream: BinaryIO, locator: int, plain: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """The ZIP64 end before its locator: its fields, each held to the plain end's, and where it begins."""
    _, disk, offset, disks = _LOCATOR.unpack(bytes_at(stream, locator, _LOCATOR.size))
    if disk or disks != 1 or offset != locator - _END64.size:
        refuse("its ZIP64 locator does not lead to the ZIP64 end before it")
    signature, size, _, _, *fields = _END64.unpack(bytes_at(stream, offset, _END64.size))
    if signature != b"PK\x06\x06" or size != _END64.size - 12:
        refuse("its ZIP64 end is none")
    for value, short, limit in zip(fields, plain, (MAX16,) * 4 + (MAX32,) * 2):
        if short not in (value, limit):
            refuse(f"its end says {short}, its ZIP64 end {value}")
    return tuple(fields), offset


def _directory(data: bytes, count: int) -> Iterator[Member]:
    """The members that the central directory lists."""
    view, offset = memoryview(data), 0
    for _ in range(count):
        if offset + _CENTRAL.size > len(view):
            refuse("its central directory is shorter than its end says")
        (signature, made, _, flags, method, _, _, crc, packed, size, name_size, extra_size, comment, disk, _, attributes,
         header) = _CENTRAL.unpack_from(view, offset)  # fmt: skip
        offset += _CENTRAL.size
        if signature != b"PK\x01\x02":
            refuse("its central directory holds something else than members")
        raw, extra = bytes(view[offset : offset + name_size]), bytes(view[offset + name_size :][:extra_size])
        offset += name_size + extra_size
        if offset > len(view):
            refuse("its central directory is shorter than its end says")
        name = member_name(raw, flags)
        if comment or disk:
            refuse(f"{name!r} has a comment, or is on another disk")
        check_flags(name, flags, method)
        size, packed, header = widened(name, extra_fields(name, raw, extra), size, packed, header)
        yield Member(name, method, crc, packed, size, _mode(name, made, attributes), bool(flags & DESCRIPTOR), header)
    if offset != len(view):
        refuse("its central directory holds more than the members that its end counts")


def member_name(raw: bytes, flags: int) -> str:
    """Without the UTF-8 flag some readers take a name for cp437, some for UTF-8: then it is ASCII."""
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        refuse(f"the name {raw!r} is not in the encoding that it says")
    if not name:
        refuse("a member has no name")
    return name


def check_flags(name: str, flags: int, method: int) -> None:
    if flags & _ENCRYPTED:
        refuse(f"{name!r} is encrypted", "zip-encrypted")
    if method not in (STORED, DEFLATED):
        refuse(f"{name!r} is compressed by method {method}; wheels use 0 and 8", "zip-method")
    if flags & ~(DESCRIPTOR | _LEVEL | _UTF8):
        refuse(f"{name!r} has flags {flags:#x}")


def extra_fields(name: str, raw: bytes, extra: bytes) -> Mapping[int, bytes]:
    """A header's extra fields, each once."""
    fields: dict[int, bytes] = {}
    while extra:
        if len(extra) < 4:
            refuse(f"{name!r} has a broken extra field")
        kind, size = struct.unpack_from("<2H", extra)
        if kind in fields or size + 4 > len(extra):
            refuse(f"{name!r} has extra field {kind:#06x} twice, or cut short")
        fields[kind], extra = extra[4 : 4 + size], extra[4 + size :]
    unicode_path = fields.get(_UNICODE_PATH)
    if unicode_path is not None and (
        unicode_path[:1] != b"\x01"
        or unicode_path[1:5] != struct.pack("<L", zlib.crc32(raw))
        or unicode_path[5:] != name.encode("utf-8")
    ):
        refuse(f"{name!r} has another name in its Unicode path field")
    return fields


def widened(name: str, extras: Mapping[int, bytes], *values: int) -> Iterator[int]:
    """32-bit fields, each that overflows replaced by its place in the ZIP64 field, which holds nothing else."""
    wide = extras.get(ZIP64, b"")
    if len(wide) != 8 * values.count(MAX32):
        refuse(f"the ZIP64 field of {name!r} has {len(wide)} bytes, {8 * values.count(MAX32)} are needed")
    more = iter(struct.unpack(f"<{len(wide) // 8}Q", wide))
    return (next(more) if value == MAX32 else value for value in values)


def _mode(name: str, made: int, attributes: int) -> int:
    """Unix mode. Installers look at it whatever system the member says it was made on."""
    mode = attributes >> 16
    kind = stat.S_IFMT(mode)
    is_directory = name.endswith("/")
    if kind not in (0, stat.S_IFDIR if is_directory else stat.S_IFREG):
        refuse(f"{name!r} is no file or directory (mode {mode:o})", "member-type")
    if attributes & _DOS_DIRECTORY and not is_directory and made >> 8 in (0, 10):
        refuse(f"{name!r} is a directory by its attributes and a file by its name", "member-type")
    return mode

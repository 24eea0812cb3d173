"""A member's header in a tar, as GNU tar, Python and libarchive write them: ustar, GNU long names, pax records.

``mirror.core.archives.tarstream`` decides which members an archive may hold. This module takes blocks apart, opens nothing and
trusts nothing in them.

Rules: the checksum is right; numbers are octal digits; names are UTF-8; an extended header names a path or a link's target,
and what else it says is of times and owners. One that would change how content is read (a size, a sparse map) is refused.

Example::

    header = read_header(block)
    header.name, header.size
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = 512

FILE, OLD_FILE, HARD_LINK, SYMLINK, DIRECTORY = b"0", b"\0", b"1", b"2", b"5"
LONG_NAME, LONG_LINK = b"L", b"K"
PAX, PAX_GLOBAL = b"x", b"g"

_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
_RECORD = re.compile(rb"([1-9][0-9]{0,5}) ([^=\n]+)=")


@dataclass(frozen=True)
class Header:
    """What one header block says.

    Attributes:
        name: the path as it stands there.
        kind: the type flag.
        mode: permission bits.
        size: bytes of content that follow, before padding.
        link: target of a link as it stands there.
        time: of the last change, in whole seconds since 1970 UTC; 0 where the field is no octal number.
    """

    name: str
    kind: bytes
    mode: int
    size: int
    link: str
    time: int = 0


def read_header(block: bytes) -> Header:
    """Take a header of 512 bytes apart. Raises ValueError: with what is wrong."""
    if block[257:263] not in (b"ustar\0", b"ustar "):
        raise ValueError("a header has no ustar magic")
    if sum(block[:148]) + 8 * 32 + sum(block[156:]) != _number(block[148:156]):
        raise ValueError("a header has a wrong checksum")
    name = _field(block[:100])
    if block[257:263] == b"ustar\0" and (prefix := _field(block[345:500])):
        name = f"{prefix}/{name}"
    mode, size, time = _number(block[100:108]), _number(block[124:136]), _OCTAL.fullmatch(block[136:148])
    return Header(name, block[156:157], mode & 0o7777, size, _field(block[157:257]), int(time[1], 8) if time else 0)


def pax_names(data: bytes) -> Iterator[tuple[str, str]]:
    """The names that a pax header gives: ``("path", ...)``, ``("linkpath", ...)``.

    Raises:
        ValueError: for a broken record, and for one that changes how content is read.
    """
    at = 0
    while at < len(data):
        match = _RECORD.match(data, at)
        if not match or at + int(match[1]) > len(data) or data[at + int(match[1]) - 1] != 10:
            raise ValueError("a pax header is broken")
        key, value = text(match[2]), data[match.end() : at + int(match[1]) - 1]
        if key in ("size", "hdrcharset") or key.startswith("GNU.sparse"):
            raise ValueError(f"a pax header says {key}")
        if key in ("path", "linkpath"):
            yield key, text(value)
        at += int(match[1])


def text(raw: bytes) -> str:
    """A name. Raises ValueError: when it is not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ValueError(f"the name {raw!r} is not UTF-8") from exc


def _field(raw: bytes) -> str:
    return text(raw.partition(b"\0")[0])


def _number(raw: bytes) -> int:
    match = _OCTAL.fullmatch(raw)
    if not match:
        raise ValueError(f"{raw!r} is no octal number")
    return int(match[1], 8)

"""torch's byte strings that begin with a checksum: found in a file, and made right where a path in them was replaced.

torch keeps compiled code so, and refuses what does not fit its checksum ("Bytes object is corrupted"): four bytes of CRC-32,
big-endian, of all that follows; then fields, each a length of eight bytes, big-endian, and as many bytes
(``torch.utils._appending_byte_serializer``). A file may be such a string, or hold one wherever a pickle put it, which its first
field tells (``torch._inductor.standalone_compile``); a field may be one again.

Example::

    moved = rechecked(data, data.replace(old, new))     # paths of equal length
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_CHECKSUM, _LENGTH = 4, 8
_KINDS = {b"AOTCompiledArtifact": 3, b"CacheCompiledArtifact": 4}
"""The first field of a compiled artifact -> how many fields it has."""


def rechecked(before: bytes, after: bytes) -> bytes:
    """The same bytes with right checksums.

    Args:
        before: the bytes as torch wrote them, each checksum right.
        after: as many, some replaced.
    """
    data = bytearray(after)
    for start, end in sorted(set(_ranges(before)), key=lambda one: one[1] - one[0]):  # what is within another first
        data[start : start + _CHECKSUM] = _checksum(data, start, end)
    return bytes(data)


def _checksum(data: bytes | bytearray, start: int, end: int) -> bytes:
    with memoryview(data) as view:
        return zlib.crc32(view[start + _CHECKSUM : end]).to_bytes(_CHECKSUM, "big")


def _ranges(data: bytes) -> Iterator[tuple[int, int]]:
    """Where a string with a checksum begins and ends, of all that fit theirs."""
    candidates = [(0, len(data))]
    for kind, count in _KINDS.items():
        first = len(kind).to_bytes(_LENGTH, "big") + kind
        at = data.find(first)
        while at >= 0:
            fields = _fields(data, at, count)
            if fields:
                candidates += [(at - _CHECKSUM, fields[-1][1]), fields[-1]]
            at = data.find(first, at + 1)
    for start, end in candidates:
        if 0 <= start < end - _CHECKSUM and data[start : start + _CHECKSUM] == _checksum(data, start, end):
            yield start, end


def _fields(data: bytes, at: int, count: int) -> list[tuple[int, int]]:
    """Where so many fields begin and end; nothing when they are not all there."""
    found = []
    for _ in range(count):
        start = at + _LENGTH
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data):
            return []
        found.append((start, at))
    return found

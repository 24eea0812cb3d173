"""A file of a bundle as a delta sees it: its bytes; and where it is a zip file, its framing and its members unpacked.

The framing is everything in a zip file that is no member's content: headers and directory, one after another. A stretch of any
of these is named by three numbers (``Slice``): 0 is the file as it lies there, 1 its framing, 2 and more its members in the
order of their bytes, inflated.

Rules: a zip file is read by the strict reader of wheels (``mirror.core.wheels.wheelzip``); contents are streamed.

Example::

    file = Unpacked(bundle.open(artifact), artifact.size)
    b"".join(file.read(Slice(2, 0, file.size_of(2))))
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from mirror.core.errors import reading
from mirror.core.wheels.wheelzip import Archive, BadZip, Member, read_archive

FILE, FRAMING, FIRST_MEMBER = 0, 1, 2
_CHUNK = 1 << 18


class Slice(NamedTuple):
    """A stretch of a file: which part of it, from which byte on, how many bytes."""

    part: int
    start: int
    length: int


class Unpacked:
    """One file, open.

    Args:
        stream: over its bytes; belongs to the caller.
        size: of the file.
        name: of the file, for messages.

    Raises:
        BadZip: by everything that needs its members, when it is no zip file that is read here.
    """

    def __init__(self, stream: BinaryIO, size: int, name: str = "") -> None:
        self._stream, self.size, self._name = stream, size, name
        self._archive: Archive | None = None

    @property
    def archive(self) -> Archive:
        """The file as a zip file."""
        if self._archive is None:
            with reading(self._name, below=True):
                self._archive = read_archive(self._stream)
        return self._archive

    @property
    def members(self) -> tuple[Member, ...]:
        """In the order of their bytes."""
        return self.archive.members

    def gaps(self) -> list[tuple[int, int]]:
        """Where the framing is: before each member and after the last, from which byte on and how many bytes."""
        ends = [0, *(member.start + member.packed for member in self.members)]
        starts = [*(member.start for member in self.members), self.size]
        return [(end, start - end) for end, start in zip(ends, starts)]

    def size_of(self, part: int) -> int:
        """Bytes of a part; -1 where there is no such part."""
        if part == FILE:
            return self.size
        if part == FRAMING:
            return sum(length for _, length in self.gaps())
        number = part - FIRST_MEMBER
        return self.members[number].size if 0 <= number < len(self.members) else -1

    def read(self, one: Slice) -> Iterator[bytes]:
        """The bytes of a stretch that is within its part.

        Raises:
            BadZip: when its members are not what they say.
            Unreadable: when the file cannot be read.
        """
        if one.part == FILE:
            return self._raw(one.start, one.length)
        pieces = self._framing() if one.part == FRAMING else self.content(self.members[one.part - FIRST_MEMBER])
        return _within(pieces, one.start, one.length)

    def packed(self, member: Member) -> Iterator[bytes]:
        """A member's bytes as they lie in the file."""
        return self._raw(member.start, member.packed)

    def content(self, member: Member) -> Iterator[bytes]:
        """A member's content, held to what the file announces of it."""
        with reading(self._name, below=True):
            yield from self.archive.content(member)

    def _framing(self) -> Iterator[bytes]:
        for start, length in self.gaps():
            yield from self._raw(start, length)

    def _raw(self, start: int, length: int) -> Iterator[bytes]:
        while length:
            with reading(self._name, below=True):
                self._stream.seek(start)
                data = self._stream.read(min(_CHUNK, length))
            if not data:
                raise BadZip("zip-structure", f"it ends at byte {start}")
            yield data
            start += len(data)
            length -= len(data)


def _within(pieces: Iterator[bytes], start: int, length: int) -> Iterator[bytes]:
    """Bytes ``start`` to ``start + length`` of a stream; it is read no further."""
    for piece in pieces:
        if start < len(piece):
            data = piece[start : start + length]
            length -= len(data)
            yield data
            if not length:
                return
        start = max(0, start - len(piece))

"""One file of the new bundle, out of the base's and what the delta brings.

Example::

    for data in restored(part, base, delta.body, start, frame): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from mirror.core.bundle.delta.deflating import AS_IS, deflated
from mirror.core.bundle.delta.document import MEMBERS, PIECE_BYTES, RECORD, SAME, WHOLE, Part, Piece
from mirror.core.bundle.delta.unpacked import FILE, Slice, Unpacked

Frame = Callable[[Iterator[bytes], int, int, int], Iterator[bytes]]
"""Decompresses: a prefix, where the frame begins in the delta's body, how many bytes it has, how many come out."""

Body = Callable[[int, int], Iterator[bytes]]
"""Bytes of the delta's body: from where on, how many."""


class Unrestorable(ValueError):
    """The delta is not what its maker would have written; or, ``by_zlib``, this zlib packs otherwise."""

    def __init__(self, problem: str, by_zlib: bool = False) -> None:
        super().__init__(problem)
        self.by_zlib = by_zlib


def restored(part: Part, base: Unpacked | None, body: Body, start: int, frame: Frame) -> Iterator[bytes]:
    """A file's bytes. Whoever takes them holds them to its size and digest.

    Args:
        base: its counterpart, held to its digest; None where it has none.
        start: where in the delta's body what belongs to this file begins.

    Raises:
        Unrestorable, ValueError, EOFError: when they do not come about.
        BadZip: when the base's file is no wheel that is read here.
        MirrorError, OSError: when something cannot be read.
    """
    if part.how == SAME:
        assert base is not None, "the head was parsed"
        return base.read(Slice(FILE, 0, part.size))
    if part.how == WHOLE:
        return body(start, part.size)
    stream = _stream(part, base, start, frame)
    return _wheel(part, _Feed(stream)) if part.how == MEMBERS else stream


def _stream(part: Part, base: Unpacked | None, start: int, frame: Frame) -> Iterator[bytes]:
    left = part.stream
    for piece in part.pieces:
        size = min(PIECE_BYTES, left)
        yield from frame(_prefix(piece, base), start, piece.packed, size)
        start += piece.packed
        left -= size


def _prefix(piece: Piece, base: Unpacked | None) -> Iterator[bytes]:
    for one in piece.slices:
        assert base is not None, "the head was parsed"
        if one.start + one.length > base.size_of(one.part):
            raise Unrestorable(f"it names a stretch that the base's file does not have: {list(one)}")
        yield from base.read(one)


def _wheel(part: Part, feed: _Feed) -> Iterator[bytes]:
    """A wheel: its framing with its members between, packed again."""
    table = feed.exactly(part.members * RECORD.size)
    framing, at = feed.exactly(part.framing), 0
    for number, (gap, size, packed, settings) in enumerate(RECORD.iter_unpack(table)):
        if gap > len(framing) - at or settings not in (AS_IS, *part.settings):
            raise Unrestorable(f"member {number} of its table is none")
        yield framing[at : at + gap]
        at += gap
        if settings == AS_IS:
            yield from feed.pieces(size)
            count = size
        else:
            count = 0
            for data in deflated(feed.pieces(size), settings):
                count += len(data)
                if count > packed:
                    break
                yield data
        if count != packed:
            raise Unrestorable(
                f"member {number} has {count} bytes when it is packed again, it had {packed}", by_zlib=True
            )
    yield framing[at:]
    if feed.has_more():
        raise Unrestorable("something follows its last member")


class _Feed:
    """A stream, taken in pieces of one's own."""

    def __init__(self, stream: Iterator[bytes]) -> None:
        self._stream, self._left = stream, b""

    def pieces(self, size: int) -> Iterator[bytes]:
        while size:
            self._left = self._left or self._next()
            data, self._left = self._left[:size], self._left[size:]
            size -= len(data)
            yield data

    def exactly(self, size: int) -> bytes:
        return b"".join(self.pieces(size))

    def has_more(self) -> bool:
        self._left = self._left or b"".join(next(self._stream, b"") for _ in range(1))
        return self._left != b""

    def _next(self) -> bytes:
        for data in self._stream:
            if data:
                return data
        raise Unrestorable("its stream is shorter than its table says")

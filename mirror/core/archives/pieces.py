"""Content that comes in pieces, from whichever archive, and content that is asked for by its places."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Callable


def head_of(pieces: Iterator[bytes], size: int) -> bytes:
    """The beginning of a content: at least ``size`` bytes, if it has them; what follows is still to be had from ``pieces``."""
    taken = b""
    while len(taken) < size:
        piece = next(pieces, None)
        if piece is None:
            break
        taken += piece
    return taken


def exactly(read: Callable[[int], bytes], count: int) -> bytes:
    """So many bytes; fewer only where the stream ends before."""
    taken = b""
    while len(taken) < count and (piece := read(count - len(taken))):
        taken += piece
    return taken


class Places(io.RawIOBase):
    """A content of a known size as a stream that is read at any place; whoever makes one says how (``readinto``)."""

    _size = 0
    _offset = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._offset, os.SEEK_END: self._size}[whence]
        self._offset = max(0, base + offset)
        return self._offset

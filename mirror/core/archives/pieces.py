"""Content that comes in pieces, from whichever archive."""

from __future__ import annotations

from collections.abc import Iterator


def head_of(pieces: Iterator[bytes], size: int) -> bytes:
    """The beginning of a content: at least ``size`` bytes, if it has them; what follows is still to be had from ``pieces``."""
    taken = b""
    while len(taken) < size:
        piece = next(pieces, None)
        if piece is None:
            break
        taken += piece
    return taken

"""Deflating again to the very bytes: zlib is asked for the settings with which a member was packed once.

zlib gives the same bytes for the same content and settings, on every machine that has the same zlib. Another library behind
its name (zlib-ng) packs as well and to other bytes: ``sample_digest`` tells before anything is written.

Example::

    packed = b"".join(deflated([b"words"], settings=6))
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator

from mirror.core.names import Sha256Hex

AS_IS = 0
"""The settings of what is not deflated again: a member that is stored, or that nobody could give back."""

_MEMORY_9 = 16
SETTINGS = (*(6, 9, 1, 5, 8, 7, 4, 3, 2), *(level | _MEMORY_9 for level in (6, 9, 1, 5, 8, 7, 4, 3, 2)))
"""A level of 1 to 9, with zlib's default memory level (8) or with 9; those first that packers of wheels use."""

_SAMPLE_BYTES = 1 << 18


def deflated(content: Iterable[bytes], settings: int) -> Iterator[bytes]:
    """Packed content, a raw deflate stream as it is in zip files, in pieces that may be empty."""
    memory = 9 if settings & _MEMORY_9 else 8
    packer = zlib.compressobj(settings & ~_MEMORY_9, zlib.DEFLATED, -zlib.MAX_WBITS, memory)
    for piece in content:
        yield packer.compress(piece)
    yield packer.flush()


def sample_digest(settings: int) -> Sha256Hex:
    """What this machine's zlib makes of a known text of 256 KiB."""
    digest = hashlib.sha256()
    for piece in deflated(_sample(), settings):
        digest.update(piece)
    return Sha256Hex(digest.hexdigest())


def _sample() -> Iterator[bytes]:
    """Words that repeat as those of code do: near, far and not at all."""
    words = [hashlib.sha256(b"%d" % number).hexdigest()[: 3 + number % 29] for number in range(512)]
    text, state, size = [], 1, 0
    while size < _SAMPLE_BYTES:
        state = (state * 1103515245 + 12345) % (1 << 31)
        text.append(words[(state >> 8) % len(words) if state & 1 << 20 else (state >> 8) % 24])
        size += len(text[-1]) + 1
    yield " ".join(text).encode()

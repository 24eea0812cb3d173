"""Decompressing one stream: gzip, bzip2, xz, lzma or none, by the standard library's decompressors.

The caller (``mirror.core.toolkit.payload``, ``mirror.core.archives.tarstream``) judges what is inside.

Rules: memory is bounded: an xz dictionary of 96 MiB at most, and pieces no larger than asked for; the stream is one stream,
whole, with nothing after it.

Example::

    unpacked = Decompressed(stream, refuse, "xz")
    unpacked.read(1 << 20)
    unpacked.end()
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Callable, NoReturn, Protocol

from mirror.core.system.crew import may_go_on

MAX_XZ_MEMORY = 112 << 20
"""xz -9, which takes the largest dictionary that anybody uses (64 MiB), needs 65 MiB."""

_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
_BLOCK = 1 << 18


class Readable(Protocol):
    """A file, or anything else that gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, none at the end."""


class Decompressor(Protocol):
    """What lzma and bz2 share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Gunzip:
    """zlib behind the same face."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail and not self.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max(max_length, 0))


DECOMPRESSORS: dict[str, Callable[[], Decompressor]] = {
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MAX_XZ_MEMORY),
    "gzip": Gunzip,
    "bzip2": bz2.BZ2Decompressor,
}


class Decompressed:
    """The content of a compressed stream, as a stream.

    Args:
        stream: at its first byte.
        refuse: raises the error for a stream that is cut short, broken, or followed by something.
        compressor: one of ``DECOMPRESSORS`` or ``"none"``; empty to go by the stream's first bytes, where what is none of
            theirs is taken as it is.
        decompressor: for a compressor that is none of them.
    """

    def __init__(
        self,
        stream: Readable,
        refuse: Callable[[str], NoReturn],
        compressor: str = "",
        decompressor: Decompressor | None = None,
    ) -> None:
        self._stream, self._refuse = stream, refuse
        self._head = b"" if compressor else stream.read(max(map(len, _MAGIC)))
        known = (name for magic, name in _MAGIC.items() if self._head.startswith(magic))
        self.compressor = compressor or next(known, "none")
        self._decompressor = decompressor
        if decompressor is None and self.compressor != "none":
            self._decompressor = DECOMPRESSORS[self.compressor]()

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes, none at the end. A stream that is cut short, or broken, is refused."""
        may_go_on()
        if self._decompressor is None:
            return self._raw(size)
        while not self._decompressor.eof:
            block = self._raw(_BLOCK) if self._decompressor.needs_input else b""
            if not block and self._decompressor.needs_input:
                self._refuse(f"its {self.compressor} stream is cut short")
            try:
                piece = self._decompressor.decompress(block, size)
            except (lzma.LZMAError, zlib.error, OSError, ValueError, EOFError) as exc:
                self._refuse(f"its {self.compressor} stream is broken: {exc}")
            if piece:
                return piece
        return b""

    def _raw(self, size: int) -> bytes:
        taken, self._head = self._head[:size], self._head[size:]
        return taken or self._stream.read(size)

    def end(self) -> None:
        """Refuse whatever follows the stream."""
        if (self._decompressor is not None and self._decompressor.unused_data) or self._raw(1):
            self._refuse(f"there are bytes after its {self.compressor} stream")

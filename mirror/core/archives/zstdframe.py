"""zstd streams of RPM packages: the frame's outline is read here, decompressing it is left to whoever was found to do it.

The standard library reads zstd from Python 3.14 on. Before that somebody hands in a decompressor: the connected room a
module, the closed room a child process (``mirror.closed.toolkit.zstd``). Whoever it is, the rules hold, for every compressed
byte passes the outline first (RFC 8878):
(1) the stream is one frame, and what follows it is told; a skippable frame or one with a dictionary is refused;
(2) its window is 128 MiB at most, which bounds the memory that any decompressor needs; blocks are no larger than they may be;
(3) a decompressor that says it has finished before the frame has, or that stays hungry after it, is not believed.

Example::

    decompressor = OneFrame(ModuleDecompressor(compression.zstd))
    decompressor.decompress(block, 1 << 20)
"""

from __future__ import annotations

from types import ModuleType
from typing import Callable, Protocol

MAX_WINDOW = 128 << 20
"""What ``zstd`` itself takes without being told to; the highest level of its packers (22) makes as much."""

_MAGIC = b"\x28\xb5\x2f\xfd"
_MAX_BLOCK = 128 << 10
_RLE, _RESERVED = 1, 3


class Decompressor(Protocol):
    """Somebody who decompresses one frame. Everything may raise ValueError, OSError or EOFError: the stream is broken then."""

    @property
    def eof(self) -> bool:
        """Whether all of it was handed out."""

    @property
    def needs_input(self) -> bool:
        """Whether ``decompress`` can do nothing more without another block."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Take a block, perhaps an empty one, and give what there is, at most ``max_length`` bytes."""

    def finish(self) -> None:
        """Be told that there will be no more blocks."""

    def close(self) -> None:
        """Be told that nobody listens any more."""


Zstd = Callable[[], Decompressor]
"""Makes a decompressor; raises LookupError, with the reason, when there is none on this machine."""


class ModuleDecompressor:
    """A module with the face of ``compression.zstd``, such as ``backports.zstd``, as a ``Decompressor``."""

    def __init__(self, module: ModuleType) -> None:
        self._broken, self._inner = module.ZstdError, module.ZstdDecompressor()

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def needs_input(self) -> bool:
        return bool(self._inner.needs_input)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        try:
            return bytes(self._inner.decompress(data, max_length))
        except self._broken as exc:
            raise ValueError(str(exc)) from exc

    def finish(self) -> None:
        """Nothing to do: it sees the frame's end for itself."""

    def close(self) -> None:
        """Nothing to do."""


class OneFrame:
    """A decompressor whose input is followed (rules 1 to 3)."""

    def __init__(self, inner: Decompressor) -> None:
        self._inner, self._frame, self._rest = inner, Frame(), b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._frame.done and self._inner.needs_input

    @property
    def unused_data(self) -> bytes:
        """What follows the frame, as far as it was read."""
        return self._rest

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        was_done = self._frame.done
        used = self._frame.follow(data)
        self._rest += data[used:]
        piece = self._inner.decompress(data[:used], max_length)
        if self._frame.done and not was_done:
            self._inner.finish()
        if self._inner.eof and not self._frame.done:
            raise ValueError("its decompressor stopped before the frame's end")
        if was_done and not piece and not self._inner.eof:
            raise EOFError("its decompressor waits for more than the frame holds")
        return piece

    def close(self) -> None:
        self._inner.close()


class Frame:
    """The outline of a frame, followed as its bytes pass by; it is ``done`` once the last of them has passed."""

    def __init__(self) -> None:
        self.done = False
        self._head = b""  # the piece of a header that has come so far
        self._skip = 0  # bytes of a block's content that are still to come
        self._next: Callable[[], None] = self._begin
        self._wanted = 5
        self._checksum = False
        self._max_block = _MAX_BLOCK

    def follow(self, data: bytes) -> int:
        """Let bytes pass; returns how many of them are the frame's.

        Raises:
            ValueError: when they are of no frame that is read here.
        """
        at = 0
        while at < len(data) and not self.done:
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
            else:
                step = min(self._wanted - len(self._head), len(data) - at)
                self._head += data[at : at + step]
                if len(self._head) == self._wanted:
                    self._next()
            at += step
            if not self._skip and not self._wanted:
                self.done = True
        return at

    def _expect(self, count: int, then: Callable[[], None]) -> None:
        self._head, self._wanted, self._next = b"", count, then

    def _begin(self) -> None:
        """The magic and the descriptor, which says how long the rest of the header is."""
        if self._head[:4] != _MAGIC:
            raise ValueError(f"no frame begins with {self._head[:4]!r}")
        descriptor = self._head[4]
        single = bool(descriptor & 0x20)
        if descriptor & 0x08 or descriptor & 0x03:
            raise ValueError("its frame has a dictionary, or a reserved bit")
        self._checksum = bool(descriptor & 0x04)
        size_bytes = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
        self._expect((0 if single else 1) + size_bytes, lambda: self._window(single, size_bytes))

    def _window(self, single: bool, size_bytes: int) -> None:
        if single:
            window = int.from_bytes(self._head, "little") + (256 if size_bytes == 2 else 0)
        else:
            exponent, mantissa = self._head[0] >> 3, self._head[0] & 7
            window = (1 << (10 + exponent)) + (1 << (10 + exponent)) // 8 * mantissa
        if window > MAX_WINDOW:
            raise ValueError(f"it needs {window} bytes of memory, {MAX_WINDOW} is the limit")
        self._max_block = min(window, _MAX_BLOCK)
        self._expect(3, self._block)

    def _block(self) -> None:
        header = int.from_bytes(self._head, "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == _RESERVED or size > self._max_block:
            raise ValueError(f"a block of kind {kind} and {size} bytes")
        self._skip = 1 if kind == _RLE else size
        if not last:
            self._expect(3, self._block)
        elif self._checksum:
            self._expect(4, self._end)
        else:
            self._end()

    def _end(self) -> None:
        self._expect(0, self._end)

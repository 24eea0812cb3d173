"""zstd frames that were made with a prefix: who decompresses them on this host.

As with RPMs (``mirror.closed.toolkit.zstd``) a child process does: this Python where its library has zstd (3.14) or
``backports.zstd`` lies beside it; the host's ``zstd`` program, of 1.4.5 or newer; a Python of the version that the base is for,
with the decompressor that the base carries, if that is signed as the trusted root asks. The prefix is handed over as a file.

Rules: a way is believed only after it has decompressed a known frame; every frame is followed (``OneFrame``); what comes out is
exactly as long as the head told.

Example::

    unpatcher = Unpatcher([this_python(), patching_program()], work)
    for data in unpatcher.frame(prefix, packed, size): ...
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from mirror.closed.toolkit.zstd import CHILD, Way, ZstdProcess, first_way, host_program, unpack_zstd
from mirror.core.archives.zstdframe import OneFrame
from mirror.core.errors import FAMILIES, MirrorError, Unwritable, place_of

_KNOWN_PREFIX = b"what mirror carries across the gap, mirror carries back"
_KNOWN_FRAME = bytes.fromhex("28b52ffd20373d0000000100d4a70202")
"""The prefix itself, as one match."""


class NoUnpatcher(MirrorError):
    """Nothing here decompresses what a delta holds."""

    ref = "delta-needs-zstd"
    exit_code = FAMILIES["install"]
    hint = (
        "Have zstd 1.4.5 or newer on PATH, or run mirror with Python 3.14, or have the whole bundle carried in place of the "
        "delta."
    )
    message = "nothing on this host decompresses the delta: {tried}"

    tried: str


_PREFIX = "{prefix}"
"""Stands for the prefix's file in a command."""


def this_python() -> Way:
    return f"this Python, {sys.executable}", lambda: (sys.executable, "-I", "-B", "-c", CHILD, _PREFIX)


def patching_program(program: str = "zstd") -> Way:
    return host_program(program, f"--patch-from={_PREFIX}")


def carried(python: Path, wheel: Path, work: Path) -> Way:
    """A Python of the wheel's version, with it; the wheel is one that the trusted root's holders signed."""

    def command() -> tuple[str, ...]:
        return str(python), "-I", "-S", "-B", "-c", CHILD, _PREFIX, str(unpack_zstd(wheel, work))

    return f"{wheel.name} with {python}", command


class Unpatcher:
    """Decompresses frames, one after another, by the first way that works.

    Args:
        ways: in the order in which they are tried.
        work: an existing directory for the prefix; the caller removes it.
    """

    def __init__(self, ways: Iterable[Way], work: Path) -> None:
        self._work = work
        try:
            self._command = first_way(ways, self._try)
        except LookupError as exc:
            raise NoUnpatcher(str(exc)) from exc

    def _try(self, command: tuple[str, ...]) -> None:
        self._command = command
        if b"".join(self.frame([_KNOWN_PREFIX], [_KNOWN_FRAME], len(_KNOWN_PREFIX))) != _KNOWN_PREFIX:
            raise ValueError("it makes something else of a known frame")

    def frame(self, prefix: Iterable[bytes], packed: Iterable[bytes], size: int) -> Iterator[bytes]:
        """A frame's content.

        Raises:
            ValueError, EOFError: when it is none, or has not exactly ``size`` bytes.
            Unwritable: when there is no room for the prefix.
            OSError: when the child cannot be started.
        """
        place = self._work / "prefix"
        empty = not self._put(place, prefix)
        words = [word.replace(_PREFIX, str(place)) for word in self._command]
        if empty:
            words = [word for word in words if not word.startswith("--patch-from=")]
        with contextlib.closing(OneFrame(ZstdProcess(words, self._work))) as frame:
            blocks, data = iter(packed), b""
            while data or not frame.eof:
                piece = frame.decompress(data, 1 << 20)
                size -= len(piece)
                if size < 0:
                    raise ValueError("it holds more than was told")
                if piece:
                    yield piece
                data = next(blocks, b"") if frame.eof or frame.needs_input else b""
                if not data and frame.needs_input and not frame.eof:
                    raise EOFError("it is cut short")
            if size or frame.unused_data:
                raise ValueError("it holds less than was told, or something follows it")
        os.truncate(place, 0)

    def _put(self, place: Path, prefix: Iterable[bytes]) -> int:
        """Write a prefix; how many bytes it has.

        Raises:
            Unwritable: when there is no room for it.
        """
        try:
            with place.open("wb") as stream:
                return sum(stream.write(data) for data in prefix)
        except OSError as exc:
            error = Unwritable(place_of(exc, place), exc.strerror or str(exc))
            error.hint = "It takes 96 MiB for a while: free space there, or set TMPDIR to a directory that has it."
            raise error from exc

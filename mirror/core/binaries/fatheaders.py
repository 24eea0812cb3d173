"""The headers of GPU code in a content that goes by but once: what ``mirror.core.binaries.fatbin`` will ask for.

A library of a gigabyte is mostly GPU code, of which a few bytes at each of some ten thousand places tell the architectures.
They are kept while the content goes by, so that nobody has to write it down or to decompress it again to look at them.

Rules: what is kept is what was at that place, and nothing is decided by it. Which places will be asked for is a guess (only the
section table at the content's end tells where GPU code lies): a place that is not among them is looked up in the content.

Example::

    headers = GpuHeaders()
    for piece in archive.content(member, marks):
        headers.feed(piece)
    stream = archive.seekable(member, marks, headers.kept)
"""

from __future__ import annotations

import struct
from collections.abc import Generator

from mirror.core.binaries.fatbin import BEGINNING, MAX_IMAGES

_SIZE = 64
"""Bytes that ``fatbin.read_images`` asks for at one place."""

_ALIGNMENT = 8

_Place = tuple[int, bool]
"""Where to look next, and whether the next container from there on is meant."""


class GpuHeaders:
    """What was seen so far: ``kept`` has, by place in the content, the 64 bytes there."""

    def __init__(self) -> None:
        self.kept: dict[int, bytes] = {}
        self._end = 0
        self._held = b""
        self._walk = self._places()
        self._wanted = next(self._walk)

    def feed(self, piece: bytes) -> None:
        """Take in the next piece of the content."""
        start = self._end - len(self._held)
        self._end += len(piece)
        if self._wanted[0] >= self._end or len(self.kept) > MAX_IMAGES:
            self._held = b""
            return
        data = self._held + piece
        while self._wanted[0] < self._end:
            place, is_there = self._found(data, start)
            if not is_there:
                break
            self.kept[place] = data[place - start : place - start + _SIZE]
            self._wanted = self._walk.send(place)
        self._held = data[max(0, self._wanted[0] - start) :]

    def _found(self, data: bytes, start: int) -> tuple[int, bool]:
        """The place that is wanted, and whether all of its bytes have gone by."""
        place, is_search = self._wanted
        if is_search:
            found = data.find(BEGINNING, place - start)
            while found >= 0 and (start + found) % _ALIGNMENT:
                found = data.find(BEGINNING, found + 1)
            place = start + found if found >= 0 else max(place, self._end - len(BEGINNING) + 1)
            self._wanted = place, True
        return place, place + _SIZE <= self._end

    def _places(self) -> Generator[_Place, int, None]:
        """Walk from container to container, and within each from image to image; is sent the place that was found."""
        place = 0
        while True:
            place = yield place, True
            header, size = struct.unpack_from("<6xHQ", self.kept[place])
            place += header
            stop = place + size
            while place < stop:
                yield place, False
                length, payload = struct.unpack_from("<4xIQ", self.kept[place])
                place += max(length + payload, _ALIGNMENT)
            place = stop
            yield place, False  # what follows a container is asked for, too

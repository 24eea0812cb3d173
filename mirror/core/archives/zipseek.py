"""A member of a wheel as a stream that can be read at any place, after its content went by once.

``mirror.core.wheels.wheelzip`` makes the first pass over a member; while it lasts, the decompressor's state is put down every
few mebibytes. A look at a compiled file needs some pages at its beginning, its middle and its end: each is decompressed again
from the nearest of those states, and nothing of a library of a gigabyte is written or held.

Rules: memory is flat (the states, and a few mebibytes of pages); what is decompressed again is bounded, whatever places
are asked for; where there is a directory for it, a member that is read back and forth beyond that is copied there.

Example::

    marks = Marks(member)
    for piece in archive.content(member, marks): ...
    read_elf(seekable(archive.stream, member, marks))
"""

from __future__ import annotations

import io
import tempfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from mirror.core.archives.pieces import Places
from mirror.core.archives.zipdirectory import DEFLATED, Member
from mirror.core.system.crew import may_go_on

_PAGE = 1 << 16
_PAGES = 64
_AROUND = 4
"""Pages kept of a large member, the last of them the one asked for: more would push out what is in use."""

_BLOCK = 1 << 16
_SPACING = 4 << 20
_MAX_MARKS = 256
"""Each state takes some 40 KiB."""

_SLACK = 128 << 20
"""What may be decompressed again beyond once more the whole member; in all, where a copy can be made instead."""


class TooScattered(OSError):
    """The places that are asked for lie so that all of the member would be decompressed again and again."""


class Marks:
    """States of a decompressor, by how far it had come."""

    def __init__(self, member: Member) -> None:
        self._spacing = max(_SPACING, member.size // _MAX_MARKS)
        self._marks: list[tuple[int, int, Any]] = []

    def note(self, produced: int, consumed: int, state: Any) -> None:
        """Put down a state with no input left in it, if the last one is far enough behind."""
        if not self._marks or produced >= self._marks[-1][0] + self._spacing:
            self._marks.append((produced, consumed, state.copy()))

    def before(self, offset: int) -> tuple[int, int, Any]:
        """The last state that had not come further than ``offset``."""
        return max((mark for mark in self._marks if mark[0] <= offset), key=lambda mark: mark[0])


def seekable(
    stream: BinaryIO,
    member: Member,
    marks: Marks,
    known: Mapping[int, bytes] = MappingProxyType({}),
    scratch: Path | None = None,
    error: type[Exception] = zlib.error,
) -> BinaryIO:
    """The member as a stream; to be closed.

    Args:
        stream: the wheel's; nobody else may read it meanwhile.
        marks: those of a pass that came to the member's end.
        known: what was kept of that pass, by place.
        scratch: a directory for a copy, for which its disk has room.
        error: what the decompressor of ``marks`` raises.

    Reading it raises ``TooScattered`` where there is no such directory, and ``OSError`` when the wheel is not the one that went
    by or the copy cannot be written.
    """
    return io.BufferedReader(_Seekable(stream, member, marks, known, scratch, error))


class _Seekable(Places):
    def __init__(
        self,
        stream: BinaryIO,
        member: Member,
        marks: Marks,
        known: Mapping[int, bytes],
        scratch: Path | None,
        error: type[Exception],
    ) -> None:
        self._stream, self._member, self._marks = stream, member, marks
        self._known, self._scratch, self._error = known, scratch, error
        self._size = member.size
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self._copy: BinaryIO | None = None
        self._budget = _SLACK if scratch else member.size + _SLACK

    def close(self) -> None:
        if self._copy:
            self._copy.close()
        super().close()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants its own Buffer protocol
        if self._offset >= self._member.size:
            return 0
        data = (self._known.get(self._offset) or self._page())[: len(buffer)]
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def _page(self) -> bytes:
        """What is on the page from here on."""
        number, start = divmod(self._offset, _PAGE)
        if number not in self._pages:
            self._load(number)
        self._pages.move_to_end(number)
        return self._pages[number][start:]

    def _load(self, number: int) -> None:
        wanted = min(_PAGE, self._member.size - number * _PAGE)
        if self._budget < 0 and self._scratch and not self._copy:
            self._copy = self._copied(self._scratch)
        if self._copy:
            self._copy.seek(number * _PAGE)
            self._keep(number, self._copy.read(wanted))
        elif self._member.method == DEFLATED:
            self._inflate(number)
        else:
            self._stream.seek(self._member.start + number * _PAGE)
            self._keep(number, self._stream.read(wanted))
        if len(self._pages.get(number, b"")) != wanted:
            raise OSError(f"{self._member.name!r} has changed while it was read")

    def _inflate(self, number: int) -> None:
        """Decompress from the nearest mark to the end of a page, and keep that page with those before it."""
        first = 0 if self._member.size <= _PAGES * _PAGE else number - _AROUND + 1
        produced, consumed, state = self._marks.before(number * _PAGE)
        inflate, page, held = state.copy(), produced // _PAGE, bytearray(produced % _PAGE)
        is_whole = not held  # the first page's beginning lies before the mark
        self._stream.seek(self._member.start + consumed)
        left = self._member.packed - consumed
        block = b""
        while page <= number:
            may_go_on()
            if not block and left:
                block = self._stream.read(min(_BLOCK, left))
                left -= len(block)
            try:
                piece = inflate.decompress(block, _PAGE)
            except self._error as exc:
                raise OSError(f"{self._member.name!r} has changed while it was read: {exc}") from exc
            block = inflate.unconsumed_tail
            self._budget -= len(piece)
            if self._budget < 0 and not self._scratch:
                raise TooScattered(f"{self._member.name!r} is read back and forth")
            held += piece
            ended = not piece and not block and (inflate.eof or not left)
            while len(held) >= _PAGE or (ended and held):
                if is_whole and page >= first:
                    self._keep(page, bytes(held[:_PAGE]))
                del held[:_PAGE]
                is_whole, page = True, page + 1
            if ended:
                return

    def _copied(self, scratch: Path) -> BinaryIO:
        """All of the member, decompressed once more."""
        _, _, state = self._marks.before(0)
        inflate, left = state.copy(), self._member.packed
        self._stream.seek(self._member.start)
        copy = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115  # closed with the stream that reads it
        try:
            while left:
                may_go_on()
                block = self._stream.read(min(_BLOCK, left))
                if not block:
                    break  # what is missing is missed where it is read
                left -= len(block)
                while block:
                    copy.write(inflate.decompress(block, _BLOCK * 16))
                    block = inflate.unconsumed_tail
            copy.write(inflate.flush())
        except self._error as exc:
            copy.close()
            raise OSError(f"{self._member.name!r} has changed while it was read: {exc}") from exc
        except BaseException:
            copy.close()
            raise
        return copy

    def _keep(self, number: int, data: bytes) -> None:
        self._pages[number] = data
        while len(self._pages) > _PAGES:
            self._pages.popitem(last=False)

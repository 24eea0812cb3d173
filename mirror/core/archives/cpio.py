"""Reading cpio archives as RPM packages hold them: the "newc" form, and rpm's own form that leaves names out.

What an entry means is told by the package's signed header, which ``mirror.core.toolkit.payload`` compares it with. This
module takes a stream apart and trusts nothing in it.

Rules: eight hex digits are hex digits and nothing else; names end with one zero byte; the archive ends with its trailer and
then nothing but zeros up to 512 bytes; content is handed on in pieces, so an archive of any size takes little memory.

Example::

    archive = Archive(stream.read, sizes=[])
    for entry in archive:
        for piece in archive.content(): ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable

from mirror.core.archives.pieces import exactly
from mirror.core.errors import MirrorError

TRAILER = "TRAILER!!!"
MAX_NAME_BYTES = 4096

_PIECE = 1 << 20
_HEX = re.compile(rb"[0-9A-Fa-f]+")
_NEWC, _NAMELESS = b"070701", b"07070X"


class MalformedPayload(MirrorError):
    """A package's archive breaks the format, or is not the one that its signed header describes.

    Attributes:
        name: of the package's file; empty until it is known.
        problem: what is wrong with it.
    """

    ref = "rpm-payload-malformed"
    exit_code = 48
    hint = "Get the package again from its publisher; if it is refused again, report it to them."
    message = "{name}: refused its archive: {problem}"

    name: str
    problem: str


@dataclass(frozen=True)
class Entry:
    """What the archive says of one member.

    Attributes:
        name: as it stands there; empty when ``index`` names the member.
        index: place in the package's file list; None when ``name`` names the member.
        mode: type and permission bits; 0 where the archive does not say.
        size: bytes of content that follow.
        links: hard links to the same file.
        inode: the same for hard links to one file.
    """

    name: str
    index: int | None
    mode: int
    size: int
    links: int
    inode: int


class Archive:
    """An archive that is read once, from front to back.

    Args:
        read: gives up to so many bytes, none at the end.
        sizes: content sizes by index, for archives without names.
        label: of the package, for messages.

    Iterating and ``content`` raise ``MalformedPayload``.
    """

    def __init__(self, read: Callable[[int], bytes], sizes: Sequence[int], label: str = "") -> None:
        self._read, self._sizes, self._label = read, sizes, label
        self._left = self._padding = 0

    def refuse(self, problem: str) -> MalformedPayload:
        return MalformedPayload(self._label, problem)

    def __iter__(self) -> Iterator[Entry]:
        while True:
            for _ in self.content():
                pass  # what the caller did not want
            if self._take(self._padding).strip(b"\0"):
                raise self.refuse("there are bytes between two files")
            self._padding = 0
            entry = self._next()
            if entry is None:
                self._end()
                return
            self._left, self._padding = entry.size, -entry.size % 4
            yield entry

    def content(self) -> Iterator[bytes]:
        """The current entry's content; to be read before the next entry is asked for."""
        while self._left:
            piece = self._read(min(self._left, _PIECE))
            if not piece:
                raise self.refuse(f"it ends {self._left} bytes before a file does")
            self._left -= len(piece)
            yield piece

    def _take(self, count: int) -> bytes:
        taken = exactly(self._read, count)
        if len(taken) < count:
            raise self.refuse("it ends without its trailer")
        return taken

    def _next(self) -> Entry | None:
        magic = self._take(6)
        if magic == _NAMELESS:
            index = self._hex(self._take(8))
            self._take(2)
            if index >= len(self._sizes):
                raise self.refuse(f"file {index} of {len(self._sizes)}")
            return Entry("", index, 0, self._sizes[index], 1, 0)
        if magic != _NEWC:
            raise self.refuse(f"no file begins with {magic!r}")
        fields = self._take(104)
        inode, mode, _, _, links, _, size, *_, name_size, _ = (
            self._hex(fields[at : at + 8]) for at in range(0, 104, 8)
        )
        name = self._name(name_size)
        if name == TRAILER:
            if size:
                raise self.refuse("its trailer has content")
            return None
        return Entry(name, None, mode, size, links, inode)

    def _hex(self, digits: bytes) -> int:
        if not _HEX.fullmatch(digits):  # int() would take signs, blanks and underscores as well
            raise self.refuse(f"{digits!r} is no number")
        return int(digits, 16)

    def _name(self, size: int) -> str:
        if not 1 < size <= MAX_NAME_BYTES:
            raise self.refuse(f"a name of {size} bytes")
        raw = self._take(size + -(110 + size) % 4)
        name, rest = raw[: size - 1], raw[size - 1 :]
        if b"\0" in name or rest.strip(b"\0") or not rest:
            raise self.refuse(f"the name {raw!r} has no proper end")
        try:
            return name.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise self.refuse(f"the name {name!r} is not UTF-8") from exc

    def _end(self) -> None:
        rest = exactly(self._read, 513)
        if len(rest) > 512 or rest.strip(b"\0"):
            raise self.refuse("there are bytes after its trailer")

"""Reading a tar that came from elsewhere, from front to back: the interpreter's archive, NVIDIA's component archives.

``tarfile`` is not used: it takes a broken header for the end, reads extended headers of any size into memory, and its filters
let crafted archives out of the target on every Python from 3.9 to 3.13 (SECURITY.md findings 4 and 5). The caller has checked
before that the archive is the signed one, and writes what it holds. ``mirror.core.archives.decompress`` decompresses,
``mirror.core.archives.tarheader`` takes a header apart.

Rules, each judged before a member is handed on:
(1) names are plain and relative, below the archive's one top directory, which is left out of them;
(2) only files, directories and links; no name twice, nothing below what is no directory;
(3) a symbolic link climbs first and then descends, and stays inside; a hard link names an earlier file;
(4) all files together, each hard link counted, hold no more bytes than the caller allows; an extended header is small, and
    changes names only;
(5) the archive ends with two zero blocks and nothing but zeros after them; its compressed stream ends with it.

Example::

    tar = TarStream(stream, "cuda_nvcc-archive.tar.xz", limit_bytes=250 << 20)
    for member in tar:
        for piece in tar.content(): ...
"""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from mirror.core.archives.decompress import Decompressed, Readable
from mirror.core.archives.pieces import exactly
from mirror.core.archives.tarheader import (
    BLOCK,
    DIRECTORY,
    FILE,
    HARD_LINK,
    LONG_LINK,
    LONG_NAME,
    OLD_FILE,
    PAX,
    PAX_GLOBAL,
    SYMLINK,
    Header,
    pax_names,
    read_header,
    text,
)
from mirror.core.errors import MirrorError

MAX_MEMBERS = 200_000
MAX_NAME = 4096
"""Characters of a path, as Linux bounds it: each directory in one is remembered."""

MAX_NAMES = 32 << 20
"""Characters of all paths that are remembered; those of a CUDA component's 3,000 files have 200,000."""

MAX_EXTENDED_BYTES = 64 << 10
"""An extended header holds a name or two, each of at most 4,096 bytes."""

MAX_END_BYTES = 1 << 20
"""Zeros after the end: tar fills up its last record, of 10 KiB as a rule."""

_PIECE = 1 << 20


class BadArchive(MirrorError):
    """An archive holds something that must not be unpacked, or cannot be read."""

    ref = "bad-archive"
    exit_code = 95
    hint = "Ask the bundle's maker for one with another archive; nothing of this one was kept."
    message = "{archive} cannot be unpacked: {problem}"

    archive: str
    problem: str


@dataclass(frozen=True)
class Member:
    """A member that was judged.

    Attributes:
        path: below the top directory; empty for that directory itself.
        mode: type and permission bits, as in ``st_mode``.
        size: bytes of content; of a hard link, those of its file.
        link: target of a symbolic link, as it is written.
        original: path of the earlier file that a hard link is another name of; empty otherwise.
        time: of the last change, in seconds since 1970 UTC; 0 where it is not told.
    """

    path: str
    mode: int
    size: int = 0
    link: str = ""
    original: str = ""
    time: int = 0


def measure(stream: Readable, label: str, limit_bytes: int) -> int:
    """Bytes of all files in a tar, each hard link counted; every member is judged. Arguments as ``TarStream`` takes them.

    Raises:
        BadArchive: as the rules say.
    """
    return sum(member.size for member in TarStream(stream, label, limit_bytes))


class TarStream:
    """A tar that is read once. Iterating and ``content`` raise ``BadArchive``.

    Args:
        stream: the tar, perhaps compressed, at its first byte.
        label: of the archive, for messages.
        limit_bytes: the most that all of its files may hold together.
        compressor: what it is compressed with; empty to go by its first bytes.

    Attributes:
        top: the directory that all of it is in; None before the first member.
    """

    def __init__(self, stream: Readable, label: str, limit_bytes: int, compressor: str = "") -> None:
        self._label, self._limit, self._room = label, limit_bytes, limit_bytes
        self._source = Decompressed(stream, self._damaged, compressor)
        self._read = self._source.read
        self._left = self._padding = 0
        self.top: str | None = None
        self._names_left = MAX_NAMES
        self._known: dict[str, Member] = {}

    def refuse(self, problem: str) -> NoReturn:
        raise BadArchive(self._label, problem)

    def _damaged(self, problem: str) -> NoReturn:
        self.refuse(f"it is damaged: {problem}")

    def __iter__(self) -> Iterator[Member]:
        for _ in range(MAX_MEMBERS):
            for _ in self.content():
                pass  # what the caller did not want
            self._take(self._padding)
            header = self._header()
            if header is None:
                self._end()
                return
            member = self._judged(header)
            self._left, self._padding = header.size, -header.size % BLOCK
            yield member
        self.refuse(f"it has more than {MAX_MEMBERS} members")

    def content(self) -> Iterator[bytes]:
        """The current member's content; to be read before the next member is asked for."""
        while self._left:
            piece = self._read(min(self._left, _PIECE))
            if not piece:
                self._damaged(f"it ends {self._left} bytes before a file does")
            self._left -= len(piece)
            yield piece

    def _take(self, count: int) -> bytes:
        taken = exactly(self._read, count)
        if len(taken) < count:
            self._damaged("it ends without two zero blocks")
        return taken

    def _end(self) -> None:
        """Rule 5, after the first zero block."""
        rest, length = self._take(BLOCK), BLOCK
        while rest and not rest.strip(b"\0") and length <= MAX_END_BYTES:
            rest = self._read(_PIECE)
            length += len(rest)
        if rest:
            self.refuse("there is something after its end")
        self._source.end()

    def _header(self) -> Header | None:
        """The next member's header, with the names that extended headers before it give; None at the end."""
        names: dict[str, str] = {}
        try:
            while True:
                block = self._take(BLOCK)
                if not (names or block.strip(b"\0")):
                    return None
                header = read_header(block)
                if header.kind == LONG_NAME:
                    names["name"] = text(self._extended(header).rstrip(b"\0"))
                elif header.kind == LONG_LINK:
                    names["link"] = text(self._extended(header).rstrip(b"\0"))
                elif header.kind in (PAX, PAX_GLOBAL):
                    found = dict(pax_names(self._extended(header)))
                    if header.kind == PAX_GLOBAL and found:
                        raise ValueError("a global pax header names a member")
                    names.update({{"path": "name", "linkpath": "link"}[key]: value for key, value in found.items()})
                else:
                    return replace(header, **names)  # type: ignore[arg-type]  # both are texts
        except ValueError as exc:
            raise BadArchive(self._label, f"it is damaged: {exc}") from exc

    def _extended(self, header: Header) -> bytes:
        if header.size > MAX_EXTENDED_BYTES:
            raise ValueError(f"an extended header of {header.size} bytes")
        return self._take(header.size + -header.size % BLOCK)[: header.size]

    def _judged(self, header: Header) -> Member:
        path = self._inside(header.name, header.name)
        if header.kind == DIRECTORY:
            member = Member(path, stat.S_IFDIR | header.mode)
        elif not path or header.name.endswith("/"):
            self.refuse(f"{header.name!r} is no directory, as its name says")
        elif header.kind in (FILE, OLD_FILE):
            member = Member(path, stat.S_IFREG | header.mode, header.size)
        elif header.kind == SYMLINK:
            member = Member(path, stat.S_IFLNK | 0o777, link=self._link(path, header))
        elif header.kind == HARD_LINK:
            member = self._hard_link(path, header)
        else:
            self.refuse(f"{header.name!r} is neither a file, a directory nor a link")
        if header.size and not (stat.S_ISREG(member.mode) and not member.original):
            self.refuse(f"{header.name!r} is no file and has content")
        self._room -= member.size
        if self._room < 0:
            self.refuse(f"it holds more bytes than the {self._limit} that are allowed")
        self._note(member, header.name)
        return replace(member, time=header.time)

    def _inside(self, name: str, member: str) -> str:
        """Rule 1: a name without the archive's top directory."""
        parts = name[2 * name.startswith("./") :].rstrip("/").split("/")
        if len(name) > MAX_NAME:
            self.refuse(f"the name {member[:100]!r}... has {len(name)} characters, more than {MAX_NAME}")
        if not all(part.isprintable() and part not in ("", ".", "..") and len(part) < 256 for part in parts):
            self.refuse(f"{member!r} names a place outside, or no plain one ({name!r})")
        if self.top is None:
            self.top = parts[0]
        if parts[0] != self.top:
            self.refuse(f"{member!r} is not below the one top directory {self.top!r}")
        return "/".join(parts[1:])

    def _link(self, path: str, header: Header) -> str:
        """Rule 3. Directories above a link are real ones (rule 2), so climbing ends where it seems to."""
        parts = header.link.split("/")
        climbs = parts.count("..")
        if header.link.startswith("/") or not header.link.isprintable() or not header.link:
            self.refuse(f"{header.name!r} is a link to the absolute path {header.link!r}, or to none")
        if parts[:climbs] != [".."] * climbs or climbs > path.count("/"):
            self.refuse(f"{header.name!r} is a link out of the archive, to {header.link!r}")
        return header.link

    def _hard_link(self, path: str, header: Header) -> Member:
        original = self._known.get(self._inside(header.link, header.name))
        if original is None or not stat.S_ISREG(original.mode):
            self.refuse(f"{header.name!r} is a hard link to {header.link!r}, which is no file before it")
        return Member(path, original.mode, original.size, original=original.original or original.path)

    def _note(self, member: Member, name: str) -> None:
        """Rule 2. Directories that are only named in paths count as members too, for they are remembered as such."""
        if len(self._known) > MAX_MEMBERS:
            self.refuse(f"it has more than {MAX_MEMBERS} files and directories")
        there = self._remembered(member)
        if there is not member:
            if stat.S_ISDIR(there.mode) and stat.S_ISDIR(member.mode):
                return
            if stat.S_ISDIR(there.mode) or stat.S_ISDIR(member.mode):
                self.refuse(f"{name!r} is both a directory and something else")
            self.refuse(f"{name!r} occurs twice")
        above = member.path
        while above := posixpath.dirname(above):
            if not stat.S_ISDIR(self._remembered(Member(above, stat.S_IFDIR | 0o755)).mode):
                self.refuse(f"{above!r} is both a directory and something else")

    def _remembered(self, member: Member) -> Member:
        """What has a path already, else this."""
        there = self._known.setdefault(member.path, member)
        if there is member:
            self._names_left -= len(member.path)
            if self._names_left < 0:
                self.refuse(f"the paths in it have more than {MAX_NAMES} characters")
        return there

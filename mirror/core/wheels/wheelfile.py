"""A wheel, read once: all that anybody asks of its bytes, for whoever judges it, describes it or installs it.

It holds the one pass over a wheel, member by member, and what is found in it. ``mirror.core.wheels.wheelzip`` checks the form
of the zip; ``mirror.core.vetting.wheel`` decides what of it is refused, for which target and under which name.

Rules: a function of the bytes alone, so that it may be remembered by their digest; each content is inflated once, RECORD first,
for it says which digests the others need; nothing is unpacked; a wheel whose form breaks a rule has its fault and nothing else.

Example::

    with path.open("rb") as stream:
        wheel = read_wheel(stream)
    wheel.texts["METADATA"], wheel.record.wrong, wheel.native.count
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Callable, Tuple

from mirror.core.archives.pieces import head_of
from mirror.core.binaries.elf import MAGIC, Elf
from mirror.core.binaries.fatheaders import GpuHeaders
from mirror.core.binaries.native import IN_MEMORY, Native, NativeTally
from mirror.core.fields import Fields
from mirror.core.system.crew import may_go_on
from mirror.core.wheels.record import Record, RecordCheck, Recorded
from mirror.core.wheels.wheelzip import Archive, BadZip, Marks, Member, read_archive

TEXTS = ("METADATA", "WHEEL", "entry_points.txt")
SIGNATURES = ("RECORD.jws", "RECORD.p7s")
MAX_TEXT_BYTES = 32 << 20
MAX_KEPT_BYTES = 64 << 20
"""Of all members whose beginnings are kept."""


Fault = Tuple[str, str]
"""A rule of ``BadZip``, and what breaks it."""


class Watch:
    """Sees what is read, as it goes by; this one lets it go."""

    def piece(self, name: str, data: bytes) -> None:
        """The next piece of a member's content."""

    def elf(self, name: str, elf: Elf) -> None:
        """The headers of a compiled file for a CPU."""


@dataclass(frozen=True)
class WheelMember:
    """A file or directory of a wheel.

    Attributes:
        name: as it stands there, not judged yet; a directory's ends with a slash.
        size: bytes of its content.
        mode: Unix type and permission bits; 0 where there are none.
        has_descriptor: whether its sizes follow it in the archive.
        sha256: of its content; empty for a directory.
    """

    name: str
    size: int
    mode: int
    has_descriptor: bool
    sha256: bytes

    @property
    def is_directory(self) -> bool:
        return self.name.endswith("/")


@dataclass(frozen=True)
class WheelFile:
    """What is in a wheel.

    Attributes:
        size: bytes of the file.
        fault: the rule of zip files that it breaks; then nothing else is known.
        members: in the order of their bytes.
        texts: those of ``TEXTS`` that are in its one ``.dist-info`` directory; none where it has several such directories.
        kept: beginnings of further members, as they were asked for, up to ``MAX_KEPT_BYTES``.
        record: how RECORD compares with what is there.
        native: its compiled files.
    """

    size: int
    fault: Fault | None = None
    members: tuple[WheelMember, ...] = ()
    texts: Mapping[str, bytes] = field(default_factory=dict)
    kept: Mapping[str, bytes] = field(default_factory=dict)
    record: RecordCheck = field(default_factory=RecordCheck)
    native: Native = field(default_factory=Native)

    @property
    def infos(self) -> list[str]:
        """Its ``.dist-info`` directories, of which a sound wheel has one."""
        return _infos(member.name for member in self.members)

    @property
    def unpacked_size(self) -> int:
        """Bytes of all contents."""
        return sum(member.size for member in self.members)

    def headers(self, name: str) -> Message:
        """METADATA or WHEEL, read; one without fields when it is not there."""
        return BytesHeaderParser().parsebytes(self.texts.get(name, b""))

    def to_dict(self) -> dict[str, Any]:
        """All of it but ``kept`` and ``native``, for a memory of our own."""
        return {
            "size": self.size,
            "fault": list(self.fault or ()),
            "members": [[one.name, one.size, one.mode, one.has_descriptor, one.sha256.hex()] for one in self.members],
            "texts": {name: text.decode("latin-1") for name, text in self.texts.items()},
            "record": vars(self.record),
        }

    @classmethod
    def from_dict(cls, fields: Fields, native: Native) -> WheelFile:
        """Inverse of ``to_dict``. Raises ``InvalidDocument`` or ``ValueError`` when it is not what this version writes."""
        fault, texts = fields.texts("fault"), fields.table("texts")
        wheel = cls(
            fields.number("size"),
            (fault[0], fault[1]) if fault else None,
            tuple(
                WheelMember(name, size, mode, has_descriptor, bytes.fromhex(sha256))
                for name, size, mode, has_descriptor, sha256 in fields.take("members", list)
            ),
            {name: texts.text(name).encode("latin-1") for name in texts.left()},
            record=fields.table("record").fill(RecordCheck),
            native=native,
        )
        fields.end()
        return wheel


def read_wheel(
    stream: BinaryIO,
    advance: Callable[[int], object] = lambda amount: None,
    keep: Callable[[str], int] = lambda name: 0,
    scratch: Path | None = None,
    library: ModuleType = zlib,
    watch: Watch | None = None,
) -> WheelFile:
    """Read a wheel through.

    Args:
        stream: seekable, over the wheel's bytes.
        advance: told the bytes of the wheel that were gone through.
        keep: how many bytes to keep of a member's beginning.
        scratch: a directory on a disk that has room for the largest compiled file, which is copied there if its headers lie
            so that it would be inflated again and again. Without one nothing is ever written, and no file is asked for which
            GPUs it holds code.
        library: ``zlib``, or one that has its functions and is faster.
        watch: sees the contents too.

    Raises:
        OSError: when the stream cannot be read, or ``scratch`` not written.
    """
    try:
        archive = read_archive(stream, library)
        return _Reading(archive, keep, scratch, watch).read(advance)
    except BadZip as exc:
        return WheelFile(stream.seek(0, os.SEEK_END), (exc.rule, str(exc)))


def read_metadata(stream: BinaryIO) -> bytes | None:
    """METADATA alone, of a wheel that is only asked what it requires; None when it has none, or not one.

    Raises:
        BadZip: when the archive's form breaks a rule.
        OSError: when the stream cannot be read.
    """
    archive = read_archive(stream)
    infos = _infos(member.name for member in archive.members)
    wanted = f"{infos[0]}/METADATA" if len(infos) == 1 else ""
    found = next((member for member in archive.members if member.name == wanted), None)
    return archive.read(found, MAX_TEXT_BYTES) if found else None


def _infos(names: Iterable[str]) -> list[str]:
    """What is called ``.dist-info``, in whatever case; files as well, for pip counts them."""
    tops = {name.partition("/")[0] for name in names}
    return sorted(top for top in tops if top.lower().endswith(".dist-info"))


class _Reading:
    """One wheel that is being read."""

    def __init__(self, archive: Archive, keep: Callable[[str], int], scratch: Path | None, watch: Watch | None) -> None:
        self._archive, self._keep, self._scratch, self._watch = archive, keep, scratch, watch
        infos = _infos(member.name for member in archive.members)
        self._info = infos[0] if len(infos) == 1 else ""
        self._texts = {f"{self._info}/{name}": name for name in (*TEXTS, "RECORD")} if self._info else {}
        self._record: Record | None = None
        self._found: dict[str, bytes] = {}
        self._kept: dict[str, bytes] = {}
        self._room = MAX_KEPT_BYTES
        self._digests: dict[str, bytes] = {}
        self._recorded: dict[str, Recorded] = {}
        self._tally = NativeTally(scratch is not None, (watch or Watch()).elf)

    def read(self, advance: Callable[[int], object]) -> WheelFile:
        members, problem = self._archive.members, "it has no RECORD"
        for member in sorted(members, key=lambda member: self._texts.get(member.name) != "RECORD"):
            if not member.is_directory:
                self._take(member)
                advance(member.packed)
            if "RECORD" in self._found:
                try:
                    self._record = Record.parse(self._found.pop("RECORD"))
                except ValueError as exc:
                    problem = f"its RECORD cannot be read: {exc}"
        return WheelFile(
            self._archive.size,
            None,
            tuple(
                WheelMember(one.name, one.size, one.mode, one.descriptor, self._digests.get(one.name, b""))
                for one in members
            ),
            self._found,
            self._kept,
            self._check(problem),
            self._tally.native(),
        )

    def _take(self, member: Member) -> None:
        """Everything about one content while it goes by."""
        name = member.name
        line = self._record.lines.get(name) if self._record else None
        hashes = {one: hashlib.new(one) for one in {"sha256", line.algorithm if line and line.digest else "sha256"}}
        marks = Marks(member) if self._scratch is None or member.size > IN_MEMORY else None
        pieces = self._through(member, marks, tuple(hashes.values()))
        text, kept = self._texts.get(name), self._keep(name)
        wanted = min(kept, self._room)
        head = head_of(pieces, max(len(MAGIC), wanted, self._archive.checked(member, MAX_TEXT_BYTES) if text else 0))
        if text:
            self._found[text] = head
        if kept:
            self._kept[name] = head[:wanted]
            self._room -= len(self._kept[name])
        headers = GpuHeaders()
        if self._scratch and not marks:
            self._tally.add_pieces(chain([head], pieces), name, self._scratch)
        elif self._scratch and head.startswith(MAGIC):
            for piece in chain([head], pieces):
                headers.feed(piece)
        for _ in pieces:
            pass  # to its end: only then is it what was announced
        if marks and head.startswith(MAGIC):
            with self._archive.seekable(member, marks, headers.kept, self._scratch) as seekable:
                self._tally.add(seekable, name)
        self._digests[name] = hashes["sha256"].digest()
        self._recorded[name] = Recorded(member.size, hashes[line.algorithm].digest() if line and line.digest else b"")

    def _through(self, member: Member, marks: Marks | None, hashes: tuple[Any, ...]) -> Iterator[bytes]:
        for piece in self._archive.content(member, marks):
            may_go_on()
            for one in hashes:
                one.update(piece)
            if self._watch:
                self._watch.piece(member.name, piece)
            yield piece

    def _check(self, problem: str) -> RecordCheck:
        if self._record is None:
            return RecordCheck(problem)
        directories = (member.name.rstrip("/") for member in self._archive.members if member.is_directory)
        exempt = {f"{self._info}/{name}" for name in ("RECORD", *SIGNATURES)}
        return self._record.check(self._recorded, directories, exempt)

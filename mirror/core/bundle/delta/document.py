"""The head of a delta: of which bundle it makes which, and how each file of that one comes about.

A delta is one line, ``mirror-delta/1 SIZE SHA256``; the head of that size and digest, JSON in a gzip file; and then, for each
part in order, the zstd frames or the bytes that it needs and the base does not have.

- ``same``: the file is in the base.
- ``members``: a wheel. Its stream is a table (for each member: bytes of framing before it, unpacked and packed bytes, and the
  settings of ``mirror.core.bundle.delta.deflating``; ``RECORD``), its framing, and its members one after another.
- ``bytes``: the stream is the file.
- ``whole``: the file itself follows.

A stream is cut into pieces of ``PIECE_BYTES``. Each is one zstd frame, made with a prefix (``zstd --patch-from``) that is put
together of ``Slice`` after ``Slice`` of the base's counterpart.

Rules: every size is told before, and limits what is read, inflated and written; each file's digest is told, the bundle's, and
that of everything after the head; nothing here says that a bundle is good.

Example::

    head = Delta.parse(data)
    head.base.manifest_sha256
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mirror.core.archives.zipdirectory import MAX_MEMBERS
from mirror.core.bundle import layout
from mirror.core.bundle.delta.deflating import SETTINGS
from mirror.core.bundle.delta.unpacked import Slice
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, by, canonical_json, told
from mirror.core.names import Sha256Hex, sha256_hex, shaped, stack_name
from mirror.core.words import bundle_words

FORMAT = "mirror-delta/1"
MAGIC = f"{FORMAT} ".encode()
PIECE_BYTES = 64 << 20
PREFIX_BYTES = 96 << 20
"""With pieces of 64 MiB, whoever decompresses a frame stays below 256 MiB, and ``zstd -d`` takes it without ``--long``."""

MAX_HEAD_BYTES = 64 << 20
MAX_PACKED_HEAD_BYTES = 16 << 20
MAX_FRAMING_BYTES = 96 << 20
MAX_GROWTH = 32
"""How many times larger a stream may be than the file that is made of it; what is larger goes another way."""

SAME, MEMBERS, BYTES, WHOLE = "same", "members", "bytes", "whole"
RECORD = struct.Struct("<QQQB")


file_name = shaped(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}", "a file's name such as 'bundle.tar'")
"""Check the name of a bundle's file, beside which others lie."""


@dataclass(frozen=True)
class Named:
    """A bundle, as people and files call it.

    Attributes:
        file: its file's name when the delta was made.
        name, sequence: of the stack, and when it was locked.
        manifest_sha256: its identity.
    """

    file: str = field(metadata=by(file_name))
    name: str = field(metadata=by(stack_name))
    sequence: int
    manifest_sha256: Sha256Hex

    def __str__(self) -> str:
        return bundle_words(self.name, self.sequence, self.file, f"manifest {self.manifest_sha256[:12]}")


@dataclass(frozen=True)
class Piece:
    """One frame: how many bytes it has, and of what its prefix is put together."""

    packed: int
    slices: tuple[Slice, ...] = ()


@dataclass(frozen=True)
class Counterpart:
    """A file of the base; ``MANIFEST.json`` counts as one."""

    path: str
    size: int
    sha256: Sha256Hex


@dataclass(frozen=True)
class Part:
    """How one file of the new bundle comes about, or with the path ``""`` what is before all files.

    Attributes:
        path, size, sha256: of the file.
        how: ``same``, ``members``, ``bytes`` or ``whole``.
        base: its counterpart; None where there is none.
        stream: bytes of the stream, for ``members`` and ``bytes``.
        members, framing: of a wheel: how many, and how many bytes.
        settings: of a wheel: those with which members are deflated again, in ascending order.
        pieces: of the stream.
    """

    path: str
    size: int
    sha256: Sha256Hex
    how: str
    base: Counterpart | None = None
    stream: int = 0
    members: int = 0
    framing: int = 0
    settings: tuple[int, ...] = ()
    pieces: tuple[Piece, ...] = ()

    @property
    def packed(self) -> int:
        """Bytes of the delta that are this part's."""
        return self.size if self.how == WHOLE else sum(piece.packed for piece in self.pieces)

    def to_dict(self) -> dict[str, Any]:
        document = told(self, "path", "size")
        if self.base:
            document["base"] = vars(self.base)
        if self.pieces:
            document["pieces"] = [told(piece, "slices") for piece in self.pieces]
        return document

    @classmethod
    def from_fields(cls, fields: Fields) -> Part:
        part = fields.fill(
            cls,
            pieces=tuple(Piece(piece.number("packed", minimum=1), _slices(piece)) for piece in fields.tables("pieces")),
            settings=_numbers(fields, "settings", fields.take("settings", list, [])),
        )
        if fault := part.fault():
            fields.fail(*fault)
        return part

    def fault(self) -> tuple[str, str] | None:
        """The key, and what is wrong with it."""
        if self.how not in (SAME, MEMBERS, BYTES, WHOLE):
            return "how", f"expected 'same', 'members', 'bytes' or 'whole', got {self.how!r}"
        if self.how == SAME and (self.base is None or (self.base.size, self.base.sha256) != (self.size, self.sha256)):
            return "base", "expected the same file"
        streamed, is_wheel = self.how in (MEMBERS, BYTES), self.how == MEMBERS
        most = MAX_GROWTH * self.size + PIECE_BYTES if is_wheel else self.size
        if not (streamed or not self.stream) or self.stream > most or (self.how == BYTES and self.stream != self.size):
            return "stream", f"{self.stream} bytes of a stream for {self.size}"
        if not is_wheel and (self.members or self.framing or self.settings):
            return "members", "expected none but of a wheel"
        if self.members > MAX_MEMBERS:
            return "members", f"{self.members}, more than the {MAX_MEMBERS} allowed"
        if self.members * RECORD.size + self.framing > self.stream or self.framing > min(self.size, MAX_FRAMING_BYTES):
            return "framing", f"{self.members} members and {self.framing} bytes do not fit"
        if not set(self.settings) <= set(SETTINGS) or list(self.settings) != sorted(set(self.settings)):
            return "settings", "expected settings of zlib, in ascending order"
        if len(self.pieces) != -(-self.stream // PIECE_BYTES):
            return "pieces", f"{len(self.pieces)} for a stream of {self.stream} bytes"
        if any(one.packed > 2 * PIECE_BYTES for one in self.pieces):
            return "pieces", "a frame is larger than what it holds"
        if self.base is None and any(one.slices for one in self.pieces):
            return "base", "missing"
        return None


def _numbers(fields: Fields, key: str, values: list[Any]) -> tuple[int, ...]:
    if not all(type(value) is int and value >= 0 for value in values):
        fields.fail(key, "expected whole numbers")
    return tuple(values)


def _slices(fields: Fields) -> tuple[Slice, ...]:
    """Slices in ascending order that do not overlap, and are no more together than a prefix may be."""
    slices: list[Slice] = []
    before, left = (0, 0), PREFIX_BYTES
    for one in fields.take("slices", list, []):
        values = _numbers(fields, "slices", one if isinstance(one, list) else [None])
        if len(values) != 3 or values[:2] < before or not 0 < values[2] <= left:
            fields.fail(
                "slices", f"expected part, start and length in ascending order, {left} bytes at most, got {one}"
            )
        before, left = (values[0], values[1] + values[2]), left - values[2]
        slices.append(Slice(*values))
    fields.end()
    return tuple(slices)


@dataclass(frozen=True)
class Delta:
    """All of it.

    Attributes:
        base, target: the two bundles.
        size, sha256: of the target's file.
        parts: the first is what comes before all files.
        samples: for each of zlib's settings that is needed, what it makes of the known text.
        body_sha256: of everything after the head.
    """

    base: Named
    target: Named
    size: int
    sha256: Sha256Hex
    parts: tuple[Part, ...]
    samples: tuple[tuple[int, Sha256Hex], ...]
    body_sha256: Sha256Hex

    @property
    def body_bytes(self) -> int:
        return sum(part.packed for part in self.parts)

    def counts(self) -> dict[str, int]:
        """How many files come about how."""
        return {how: sum(part.how == how for part in self.parts[1:]) for how in (SAME, MEMBERS, BYTES, WHOLE)}

    def encode(self) -> bytes:
        """The line and the head, as they stand in the file."""
        document = {
            "format": FORMAT,
            "base": vars(self.base),
            "target": {**vars(self.target), "size": self.size, "sha256": self.sha256},
            "parts": [part.to_dict() for part in self.parts],
            "samples": [{"settings": settings, "sha256": digest} for settings, digest in self.samples],
            "body_sha256": self.body_sha256,
        }
        return gzip.compress(canonical_json(document), 9, mtime=0)

    @classmethod
    def parse(cls, data: bytes) -> Delta:
        """Inverse of ``encode``. Raises InvalidDocument: with the path to the fault."""
        fields = Fields.read(_inflated(data), "Delta", FORMAT, MAX_HEAD_BYTES)
        target = fields.table("target")
        size, sha256 = target.number("size"), target.checked("sha256", sha256_hex)
        samples = tuple((one.number("settings"), one.checked("sha256", sha256_hex)) for one in fields.tables("samples"))
        delta = fields.fill(cls, target=target.fill(Named), size=size, sha256=sha256, samples=samples)
        begin, *files = delta.parts or (None,)
        if begin is None or begin.path or not all(part.path for part in files):
            fields.fail("parts", "expected what comes before all files, and then files")
        known = {settings for settings, _ in samples}
        if any(set(part.settings) - known for part in files):
            fields.fail("samples", "missing for settings that are needed")
        if size != begin.size + sum(layout.member_bytes(part.size) for part in files) + len(layout.END):
            fields.fail("target.size", f"{size} bytes are not what the parts add up to")
        for index, part in enumerate(files, 1):
            if not _is_path(part.path):
                fields.fail(f"parts[{index}].path", f"expected a path of a bundle, got {part.path[:100]!r}")
        return delta


def _is_path(path: str) -> bool:
    """Whether a tar header can hold it; what is in the bundle is judged when that is verified."""
    prefix, _, name = path.rpartition("/")
    return path.isascii() and path.isprintable() and len(name) <= 100 and len(prefix) <= 155 and bool(name)


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj(31)
    try:
        found = inflater.decompress(data, MAX_HEAD_BYTES + 1)
    except zlib.error as exc:
        raise InvalidDocument("Delta", "", f"its head is no gzip file: {exc}") from exc
    if not inflater.eof or inflater.unused_data:
        raise InvalidDocument("Delta", "", f"its head is cut short, or has more than {MAX_HEAD_BYTES} bytes")
    return found


def used_settings(parts: Iterable[Part]) -> list[int]:
    return sorted({settings for part in parts for settings in part.settings})

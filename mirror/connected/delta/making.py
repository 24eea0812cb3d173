"""Making a delta: for each file of the new bundle the smallest way in which it comes out of the base.

1. Files that the base has are only named.
2. A wheel is taken apart and every member is deflated again (``wheels``); where some come back, its stream is compressed
   against its counterpart's (``frames``).
3. Any other file, and a wheel that gains nothing so, is compressed against its counterpart's bytes; or carried as it is.
4. The delta has its name only when it is whole.

Which file is whose counterpart: the one of the same path; else the one of the same kind and project.

Rules: both bundles are held to the trusted root, and each file of the base to its digest before it is used; what was deflated
again was compared byte for byte.

Example::

    made = make_delta(Path("old.tar"), Path("new.tar"), root)
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mirror.connected.delta.frames import Stretch, frames
from mirror.connected.delta.wheels import Packed, how_packed
from mirror.connected.fetching.store import file_sha256
from mirror.core.bundle import layout
from mirror.core.bundle.delta.deflating import AS_IS, sample_digest
from mirror.core.bundle.delta.document import (
    BYTES,
    MAGIC,
    MAX_FRAMING_BYTES,
    MAX_GROWTH,
    MEMBERS,
    PIECE_BYTES,
    RECORD,
    SAME,
    WHOLE,
    Counterpart,
    Delta,
    Named,
    Part,
    file_name,
    used_settings,
)
from mirror.core.bundle.delta.unpacked import FILE, FIRST_MEMBER, FRAMING, Slice, Unpacked
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.bundle.reader import Bundle, DigestMismatch, open_bundle
from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.system.durable import replacing
from mirror.core.trust.quorum import NotTrustedNow, ThresholdNotMet, UnknownSigner
from mirror.core.trust.root import Root
from mirror.core.trust.verdict import REVIEW
from mirror.core.wheels.wheelzip import BadZip

_WORTH = 0.95
"""What does not become smaller than this goes whole: it is not worth a patch."""

_GOOD = 0.5
"""A wheel that becomes smaller than this when it is taken apart is not tried in another way."""

_CHANGING = re.compile(r"[0-9a-f]{8,}|[0-9]+(?:\.[0-9]+)*")
"""In a member's name: versions, and the hashes that auditwheel adds."""


class NoDelta(MirrorError):
    """Two bundles of which no delta is made."""

    ref = "no-delta"
    exit_code = FAMILIES["bundle"]
    message = "no delta from {base} to {target}: {reason}"
    hint = "Name with --from another bundle of the same stack, which the closed network has."

    base: str
    target: str
    reason: str


@dataclass(frozen=True)
class MadeDelta:
    """A finished delta: its file, and what that says."""

    path: Path
    size: int
    sha256: Sha256Hex
    head: Delta

    def to_dict(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "size": self.size,
            "sha256": self.sha256,
            "base": vars(self.head.base),
            "parts": [{"how": how, "count": count} for how, count in self.head.counts().items()],
        }


def delta_path(target: Path, base: Manifest) -> Path:
    """Where the delta of a bundle goes: beside it, named after the base's sequence."""
    return target.with_name(f"{target.name}.from-{base.sequence}.delta")


def check_base(base: Path, output: Path) -> None:
    """Refuse now what would be refused after the long work.

    Raises:
        NoDelta: when the new bundle would be written over the one before.
        MirrorError: as ``open_bundle``.
    """
    with open_bundle(base) as bundle:
        if output.exists() and bundle.path.exists() and output.samefile(bundle.path):
            raise NoDelta(str(base), str(output), "they are one file: name another for the new bundle with -o")


def make_delta(
    base_path: Path, target_path: Path, root: Root, redeflate: bool = True, progress: Progress = SILENT
) -> MadeDelta:
    """Write the delta of two bundles, beside the newer one.

    Args:
        root: the trusted one; both bundles are held to it.
        redeflate: whether wheels may be taken apart; without, no zlib of the other side is relied on.

    Raises:
        NotTrustedNow: when the root does not trust who signed the base, any more.
        NoDelta: when they are the same bundle, of two stacks, or have names that a delta cannot hold.
        Unwritable: when there is no room.
        MirrorError: as ``Bundle.trust``.
    """
    with open_bundle(base_path) as base, open_bundle(target_path) as target:
        new = target.trust(root, required=REVIEW)
        try:
            old = base.trust(root, required=REVIEW)
        except (UnknownSigner, ThresholdNotMet) as exc:
            whole = f"{target_path} is whole and stands: carry it instead of a delta, this once."
            raise NotTrustedNow(str(base_path), str(exc), whole) from exc
        _check(base, target)
        path = delta_path(target_path, old)
        with tempfile.TemporaryFile(dir=path.absolute().parent) as body:
            digest = hashlib.sha256()

            def write(data: bytes) -> None:
                digest.update(data)
                body.write(data)

            work = _Work(base, target, redeflate, write)
            total = sum(one.size for one in new.artifacts)
            with progress.task("delta", total) as advance:
                parts = (work.begin(), *(work.part(artifact, advance) for artifact in new.artifacts))
            head = Delta(
                Named(base.path.name, old.name, old.sequence, base.digest),
                Named(target.path.name, new.name, new.sequence, target.digest),
                target_path.stat().st_size,
                file_sha256(target_path),
                parts,
                tuple((settings, sample_digest(settings)) for settings in used_settings(parts)),
                Sha256Hex(digest.hexdigest()),
            )
            sha256 = _write(path, head, body)
    return MadeDelta(path, path.stat().st_size, sha256, head)


def _check(base: Bundle, target: Bundle) -> None:
    old, new = base.manifest, target.manifest
    reason = ""
    if base.digest == target.digest:
        reason = "they are the same bundle"
    elif old.name != new.name:
        reason = f"one is of the stack {old.name}, the other of {new.name}"
    for path in (base.path, target.path):
        try:
            file_name(path.name)
        except ValueError as exc:
            reason = reason or str(exc)
    if reason:
        raise NoDelta(str(base.path), str(target.path), reason)


def _write(path: Path, head: Delta, body: IO[bytes]) -> Sha256Hex:
    packed = head.encode()
    line = MAGIC + f"{len(packed)} {hashlib.sha256(packed).hexdigest()}\n".encode()
    digest = hashlib.sha256(line + packed)
    body.seek(0)
    with replacing(path) as out:
        out.write(line + packed)
        while data := body.read(1 << 20):
            digest.update(data)
            out.write(data)
    return Sha256Hex(digest.hexdigest())


class _Work:
    """Two trusted bundles, and where frames go."""

    def __init__(self, base: Bundle, target: Bundle, redeflate: bool, write: Any) -> None:
        self._base, self._target, self._redeflate, self._write = base, target, redeflate, write
        artifacts = base.manifest.artifacts
        self._by_digest = {artifact.sha256: artifact for artifact in artifacts}
        self._by_path = {artifact.path: artifact for artifact in artifacts}
        self._by_project: dict[tuple[str, str], list[Artifact]] = {}
        for artifact in artifacts:
            self._by_project.setdefault((artifact.directory, artifact.name), []).append(artifact)

    def begin(self) -> Part:
        """What comes before all files; the base's manifest is much like the new one."""
        target = self._target
        data = layout.head(target.manifest_bytes, target.signatures, target.root_documents)
        size = len(data)
        manifest = self._base.manifest_bytes
        counterpart = Counterpart(layout.MANIFEST, len(manifest), self._base.digest)
        stretch = [Stretch(size, FILE, len(manifest))]
        pieces = tuple(frames([data], stretch, Unpacked(io.BytesIO(manifest), len(manifest)), self._write))
        digest = Sha256Hex(hashlib.sha256(data).hexdigest())
        return Part("", size, digest, BYTES, counterpart, stream=size, pieces=pieces)

    def part(self, artifact: Artifact, advance: Advance) -> Part:
        """How one file comes about; its frames are written."""
        same = self._by_digest.get(artifact.sha256)
        if same:
            advance(artifact.size)
            return _part(artifact, SAME, same)
        base = self._counterpart(artifact)
        with tempfile.TemporaryFile() as inside, tempfile.TemporaryFile() as outside:
            ways: list[tuple[Part, IO[bytes]]] = []
            if artifact.path.endswith(".whl") and self._redeflate and (found := self._members(artifact, base, inside)):
                ways.append((found, inside))
            if not ways or ways[0][0].packed > _GOOD * artifact.size:
                ways.append((self._bytes(artifact, base, outside), outside))
            advance(artifact.size)
            smallest, scratch = min(ways, key=lambda way: way[0].packed)
            if smallest.packed > _WORTH * artifact.size:
                self._copy(self._target.open(artifact))
                return _part(artifact, WHOLE, None)
            scratch.seek(0)
            self._copy(scratch)
            return smallest

    def _copy(self, stream: Any) -> None:
        while data := stream.read(1 << 20):
            self._write(data)

    def _counterpart(self, artifact: Artifact) -> Artifact | None:
        same = self._by_path.get(artifact.path)
        others = self._by_project.get((artifact.directory, artifact.name), [])
        found = same or (others[0] if others else None)
        if found:
            self._check_base(found)
        return found

    def _check_base(self, artifact: Artifact) -> None:
        digest = hashlib.sha256()
        stream = self._base.open(artifact)
        while data := stream.read(1 << 20):
            digest.update(data)
        actual = Sha256Hex(digest.hexdigest())
        if actual != artifact.sha256:
            raise DigestMismatch(artifact.path, artifact.sha256, actual, str(self._base.path))

    def _open_base(self, base: Artifact | None) -> Unpacked | None:
        return Unpacked(self._base.open(base), base.size) if base else None

    def _bytes(self, artifact: Artifact, base: Artifact | None, scratch: Any) -> Part:
        stretch = [Stretch(artifact.size, FILE if base else -1, base.size if base else 0)]
        source = self._target.open(artifact)
        stream = iter(lambda: source.read(1 << 20), b"")
        pieces = tuple(frames(stream, stretch, self._open_base(base), scratch.write))
        return _part(artifact, BYTES, base, stream=artifact.size, pieces=pieces)

    def _members(self, artifact: Artifact, base: Artifact | None, scratch: Any) -> Part | None:
        """None where a wheel cannot be taken apart, or not so that it would be put together again."""

        def reopen() -> Unpacked:
            return Unpacked(self._target.open(artifact), artifact.size)

        try:
            packed = how_packed(reopen, lambda size: None)
            file = reopen()
            framing = file.size_of(FRAMING)
            table = _table(file, packed)
        except BadZip:
            return None
        sizes = [member.packed if how == AS_IS else member.size for member, how in zip(file.members, packed.settings)]
        size = len(table) + framing + sum(sizes)
        if not packed.used or framing > MAX_FRAMING_BYTES or size > MAX_GROWTH * artifact.size + PIECE_BYTES:
            return None
        opened = self._open_base(base)
        try:
            stretches = [Stretch(len(table)), *_stretches(file, sizes, framing, opened)]
            pieces = tuple(frames(_stream_of(file, packed, table), stretches, opened, scratch.write))
        except BadZip:  # the base's wheel: the target's was read through
            return None
        return _part(
            artifact,
            MEMBERS,
            base,
            stream=size,
            members=len(file.members),
            framing=framing,
            settings=packed.used,
            pieces=pieces,
        )


def _part(artifact: Artifact, how: str, base: Artifact | None, **more: Any) -> Part:
    counterpart = Counterpart(base.path, base.size, base.sha256) if base else None
    if not any(piece.slices for piece in more.get("pieces", ())) and how != SAME:
        counterpart = None
    return Part(artifact.path, artifact.size, artifact.sha256, how, counterpart, **more)


def _table(file: Unpacked, packed: Packed) -> bytes:
    gaps = file.gaps()
    return b"".join(
        RECORD.pack(gap, member.size, member.packed, settings)
        for (_, gap), member, settings in zip(gaps, file.members, packed.settings)
    )


def _stream_of(file: Unpacked, packed: Packed, table: bytes) -> Iterator[bytes]:
    """A wheel's stream: see ``mirror.core.bundle.delta.document``."""
    yield table
    yield from file.read(Slice(FRAMING, 0, file.size_of(FRAMING)))
    for member, settings in zip(file.members, packed.settings):
        yield from file.packed(member) if settings == AS_IS else file.content(member)


def _stretches(file: Unpacked, sizes: Sequence[int], framing: int, base: Unpacked | None) -> Iterator[Stretch]:
    """What of the base corresponds to the framing and to each member: by name, or by a name that differs in its numbers."""
    if base is None:
        yield from map(Stretch, (framing, *sizes))
        return
    exact = {member.name: number for number, member in enumerate(base.members, FIRST_MEMBER)}
    alike = {_CHANGING.sub("#", member.name): number for number, member in enumerate(base.members, FIRST_MEMBER)}
    yield Stretch(framing, FRAMING, base.size_of(FRAMING))
    for member, size in zip(file.members, sizes):
        part = exact.get(member.name, alike.get(_CHANGING.sub("#", member.name), -1))
        yield Stretch(size, part, base.size_of(part) if part >= 0 else 0)

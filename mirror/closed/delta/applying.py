"""Applying a delta: the new bundle out of the one before, byte for byte.

1. Open the delta, and read all of it once: every byte is the one that was written.
2. Look at the output: the very bundle may be there already; anything else is not replaced.
3. Ask whether this zlib packs as the builder's did; if not, name what it cannot give back, before anything is written.
4. Open the base, found by its digest where nobody named it: it is the bundle that the delta goes from, and has the files
   that are needed.
5. Find who decompresses; look for room; write. Each file of the base is held to its digest before it is used, each new one as
   it is written; the bundle's own digest comes last, and then the bundle has its name.

Rules: nothing is trusted here, neither the delta nor the base: who wants to install, or to know more, verifies what came out; a
run that was stopped or killed leaves what it wrote (``unfinished``), and the next one goes on there; one that fails leaves
nothing.

Example::

    applied = apply_delta(Path("h100.tar.delta"), Options(base=Path("old.tar")), TrustStore.default())
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from mirror.closed.delta.restoring import Unrestorable, restored
from mirror.closed.delta.unfinished import unfinished
from mirror.closed.delta.unpatching import Unpatcher, carried, patching_program, this_python
from mirror.closed.toolkit.zstd import PROJECT, Way
from mirror.closed.venv.interpreter import find_interpreter
from mirror.core.bundle import layout
from mirror.core.bundle.delta.deflating import sample_digest
from mirror.core.bundle.delta.document import MEMBERS, SAME, Delta, Named, Part
from mirror.core.bundle.delta.opened import DamagedDelta, OpenDelta, open_delta
from mirror.core.bundle.delta.unpacked import Unpacked
from mirror.core.bundle.manifest import Manifest
from mirror.core.bundle.reader import Bundle, open_bundle
from mirror.core.errors import FAMILIES, MirrorError, Unreadable, Unwritable, writing
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.system.durable import facts_of, sha256_of
from mirror.core.system.output import check_place
from mirror.core.trust.scratch import scratch_directory
from mirror.core.trust.sidecars import shell_word
from mirror.core.trust.truststore import TrustStore
from mirror.core.wheels.wheelzip import BadZip

_CHUNK = 1 << 20


class WrongBase(MirrorError):
    """The bundle that was named, or lies there, is not the one that the delta goes from."""

    ref = "wrong-base"
    exit_code = FAMILIES["files"]
    message = "the delta goes from {wanted}; {path} is {found}"
    hint = "Name the right one with --base, or have a delta made from the bundle that you have: mirror bundle NAME --from THAT."

    path: str
    wanted: str
    found: str


class NoBase(MirrorError):
    """The bundle that the delta goes from does not lie beside it, under any name."""

    ref = "no-base"
    exit_code = FAMILIES["files"]
    message = "the delta goes from {wanted}; {path} is not there, and no other file beside the delta is that bundle"
    hint = (
        "Put that bundle beside the delta, or name it: 'mirror apply DELTA --base PREV', 'mirror install DELTA --base PREV'; "
        "without it the delta is of no use, and the whole bundle must be carried."
    )

    wanted: str
    path: str


class DamagedBase(MirrorError):
    """A file in the base is not what it was when the delta was made."""

    ref = "damaged-base"
    exit_code = FAMILIES["files"]
    message = "{base}: {problem}"
    hint = (
        "This copy of the base is damaged: 'mirror verify' tells more. Name another copy with --base, or copy it again."
    )

    base: str
    problem: str


class OtherZlib(MirrorError):
    """This host's zlib packs wheels to other bytes than the builder's."""

    ref = "other-zlib"
    exit_code = FAMILIES["install"]
    message = (
        "the zlib of this host's Python ({version}) gives other bytes than the builder's; to be carried whole: {files}"
    )
    hint = (
        "Run mirror with a Python whose zlib is the original one, or ask the builder for a delta made with --no-redeflate, "
        "which needs none; or have the whole bundle carried. Nothing was written."
    )

    version: str
    files: tuple[str, ...]

    @classmethod
    def of(cls, files: tuple[str, ...]) -> OtherZlib:
        """By this Python's zlib, which it may lack."""
        import zlib

        return cls(zlib.ZLIB_RUNTIME_VERSION, files)


@dataclass(frozen=True)
class Options:
    """What to apply a delta to.

    Attributes:
        base: the bundle that it goes from; None for the one that lies beside the delta, under whatever name.
        output: the new bundle; None for its name, beside the delta.
        volumes: directories in which volumes of either may lie.
    """

    base: Path | None = None
    output: Path | None = None
    volumes: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Applied:
    """The new bundle.

    Attributes:
        path: where it is.
        head: of the delta.
        was_there: whether it was there already.
    """

    path: Path
    head: Delta
    was_there: bool

    def to_dict(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "size": self.head.size,
            "sha256": self.head.sha256,
            "was_there": self.was_there,
            "base": vars(self.head.base),
            "target": vars(self.head.target),
            "parts": [{"how": how, "count": count} for how, count in self.head.counts().items()],
        }


def apply_delta(path: Path, options: Options, store: TrustStore, progress: Progress = SILENT) -> Applied:
    """Make a bundle out of a delta and the bundle before.

    Args:
        path: the delta, whole or in volumes.
        store: whom this user trusts; asked only whether a program that the base carries may run.

    Raises:
        WrongBase, NoBase, DamagedBase, DamagedDelta, OtherZlib, NoUnpatcher: as they say.
        Unwritable: when the output is there and is something else, or there is no room.
        BadVolumes: when one of the base or of the delta is to blame.
        MirrorError: as ``open_file`` and ``open_bundle``.
    """
    with open_delta(path, options.volumes) as delta:
        head = delta.head
        output = options.output or delta.path.with_name(head.target.file)
        if _stands(output, head):
            _refuse_other_base(options, head)
            return Applied(output, head, was_there=True)
        delta.check(progress)
        _check_zlib(head)
        place = options.base or _base_beside(delta.path.with_name(head.base.file), head.base, options.volumes)
        try:
            with open_bundle(place, options.volumes) as base:
                for fault in (*delta.passed_over, *base.passed_over):
                    progress.say(f"note: {fault}")
                try:
                    _write(delta, base, output, store, progress)
                except DamagedBase:
                    base.check_volumes()
                    raise
        except Unreadable as exc:
            if options.base is None and exc.path == str(place):
                raise _no_base(head.base, place) from exc
            raise
    return Applied(output, head, was_there=False)


def _no_base(base: Named, place: Path) -> NoBase:
    """With the step for a base that another delta, which lies there too, would make."""
    error = NoBase(str(base), str(place))
    for path in _files_in(place.parent, ".delta"):
        with suppress(MirrorError), open_delta(path) as delta:
            if delta.head.target.manifest_sha256 == base.manifest_sha256:
                return error.advised(
                    f"{path.name}, which lies beside it, makes that bundle: 'mirror apply {shell_word(str(path))}', and then "
                    "the same command again."
                )
    return error


def _files_in(directory: Path, suffix: str) -> list[Path]:
    """What lies there; what has this ending first. Nothing of a directory that cannot be read."""
    places: list[Path] = []
    with suppress(OSError):
        places = [place for place in directory.iterdir() if place.is_file()]
    return sorted(places, key=lambda place: (place.suffix != suffix, place))


def bundle_in(directory: Path, digest: str) -> Path | None:
    """The first bundle there, under whatever name, whose manifest's sha256 begins so; None for none. Nobody has checked it."""
    for place in _files_in(directory, ".tar"):
        with suppress(MirrorError), open_bundle(place) as bundle:
            if bundle.digest.startswith(digest):
                return place
    return None


def _base_beside(named: Path, base: Named, volumes: tuple[Path, ...]) -> Path:
    """The bundle that a delta goes from: what has its name, or where that is none or another one, what has its digest."""
    with suppress(MirrorError), open_bundle(named, volumes) as there:
        if there.digest == base.manifest_sha256:
            return named
    return bundle_in(named.parent, base.manifest_sha256) or named


def _refuse_other_base(options: Options, head: Delta) -> None:
    """A base that was named is held to the delta also where it is not needed any more; one that is gone is not asked for."""
    if options.base:
        with suppress(Unreadable), open_bundle(options.base, options.volumes) as base:
            _check_base(base, head)


def _check_base(base: Bundle, head: Delta) -> None:
    if base.digest != head.base.manifest_sha256:
        raise WrongBase(str(base.path), str(head.base), _name_of(base))


def _stands(output: Path, head: Delta) -> bool:
    """Whether the bundle is there already.

    Raises:
        Unwritable: when something else is, or nothing could be.
    """
    with writing(output, below=True):
        if facts_of(output) is None:
            check_place(output)
            return False
        if output.is_file() and output.stat().st_size == head.size:
            with output.open("rb") as stream:
                if sha256_of(stream) == head.sha256:
                    return True
    hint = "Name another file with -o, or remove the one that is there if nobody needs it."
    raise Unwritable(str(output), f"it is there and is not {head.target}").advised(hint)


def _check_zlib(head: Delta) -> None:
    others = {settings for settings, digest in head.samples if sample_digest(settings) != digest}
    files = tuple(part.path for part in head.parts if others & set(part.settings))
    if files:
        raise OtherZlib.of(files)


def _write(delta: OpenDelta, base: Bundle, output: Path, store: TrustStore, progress: Progress) -> None:
    head = delta.head
    _check_base(base, head)
    places = {name: (offset, size) for name, offset, size in base.members()}
    for part in head.parts:
        if part.base and places.get(part.base.path, (0, -1))[1] != part.base.size:
            raise DamagedBase(
                str(base.path), f"{part.base.path} is not where it should be, with {part.base.size} bytes"
            )
    with scratch_directory("mirror-apply-") as work, unfinished(output, head.sha256) as out:
        free, there = shutil.disk_usage(output.absolute().parent).free, os.fstat(out.fileno()).st_size
        if free + there < head.size:
            words = f"it takes {head.size - there} bytes, {output.absolute().parent} has {free} free"
            raise Unwritable(str(output), words)
        needs_zstd = any(part.pieces for part in head.parts)
        unpatcher = Unpatcher(_ways(base, store, work), work) if needs_zstd else None
        with progress.task("apply", head.size) as advance:
            _Work(delta, base, places, unpatcher, out, advance).write()


def _name_of(base: Bundle) -> str:
    """A bundle as its manifest calls it; nobody has checked that."""
    try:
        manifest = Manifest.parse(base.manifest_bytes)
    except MirrorError:
        return f"another bundle (manifest {base.digest[:12]})"
    return str(Named(base.path.name, manifest.name, manifest.sequence, base.digest))


def _ways(base: Bundle, store: TrustStore, work: Path) -> Iterator[Way]:
    """Who may decompress here, in order."""
    yield this_python()
    yield patching_program()
    # A program out of the base runs only if the base is one that could be installed here.
    try:
        manifest = base.trust(store.load_root())
        wheel = next(tool for tool in manifest.tools if tool.name == PROJECT)
        data = base.read(wheel)
    except (MirrorError, StopIteration):
        return
    found = find_interpreter(manifest.target).found
    if found is not None:
        (work / wheel.filename).write_bytes(data)
        yield carried(found.path, work / wheel.filename, work)


@dataclass
class _Work:
    """The parts of one bundle, on their way into its file."""

    _delta: OpenDelta
    _base: Bundle
    _places: dict[str, tuple[int, int]]
    _unpatcher: Unpatcher | None
    _out: BinaryIO
    _advance: Advance
    _digest: Any = field(default_factory=hashlib.sha256)
    _checked: set[str] = field(default_factory=set)

    def write(self) -> None:
        head, start, is_there = self._delta.head, 0, True
        for part in head.parts:
            is_there = is_there and self._is_there(part)
            if not is_there:
                if part.path:
                    self._put(layout.header(part.path, part.size))
                self._part(part, start)
                if part.path:
                    self._put(layout.padding(part.size))
            start += part.packed
        self._out.truncate()
        self._put(layout.END)
        if self._digest.hexdigest() != head.sha256:
            raise DamagedDelta(
                str(self._delta.path), f"what comes out has sha256 {self._digest.hexdigest()}, not {head.sha256}"
            )

    def _is_there(self, part: Part) -> bool:
        """Whether a run before this one wrote this part, whole and right; if so it is passed over, and else cut off."""
        at, digest, content, left = self._out.tell(), self._digest.copy(), hashlib.sha256(), part.size
        begin, end = (layout.header(part.path, part.size), layout.padding(part.size)) if part.path else (b"", b"")
        is_right = self._out.read(len(begin)) == begin
        digest.update(begin)
        while is_right and left and (data := self._out.read(min(_CHUNK, left))):
            left -= len(data)
            content.update(data)
            digest.update(data)
        if not is_right or left or content.hexdigest() != part.sha256 or self._out.read(len(end)) != end:
            self._out.seek(at)
            self._out.truncate()
            return False
        digest.update(end)
        self._digest = digest
        self._advance(len(begin) + part.size + len(end))
        return True

    def _put(self, data: bytes) -> None:
        self._out.write(data)
        self._digest.update(data)
        self._advance(len(data))

    def _part(self, part: Part, start: int) -> None:
        digest, left = hashlib.sha256(), part.size
        base = self._open_base(part)
        try:
            for data in restored(part, base, self._delta.body, start, self._frame):
                left -= len(data)
                if left < 0:
                    break
                digest.update(data)
                self._put(data)
        except Unrestorable as exc:
            raise (OtherZlib.of((part.path,)) if exc.by_zlib else self._damaged(part, str(exc))) from exc
        except (BadZip, ValueError, EOFError) as exc:
            raise self._damaged(part, str(exc)) from exc
        actual = Sha256Hex(digest.hexdigest())
        if left or actual != part.sha256:
            if part.how == SAME:
                raise DamagedBase(str(self._base.path), f"the sha256 of {part.path} is {actual}, it was {part.sha256}")
            words = f"its sha256 is {actual}, the head says {part.sha256}"
            raise OtherZlib.of((part.path,)) if part.how == MEMBERS and not left else self._damaged(part, words)

    def _damaged(self, part: Part, problem: str) -> DamagedDelta:
        return DamagedDelta(
            str(self._delta.path), f"{part.path or 'the begin of the bundle'} does not come out: {problem}"
        )

    def _open_base(self, part: Part) -> Unpacked | None:
        """The counterpart, held to its digest."""
        if part.base is None:
            return None
        offset, size = self._places[part.base.path]
        if part.how != SAME and part.base.path not in self._checked:
            digest = hashlib.sha256()
            for at in range(0, size, _CHUNK):
                digest.update(self._base.read_at(offset + at, min(_CHUNK, size - at)))
            if digest.hexdigest() != part.base.sha256:
                words = f"the sha256 of {part.base.path} is {digest.hexdigest()}, it was {part.base.sha256}"
                raise DamagedBase(str(self._base.path), words)
            self._checked.add(part.base.path)
        return Unpacked(self._base.stream(offset, size), size, str(self._base.path))

    def _frame(self, prefix: Iterator[bytes], start: int, packed: int, size: int) -> Iterator[bytes]:
        assert self._unpatcher is not None, "it was looked for"
        return self._unpatcher.frame(prefix, self._delta.body(start, packed), size)

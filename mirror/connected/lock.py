"""``mirror lock``: from wishes to pins, for the target, on any machine.

1. Read the sdists of what is built from source: their own words, nothing of them is run.
2. Refuse exact pins that the target cannot take, and set optional requirements aside whose index cannot be reached.
3. Resolve versions, choose the one file of each, and see that all are for one CUDA: ``NAME.txt``.
4. The same for what the builds need: ``NAME.build.txt``.
5. Ask whoever offers the other kinds (``mirror.connected.locking.kinds``): close over the RPMs that are wanted, choose among
   NVIDIA's component archives, pin the files of models.

Rules: files are written when all of them are computed, each whole or not at all; only a toolchain's source out of reach leaves
the Python side written, and the error says how to go on. What was locked before is kept where it still answers, unless it is to
be upgraded; when nothing changes, not a byte does, the time of locking included. What mirror did not write stays, whatever its
name.

Example::

    locked = lock(Path("lockfiles/h100.toml"), LockOptions(), Store.default())
    locked.files[0].changed
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mirror.connected.fetching.store import Store
from mirror.connected.index.defaultindex import with_default_index
from mirror.connected.index.pages import Index
from mirror.connected.locking.consistency import check_consistency
from mirror.connected.locking.copies import Copies
from mirror.connected.locking.drafts import BUILD, PARTS, PYTHON, Draft, LockedFile, LockOptions, write
from mirror.connected.locking.interpreter import InterpreterLock
from mirror.connected.locking.kinds import LOCKS, kind_drafts
from mirror.connected.locking.moves import Move, moves
from mirror.connected.locking.upgrade import Upgrade
from mirror.connected.pins.ownership import PINS, read_own
from mirror.connected.pins.requirements import InvalidLock, PythonLock, parse_lock, read_lock
from mirror.connected.resolving.coverage import covers, covers_builds, wish_digests
from mirror.connected.resolving.keptout import KeptOut
from mirror.connected.resolving.pinning import Pinning
from mirror.connected.stack.ownpins import own_pins_named
from mirror.connected.stack.stack import Stack
from mirror.connected.stack.without import TOOLCHAIN, left_out
from mirror.connected.toolchain.repository import RepositoryUnreachable
from mirror.core.names import project_name
from mirror.core.progress import SILENT, Progress

__all__ = ["PARTS", "LockOptions", "Locked", "LockedFile", "covers", "covers_builds", "lock", "restamp"]

_ENDINGS = {PYTHON: "txt", BUILD: "build.txt"}
_TITLES = {
    PYTHON: "The Python side of {}, locked by mirror: one file for each project.",
    BUILD: "What the builds of {} need, locked by mirror: one file for each project.",
}


@dataclass(frozen=True)
class Locked:
    """What ``lock`` did.

    Attributes:
        files: the lock files, in the order of ``PARTS``.
        unpinned: optional requirements that the lock goes without, each with the reason.
        moved: pins that are others now; none where there was no lock before.
        kept_out: newer versions of what the user named, and what kept each out of the lock.
        notes: what else a person should know.
    """

    name: str
    files: tuple[LockedFile, ...]
    unpinned: tuple[str, ...]
    moved: tuple[Move, ...] = ()
    kept_out: tuple[KeptOut, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        files = [{"path": str(file.path), "pins": file.pins, "changed": file.changed} for file in self.files]
        return {
            "name": self.name,
            "files": files,
            "unpinned": list(self.unpinned),
            "moved": [move.to_dict() for move in self.moved],
            "kept_out": [one.to_dict() for one in self.kept_out],
            "notes": list(self.notes),
        }


def lock(path: Path, options: LockOptions, store: Store, progress: Progress = SILENT) -> Locked:
    """Lock a stack and write the files beside its ``NAME.toml``.

    Raises:
        RepositoryUnreachable: of the toolchain; the Python side is written then.
        MirrorError: as ``Stack.load``, ``left_out``, ``Pinning``, ``check_consistency``, ``lock_rpms`` and ``write``. Then
            nothing is written.
    """
    written = Stack.load(path)
    stack, notes = with_default_index(written.signed_by(options.rpm_fingerprints), options.index_url)
    options = replace(options, without=left_out(options.without, stack))
    now = int(time.time()) if options.now is None else options.now
    with own_pins_named(stack):
        python = _python_side(stack, wish_digests(written), path.parent, options, now, store, progress)
    drafts, moved = list(python.drafts), python.moved
    for one in LOCKS:
        try:
            of_kind = kind_drafts(one, stack, path.parent, options, now, progress)
        except RepositoryUnreachable:
            for draft in write(python.drafts):
                progress.say(f"{draft.path} is locked; {one.file.path(Path(), stack.name)} is not")
            for kept_out in python.kept_out:
                progress.say(f"note: {kept_out}")
            raise
        drafts += of_kind.drafts
        moved += of_kind.moved
    files = write(drafts)
    _remember_copy(files, options, store)
    told = {move.name for move in moved} | {one.project for one in python.kept_out}
    notes = (*notes, *python.notes, *_not_moved(stack, told, options.upgrade))
    return Locked(stack.name, files, python.unpinned, moved, python.kept_out, notes)


def restamp(path: Path) -> None:
    """Give a lock the digest of a ``NAME.toml`` that changed in nothing that a pin hangs on, and a new time; pins stay.

    The file travels in the bundle, so another one is another bundle, which needs a sequence number of its own.

    Raises:
        MirrorError: as ``Stack.load``, ``read_lock`` and ``write``.
    """
    stack = Stack.load(path)
    moment = int(time.time())
    for part, ending in _ENDINGS.items():
        file = path.with_name(f"{stack.name}.{ending}")
        if file.is_file():
            lock = replace(read_lock(file), locked=moment)
            lock = replace(lock, stack=stack.digest) if part == PYTHON else lock
            write([Draft(file, lock.encode(_TITLES[part].format(stack.file)), len(lock.pins), PINS, parse_lock)])


def _remember_copy(files: tuple[LockedFile, ...], options: LockOptions, store: Store) -> None:
    """The bundle of this lock takes the toolchain from the same copy."""
    endings = tuple(f".{one.file.ENDING}" for one in LOCKS if one.part == TOOLCHAIN)
    for file in files:
        if options.toolchain_repo and file.path.name.endswith(endings) and file.path.is_file():
            Copies(store).remember(file.path, options.toolchain_repo)


def _not_moved(stack: Stack, told: set[str], upgrade: Upgrade) -> tuple[str, ...]:
    """What was to be upgraded and cannot be, because its version is stated, and nothing else is told of it."""
    asked = {str(project_name(one.name)) for one in stack.requirements} if upgrade.everything else upgrade.names
    stated = ((name, stack.stated_version(project_name(name))) for name in sorted(asked - told))
    return tuple(f"{name} stays at {version}, which {stack.file} states" for name, version in stated if version)


@dataclass(frozen=True)
class _Previous:
    """The Python lock that is there: its bytes, time and versions, or nothing when it is ours and damaged."""

    data: bytes = b""
    locked: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, progress: Progress) -> _Previous:
        data = read_own(path, PINS)
        if not data:
            return cls()
        try:
            lock = parse_lock(data, str(path))
            return cls(data, lock.locked, {pin.name: pin.version for pin in lock.pins})
        except InvalidLock as exc:
            progress.say(f"{exc}; it is made anew")
            return cls()


@dataclass(frozen=True)
class _PythonSide:
    """``NAME.txt`` and ``NAME.build.txt``, as far as they are asked for, and what is to be told of them."""

    drafts: tuple[Draft, ...]
    unpinned: tuple[str, ...]
    moved: tuple[Move, ...]
    kept_out: tuple[KeptOut, ...]
    notes: tuple[str, ...]


def _python_side(
    stack: Stack,
    wishes: tuple[tuple[str, str], ...],
    directory: Path,
    options: LockOptions,
    now: int,
    store: Store,
    progress: Progress,
) -> _PythonSide:
    """Make them. ``wishes`` are the file's: an index that a command or this machine puts into the stack is not in the file."""
    paths = {part: directory / f"{stack.name}.{ending}" for part, ending in _ENDINGS.items() if part in options.parts}
    previous = {part: _Previous.read(path, progress) for part, path in paths.items()}
    options.upgrade.check(_known(stack, previous.values()))
    preferred = {part: options.upgrade.remaining(one.data, str(paths[part])) for part, one in previous.items()}
    locks: dict[str, PythonLock] = {}
    kept_out: tuple[KeptOut, ...] = ()
    notes: tuple[str, ...] = ()
    if paths:
        with Index.of(stack, store) as index:
            pinning = Pinning(stack, index, options.resolver, progress, options.without, store)
            sdists = pinning.sdists(store)
            if PYTHON in paths:
                # NAME.toml travels in the bundle: another one is another bundle, which needs a sequence number of its own.
                lock = pinning.python(sdists, preferred[PYTHON])
                check_consistency(lock, stack)
                locks[PYTHON] = replace(lock, stack=stack.digest, wishes=wishes)
            if BUILD in paths:
                locks[BUILD] = pinning.builds(sdists, preferred[BUILD], locks.get(PYTHON))
            if PYTHON in paths:
                kept_out = pinning.kept_out(locks[PYTHON], sdists, preferred[PYTHON], options.upgrade.moves)
            if len(locks) == len(_ENDINGS):
                notes = pinning.others_to_build_with(sdists, locks[BUILD], locks[PYTHON])

    def encoded(locked: int) -> dict[str, bytes]:
        return {
            part: replace(lock, locked=locked).encode(_TITLES[part].format(stack.file)) for part, lock in locks.items()
        }

    data = encoded(now)
    times = {one.locked for one in previous.values()}
    if len(times) == 1 and (old := times.pop()) is not None:
        same = encoded(old)
        if all(same[part] == previous[part].data for part in paths):
            data = same
    unpinned = locks[PYTHON].unpinned if PYTHON in locks else ()
    drafts = tuple(Draft(paths[part], data[part], len(locks[part].pins), PINS, parse_lock) for part in paths)
    moved = tuple(
        move
        for part in paths
        if previous[part].data
        for move in moves(previous[part].versions, {pin.name: pin.version for pin in locks[part].pins}, part)
    )
    return _PythonSide(drafts, unpinned, moved, kept_out, notes)


def _known(stack: Stack, previous: Iterable[_Previous]) -> set[str]:
    """Every name that an upgrade may have."""
    asked = {str(project_name(one.name)) for one in (*stack.requirements, *stack.optional)}
    leaves_choice = stack.toolchain is not None and stack.toolchain.LEAVES_CHOICE
    python = InterpreterLock.KIND
    words = [TOOLCHAIN] * leaves_choice + [python.name] * InterpreterLock.answers(stack.wishes.get(python))
    return asked.union(*(one.versions for one in previous), words)

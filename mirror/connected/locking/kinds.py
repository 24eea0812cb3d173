"""The locks of kinds, ``NAME.rpms.toml`` and its like: one file for each kind that is pinned outside the Python side.

Another kind that is pinned is a line in ``LOCKS``; ``mirror lock`` writes them and a bundle reads them by this table.

Rules: as of every lock: what still answers is kept, and when nothing changes, not a byte does; one that nobody wishes for any
more goes, where it can be read as such.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Callable

from mirror.connected.fetching.download import shown_place
from mirror.connected.fetching.transport import get_bytes, new_session
from mirror.connected.locking.drafts import OTHERS, Draft, LockOptions
from mirror.connected.locking.interpreter import InterpreterLock, lock_interpreter
from mirror.connected.locking.moves import Move, moves
from mirror.connected.locking.request import Made, Request
from mirror.connected.models.modellock import ModelLock, lock_models
from mirror.connected.pins.ownership import read_own
from mirror.connected.stack.stack import Stack
from mirror.connected.stack.without import TOOLCHAIN
from mirror.connected.toolchain.lockfile import INDEX_MARK, LockFile, ToolchainLock, index_path
from mirror.connected.toolchain.redistlock import RedistLock, lock_redist
from mirror.connected.toolchain.rpmlock import RpmLock
from mirror.core.errors import MirrorError
from mirror.core.progress import Progress
from mirror.core.toolkit.fileindex import FileIndex


@dataclass(frozen=True)
class KindLock:
    """How the lock of one kind is read and made."""

    file: type[LockFile]
    make: Callable[[Request], Made]

    @property
    def part(self) -> str:
        """One of ``mirror.connected.locking.drafts.PARTS``."""
        return TOOLCHAIN if issubclass(self.file, ToolchainLock) else OTHERS

    def wishes_of(self, stack: Stack) -> Any:
        """What the stack wishes of its kind and needs a lock for; None for nothing."""
        wishes = stack.wishes.get(self.file.KIND)
        return wishes if self.file.answers(wishes) else None

    def is_asked_for(self, options: LockOptions) -> bool:
        return self.part in options.parts and self.part not in options.without


def _rpms(request: Request) -> Made:
    """Raises as ``make``."""
    from mirror.connected.locking.rpms import make  # here, for what reads a repository takes long to load

    return make(request)


def _redist(request: Request) -> Made:
    """Raises as ``lock_redist``."""
    location = request.options.toolchain_repo
    request.progress.say(f"choosing component archives of {shown_place(location or request.wishes.manifest)}")
    with new_session() as session:
        read = partial(get_bytes, session)
        return Made(lock_redist(request.wishes, request.stack.target, location=location, read=read, now=request.now))


def _models(request: Request) -> Made:
    """Raises as ``lock_models``."""
    return Made(lock_models(request.wishes, request.stack.waivers, now=request.now, progress=request.progress))


def _interpreter(request: Request) -> Made:
    """Raises as ``lock_interpreter``."""
    upgrade = request.options.upgrade
    kept = None if upgrade.everything or InterpreterLock.KIND.name in upgrade.names else request.previous
    previous = kept if isinstance(kept, InterpreterLock) else None
    return Made(lock_interpreter(request.wishes, request.stack.target, request.now, previous))


LOCKS = (
    KindLock(RpmLock, _rpms),
    KindLock(RedistLock, _redist),
    KindLock(InterpreterLock, _interpreter),
    KindLock(ModelLock, _models),
)
"""In the order in which they are made: the toolchain first, whose source may be out of reach."""


@dataclass(frozen=True)
class KindDrafts:
    """The lock files of one kind, not written yet, and what moved."""

    drafts: tuple[Draft, ...] = ()
    moved: tuple[Move, ...] = ()


def kind_drafts(
    lock: KindLock, stack: Stack, directory: Path, options: LockOptions, now: int, progress: Progress
) -> KindDrafts:
    """The lock of a kind. Raises as its ``make``."""
    path = lock.file.path(directory, stack.name)
    wishes = lock.wishes_of(stack)
    if wishes is None:
        return KindDrafts(tuple(_left_behind(lock, path, stack.name)) if lock.part in options.parts else ())
    if not lock.is_asked_for(options):
        return KindDrafts()
    old = _old(lock, path, progress)
    made = lock.make(Request(stack, wishes, directory, options, now, old, progress))
    new = made.lock
    if old is not None and _at(new, old.locked) == old:
        # Another file beside it is another lock: equal times promise equal bundles.
        new = _at(new, now) if any(draft.is_new for draft in made.beside) else old
    moved = moves(old.versions, new.versions, new.KIND.directory) if old else ()
    drafts = (Draft(path, new.encode(), new.count, lock.file.mark(), lock.file.parse), *made.beside, *made.also)
    return KindDrafts(tuple(draft for draft in drafts if draft.is_new or draft.data is not None), moved)


def _at(lock: LockFile, moment: int) -> LockFile:
    """The lock as if it had been made then."""
    return replace(lock, locked=moment)  # type: ignore[type-var]  # every lock is a dataclass


def _old(lock: KindLock, path: Path, progress: Progress) -> LockFile | None:
    data = read_own(path, lock.file.mark())
    try:
        return lock.file.parse(data, str(path)) if data else None
    except MirrorError as exc:
        progress.say(f"{exc}; it is made anew")
        return None


def _left_behind(lock: KindLock, path: Path, name: str) -> Iterable[Draft]:
    """Files of a kind that the stack does not want any more: they go, where they can be read as such."""
    readers: list[tuple[Path, Callable[[bytes, str], object], bytes]] = [(path, lock.file.parse, lock.file.mark())]
    if issubclass(lock.file, ToolchainLock) and lock.file.LISTS_FILES:
        index = index_path(path.parent, name)
        readers.append((index, FileIndex.parse, INDEX_MARK))
    for file, read, mark in readers:
        if file.is_file():
            try:
                read(read_own(file, mark), str(file))
            except MirrorError:
                continue
            yield Draft(file, None, 0, mark, read)

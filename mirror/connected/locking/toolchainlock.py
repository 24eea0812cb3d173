"""The toolchain's lock files, as drafts: ``NAME.rpms.toml`` and ``NAME.files.txt``, or ``NAME.redist.toml``.

``mirror.connected.toolchain.rpmlock``, ``filelists`` and ``redistlock`` make the contents; ``mirror.connected.lock`` writes
them together with the Python side.

Rules: RPMs that were locked stay as long as they answer the wishes and the repository has them, unless they are to be upgraded.

Example::

    drafts, moved = rpm_drafts(stack, directory, options, now, progress)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from mirror.connected.fetching.transport import get_bytes, new_session
from mirror.connected.locking.drafts import Draft, LockOptions
from mirror.connected.locking.moves import Move, moves
from mirror.connected.stack.file import Stack
from mirror.connected.toolchain import filelists, hermeto
from mirror.connected.toolchain.redistlock import RedistLock, lock_redist
from mirror.connected.toolchain.repository import Read, RepositoryUnreachable, open_repository
from mirror.connected.toolchain.rpmlock import RpmLock, lock_rpms
from mirror.core.errors import InvalidDocument, MirrorError
from mirror.core.names import Sha256Hex
from mirror.core.progress import Progress
from mirror.core.toolkit.fileindex import FILELISTS, FileIndex


def rpm_drafts(
    stack: Stack, directory: Path, options: LockOptions, now: int, progress: Progress
) -> tuple[list[Draft], tuple[Move, ...]]:
    """``NAME.rpms.toml`` and ``NAME.files.txt``, if the stack wants RPMs."""
    wishes = stack.rpms
    if wishes is None or "toolchain" not in options.parts or "toolchain" in options.without:
        return [], ()
    path, target = directory / f"{stack.name}.rpms.toml", stack.target
    try:
        old = RpmLock.load(path) if path.is_file() else None
    except InvalidDocument as exc:
        progress.say(f"{exc}; it is made anew")
        old = None
    progress.say(f"closing over {len(wishes.packages)} RPMs of {options.toolchain_repo or wishes.repository}")
    with new_session() as session:
        read: Read = cache(partial(get_bytes, session))  # the index is of the very metadata that was locked from
        new = lock_rpms(
            wishes,
            target.arch,
            location=options.toolchain_repo,
            read=read,
            now=now,
            release=target.cuda,
            allowed=_allowed(stack, options, read, progress),
            previous=None if options.upgrade.moves_toolchain else old,
            progress=progress,
        )
        files = _files_draft(stack, new, directory, options, read, progress)
    same = old is not None and replace(new, locked=old.locked) == old
    if old and same and not files.is_new:
        new = old  # another index is another lock: equal times promise equal bundles
    elif same:
        new = replace(new, locked=now)
    drafts = [Draft(path, new.encode(), len(new.pins)), files]
    if options.write_rpms_lock:
        drafts.append(Draft(options.write_rpms_lock, hermeto.encode(new, target.arch), len(new.pins)))
    moved = (
        moves({pin.name: pin.evr for pin in old.pins}, {pin.name: pin.evr for pin in new.pins}, "rpms") if old else ()
    )
    return [draft for draft in drafts if draft.is_new or draft.data is not None], moved


def _allowed(stack: Stack, options: LockOptions, read: Read, progress: Progress) -> frozenset[Sha256Hex] | None:
    """Digests of the RPMs that may be chosen; None for any."""
    if options.rpms_lock is None or stack.rpms is None:
        return None
    named = hermeto.read_rpms_lock(options.rpms_lock, stack.target.arch)
    repository = open_repository(options.toolchain_repo or stack.rpms.repository, stack.rpms.fingerprints, read)
    return named.among(repository, stack.rpms.repository, progress)


def left_behind(stack: Stack, directory: Path, options: LockOptions) -> list[Draft]:
    """Lock files of a toolchain that the stack does not want any more: they go, where they can be read as such."""
    if "toolchain" not in options.parts:
        return []
    readers: list[tuple[str, bool, Callable[[Path], object]]] = [
        ("rpms.toml", stack.rpms is None, RpmLock.load),
        ("files.txt", stack.rpms is None, lambda path: FileIndex.parse(path.read_bytes(), str(path))),
        ("redist.toml", stack.redist is None, RedistLock.load),
    ]
    drafts = []
    for ending, is_unwanted, read in readers:
        path = directory / f"{stack.name}.{ending}"
        if is_unwanted and path.is_file():
            try:
                read(path)
            except MirrorError:
                continue
            drafts.append(Draft(path, None, 0))
    return drafts


def redist_drafts(stack: Stack, directory: Path, options: LockOptions, now: int, progress: Progress) -> list[Draft]:
    """``NAME.redist.toml``, if the stack wants component archives."""
    wishes = stack.redist
    if wishes is None or "toolchain" not in options.parts or "toolchain" in options.without:
        return []
    path = directory / f"{stack.name}.redist.toml"
    progress.say(f"choosing component archives of {options.toolchain_repo or wishes.manifest}")
    with new_session() as session:
        read = partial(get_bytes, session)
        new = lock_redist(wishes, stack.target, location=options.toolchain_repo, read=read, now=now)
    try:
        old = RedistLock.load(path) if path.is_file() else new
    except InvalidDocument as exc:
        progress.say(f"{exc}; it is made anew")
        old = new
    if replace(new, locked=old.locked) == old:
        new = old
    return [Draft(path, new.encode(), len(new.pins))]


def _files_draft(
    stack: Stack, lock: RpmLock, directory: Path, options: LockOptions, read: Read, progress: Progress
) -> Draft:
    """``NAME.files.txt``: the one that is there as long as it belongs to the lock, for filelists are pruned."""
    assert stack.rpms is not None
    path = directory / f"{stack.name}.files.txt"
    try:
        old = FileIndex.parse(path.read_bytes(), str(path)) if path.is_file() else None
    except InvalidDocument as exc:
        progress.say(f"{exc}; it is made anew")
        old = None
    if old and old.source == FILELISTS and not filelists.covers(old, lock.pins, stack.target):
        return Draft(path, old.encode(), old.count)
    location = options.toolchain_repo or stack.rpms.repository
    repository = open_repository(location, stack.rpms.fingerprints, read)
    try:
        new = filelists.index_of(repository, location, lock.pins, stack.target, read)
    except RepositoryUnreachable as exc:
        progress.say(f"{exc}; the stack is locked without {path.name}")
        new = None
    return Draft(path, new.encode() if new else None, new.count if new else 0)

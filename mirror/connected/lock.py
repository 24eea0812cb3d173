"""``mirror lock``: from wishes to pins, for the target, on any machine.

1. Read the sdists of what is built from source: their own words, nothing of them is run.
2. Refuse exact pins that the target cannot take, and set optional requirements aside whose index cannot be reached.
3. Resolve versions, and choose the one file of each: ``NAME.txt``.
4. The same for what the builds need: ``NAME.build.txt``.
5. Close over the RPMs that are wanted: ``NAME.rpms.toml``; and keep which RPM brings which file: ``NAME.files.txt``.
   Or choose among NVIDIA's component archives: ``NAME.redist.toml``.

Rules: files are written when all of them are computed, each whole or not at all; only a toolchain's source out of reach leaves
the Python side written, and the error says how to go on. What was locked before is kept where it still answers; when nothing
changes, not a byte does, the time of locking included.

Example::

    locked = lock(Path("lockfiles/h100.toml"), LockOptions(), Store.default())
    locked.files[0].changed
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from mirror.connected.fetching.store import Store
from mirror.connected.fetching.transport import get_bytes, new_session
from mirror.connected.index.pages import Index
from mirror.connected.pins.requirements import InvalidLock, PythonLock, read_lock
from mirror.connected.resolving.coverage import covers, covers_builds
from mirror.connected.resolving.pinning import Pinning
from mirror.connected.stack.file import Stack
from mirror.connected.stack.without import left_out
from mirror.connected.toolchain import filelists, hermeto
from mirror.connected.toolchain.redistlock import RedistLock, lock_redist
from mirror.connected.toolchain.repository import Read, RepositoryUnreachable, open_repository
from mirror.connected.toolchain.rpmlock import RpmLock, lock_rpms
from mirror.core.durable import write_file
from mirror.core.errors import InvalidDocument
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Progress
from mirror.core.toolkit.fileindex import FILELISTS, FileIndex

__all__ = ["PARTS", "LockOptions", "Locked", "LockedFile", "covers", "covers_builds", "lock"]

PARTS = ("python", "build", "rpms")
"""What can be locked on its own; ``rpms`` is the toolchain, wherever it comes from."""

_ENDINGS = {"python": "txt", "build": "build.txt"}
_TITLES = {
    "python": "The Python side of {}.toml, locked by mirror: one file for each project.",
    "build": "What the builds of {}.toml need, locked by mirror: one file for each project.",
}


@dataclass(frozen=True)
class LockOptions:
    """How to lock.

    Attributes:
        resolver: one of ``mirror.connected.resolving.resolver.RESOLVERS``.
        rpm_repo: URL or directory of a copy that stands in for the RPM repository; None for the repository itself.
        rpm_fingerprints: of the keys that sign that copy, when those are not the ones that ``NAME.toml`` pins.
        rpms_lock: a ``rpms.lock.yaml`` (``mirror.connected.toolchain.hermeto``) that names the only RPMs which may be chosen.
        write_rpms_lock: where to write the RPMs as such a file, too.
        without: ``"rpms"``, and optional requirements, that are left out.
        parts: which of ``PARTS`` to lock; the files of the others stay as they are.
        now: the time of locking, in seconds since 1970 UTC; the clock's when None.
    """

    resolver: str = "uv"
    rpm_repo: str | None = None
    rpm_fingerprints: tuple[str, ...] = ()
    rpms_lock: Path | None = None
    write_rpms_lock: Path | None = None
    without: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset(PARTS)
    now: int | None = None


@dataclass(frozen=True)
class LockedFile:
    """One lock file.

    Attributes:
        path: where it is.
        pins: how many it holds; of ``NAME.files.txt``, how many files.
        changed: whether it was written now; False when it already said the same.
    """

    path: Path
    pins: int
    changed: bool


@dataclass(frozen=True)
class Locked:
    """What ``lock`` did.

    Attributes:
        name: the stack's.
        files: the lock files, in the order of ``PARTS``.
        unpinned: optional requirements that the lock goes without, each with the reason.
    """

    name: str
    files: tuple[LockedFile, ...]
    unpinned: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        files = [{"path": str(file.path), "pins": file.pins, "changed": file.changed} for file in self.files]
        return {"name": self.name, "files": files, "unpinned": list(self.unpinned)}


def lock(path: Path, options: LockOptions, store: Store, progress: Progress = SILENT) -> Locked:
    """Lock a stack and write the files beside its ``NAME.toml``.

    Args:
        path: the ``NAME.toml``.
        store: where sdists are kept.

    Raises:
        RepositoryUnreachable: of the toolchain; the Python side is written then.
        MirrorError: as ``Stack.load``, ``left_out``, ``Pinning``, ``lock_rpms`` and ``write_file``. Nothing is written then.
    """
    stack = Stack.load(path).signed_by(options.rpm_fingerprints)
    options = replace(options, without=left_out(options.without, stack))
    now = int(time.time()) if options.now is None else options.now
    drafts, unpinned = _python_drafts(stack, path.parent, options, now, store, progress)
    try:
        drafts += _rpm_drafts(stack, path.parent, options, now, progress)
        drafts += _redist_drafts(stack, path.parent, options, now, progress)
    except RepositoryUnreachable:
        for draft in drafts:
            draft.write()
            progress.say(f"{draft.path} is locked; {stack.name}.{'rpms' if stack.rpms else 'redist'}.toml is not")
        raise
    return Locked(stack.name, tuple(draft.write() for draft in drafts), unpinned)


@dataclass(frozen=True)
class _Draft:
    """A lock file that is not written yet; without data, one that is to go."""

    path: Path
    data: bytes | None
    pins: int

    @property
    def is_new(self) -> bool:
        return self.data != (self.path.read_bytes() if self.path.is_file() else None)

    def write(self) -> LockedFile:
        changed = self.is_new
        if changed and self.data is not None:
            write_file(self.path, self.data)
        elif changed:
            self.path.unlink()
        return LockedFile(self.path, self.pins, changed)


@dataclass(frozen=True)
class _Previous:
    """The Python lock that is there: its bytes and its time, or nothing when it cannot be read as one."""

    data: bytes = b""
    locked: int | None = None

    @classmethod
    def read(cls, path: Path, progress: Progress) -> _Previous:
        try:
            return cls(path.read_bytes(), read_lock(path).locked) if path.is_file() else cls()
        except InvalidLock as exc:
            progress.say(f"{exc}; it is made anew")
            return cls()


def _python_drafts(
    stack: Stack, directory: Path, options: LockOptions, now: int, store: Store, progress: Progress
) -> tuple[list[_Draft], tuple[str, ...]]:
    """``NAME.txt`` and ``NAME.build.txt``, as far as they are asked for; and what was set aside."""
    paths = {part: directory / f"{stack.name}.{ending}" for part, ending in _ENDINGS.items() if part in options.parts}
    previous = {part: _Previous.read(path, progress) for part, path in paths.items()}
    locks: dict[str, PythonLock] = {}
    if paths:
        with Index.of(stack) as index:
            pinning = Pinning(stack, index, options.resolver, progress, options.without, store)
            sdists = pinning.sdists(store)
            if "python" in paths:
                # NAME.toml travels in the bundle: another one is another bundle, which needs a sequence number of its own.
                locks["python"] = replace(pinning.python(sdists, previous["python"].data), stack=stack.digest)
            if "build" in paths:
                locks["build"] = pinning.builds(sdists, previous["build"].data)

    def encoded(locked: int) -> dict[str, bytes]:
        return {
            part: replace(lock, locked=locked).encode(_TITLES[part].format(stack.name)) for part, lock in locks.items()
        }

    data = encoded(now)
    times = {one.locked for one in previous.values()}
    if len(times) == 1 and (old := times.pop()) is not None:
        same = encoded(old)
        if all(same[part] == previous[part].data for part in paths):
            data = same
    unpinned = locks["python"].unpinned if "python" in locks else ()
    return [_Draft(paths[part], data[part], len(locks[part].pins)) for part in paths], unpinned


def _rpm_drafts(stack: Stack, directory: Path, options: LockOptions, now: int, progress: Progress) -> list[_Draft]:
    """``NAME.rpms.toml`` and ``NAME.files.txt``, if the stack wants RPMs."""
    wishes = stack.rpms
    if wishes is None or "rpms" not in options.parts or "rpms" in options.without:
        return []
    path, target = directory / f"{stack.name}.rpms.toml", stack.target
    progress.say(f"closing over {len(wishes.packages)} RPMs of {options.rpm_repo or wishes.repository}")
    with new_session() as session:
        read: Read = cache(partial(get_bytes, session))  # the index is of the very metadata that was locked from
        new = lock_rpms(
            wishes,
            target.arch,
            location=options.rpm_repo,
            read=read,
            now=now,
            release=target.cuda,
            allowed=_allowed(stack, options, read, progress),
            progress=progress,
        )
        files = _files_draft(stack, new, directory, options, read, progress)
    try:
        old = RpmLock.load(path) if path.is_file() else new
    except InvalidDocument as exc:
        progress.say(f"{exc}; it is made anew")
        old = new
    if replace(new, locked=old.locked) == old and not files.is_new:
        new = old  # another index is another lock: equal times promise equal bundles
    drafts = [_Draft(path, new.encode(), len(new.pins)), files]
    if options.write_rpms_lock:
        drafts.append(_Draft(options.write_rpms_lock, hermeto.encode(new, target.arch), len(new.pins)))
    return [draft for draft in drafts if draft.is_new or draft.data is not None]


def _allowed(stack: Stack, options: LockOptions, read: Read, progress: Progress) -> frozenset[Sha256Hex] | None:
    """Digests of the RPMs that may be chosen; None for any."""
    if options.rpms_lock is None or stack.rpms is None:
        return None
    named = hermeto.read_rpms_lock(options.rpms_lock, stack.target.arch)
    repository = open_repository(options.rpm_repo or stack.rpms.repository, stack.rpms.fingerprints, read)
    return named.among(repository, stack.rpms.repository, progress)


def _redist_drafts(stack: Stack, directory: Path, options: LockOptions, now: int, progress: Progress) -> list[_Draft]:
    """``NAME.redist.toml``, if the stack wants component archives."""
    wishes = stack.redist
    if wishes is None or "rpms" not in options.parts or "rpms" in options.without:
        return []
    path = directory / f"{stack.name}.redist.toml"
    progress.say(f"choosing component archives of {options.rpm_repo or wishes.manifest}")
    with new_session() as session:
        read = partial(get_bytes, session)
        new = lock_redist(wishes, stack.target, location=options.rpm_repo, read=read, now=now)
    try:
        old = RedistLock.load(path) if path.is_file() else new
    except InvalidDocument as exc:
        progress.say(f"{exc}; it is made anew")
        old = new
    if replace(new, locked=old.locked) == old:
        new = old
    return [_Draft(path, new.encode(), len(new.pins))]


def _files_draft(
    stack: Stack, lock: RpmLock, directory: Path, options: LockOptions, read: Read, progress: Progress
) -> _Draft:
    """``NAME.files.txt``: the one that is there as long as it belongs to the lock, for filelists are pruned."""
    assert stack.rpms is not None
    path = directory / f"{stack.name}.files.txt"
    try:
        old = FileIndex.parse(path.read_bytes(), str(path)) if path.is_file() else None
    except InvalidDocument as exc:
        progress.say(f"{exc}; it is made anew")
        old = None
    if old and old.source == FILELISTS and not filelists.covers(old, lock.pins, stack.target):
        return _Draft(path, old.encode(), old.count)
    location = options.rpm_repo or stack.rpms.repository
    repository = open_repository(location, stack.rpms.fingerprints, read)
    try:
        new = filelists.index_of(repository, location, lock.pins, stack.target, read)
    except RepositoryUnreachable as exc:
        progress.say(f"{exc}; the stack is locked without {path.name}")
        new = None
    return _Draft(path, new.encode() if new else None, new.count if new else 0)

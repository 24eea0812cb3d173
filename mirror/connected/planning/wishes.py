"""Which bundle is wanted, and the locks that it takes: read, and locked first where something is not locked yet.

Reading a stack's lock files is ``mirror.connected.planning.locks``'s, making them ``mirror.connected.lock``'s.

Rules: ``--locked`` locks nothing, whatever is missing; what the user goes without is not missed; an optional requirement that
could not be pinned before is pinned as soon as its index can be reached.

Example::

    locks = complete_locks(Wishes(Path("lockfiles/h100.txt")), store, progress)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mirror.connected.fetching.store import Store
from mirror.connected.index.pages import Index
from mirror.connected.lock import LockOptions, lock
from mirror.connected.pins.requirements import PythonLock
from mirror.connected.planning.locks import Locks, read_locks, stack_path
from mirror.connected.resolving.pinning import OPTIONAL_PATIENCE
from mirror.connected.stack.without import left_out
from mirror.core.errors import MirrorError
from mirror.core.names import ProjectName, project_name
from mirror.core.progress import SILENT, Progress


@dataclass(frozen=True)
class Wishes:
    """Which bundle is wanted.

    Attributes:
        lock: ``NAME.txt``, another tool's lock with hashes, or a ``pylock.toml``.
        locked: lock nothing; a missing lock is an error.
        rpm_repo: URL or directory of a copy of the RPM repository; None for the repository itself.
        without: ``"rpms"``, and names of optional requirements.
        epoch: ``SOURCE_DATE_EPOCH``, the sequence number of a lock that holds no time of locking.
        index_url: the index that stands in for the default one; None for what ``NAME.toml`` says.
        rpm_fingerprints: of the keys that sign ``rpm_repo``, when those are not the ones that ``NAME.toml`` pins.
        target: a TOML file with the ``[target]`` of a lock that has no ``NAME.toml``; None for this machine.
        extras: of a ``pylock.toml`` that are wanted.
        groups: of its dependency groups that are wanted; None for its default ones.
        tools: what every bundle carries besides its stack; mirror's own pins when None.
    """

    lock: Path
    locked: bool = False
    rpm_repo: str | None = None
    without: frozenset[str] = frozenset()
    epoch: str | None = None
    index_url: str | None = None
    rpm_fingerprints: tuple[str, ...] = ()
    target: Path | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    tools: PythonLock | None = None

    def read(self) -> Locks:
        """The locks as they are. Raises as ``read_locks``."""
        return read_locks(self.lock, self.rpm_fingerprints, target=self.target, extras=self.extras, groups=self.groups)

    @property
    def goes_without_rpms(self) -> bool:
        return "rpms" in self.without


class NotLocked(MirrorError):
    """A lock file is missing and ``--locked`` or ``--dry-run`` forbids to make it.

    Attributes:
        missing: file names.
    """

    ref = "not-locked"
    exit_code = 20
    hint = "Run mirror lock NAME.toml and commit what it writes; or leave that option out: mirror bundle locks first, then."

    directory: str
    missing: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.directory} has no {' and no '.join(self.missing)}, and nothing may be locked now (--locked, --dry-run)"


def complete_locks(wishes: Wishes, store: Store, progress: Progress = SILENT) -> Locks:
    """The locks of a bundle, after locking what was missing.

    Raises:
        NotLocked: when something is missing and must not be locked.
        UnknownPart: when the stack cannot go without something that is named.
        MirrorError: as ``read_locks`` and ``lock`` do.
    """
    wanted = stack_path(wishes.lock)
    if not wishes.lock.exists() and wanted.is_file():
        missing: tuple[str, ...] = (wishes.lock.name,)
        parts = {"python", "build"} | ({"rpms"} - wishes.without)
    else:
        locks = wishes.read()
        left_out(wishes.without, locks.stack)
        missing = tuple(
            name
            for name in locks.missing()
            if not (name.endswith((".rpms.toml", ".redist.toml")) and wishes.goes_without_rpms)
        )
        parts = {"build" if name.endswith(".build.txt") else "rpms" for name in missing}
        if not wishes.locked and (reachable := _pinnable_now(wishes, locks)):
            missing, parts = (*missing, *reachable), {*parts, "python"}
        if not missing:
            return locks
    if wishes.locked:
        raise NotLocked(str(wishes.lock.parent), missing)
    progress.say(f"not locked yet: {', '.join(missing)}; locking now")
    options = LockOptions(
        rpm_repo=wishes.rpm_repo,
        rpm_fingerprints=wishes.rpm_fingerprints,
        without=wishes.without,
        parts=frozenset(parts),
    )
    lock(wanted, options, store, progress)
    return wishes.read()


def _pinnable_now(wishes: Wishes, locks: Locks) -> tuple[str, ...]:
    """Optional requirements that the lock goes without although their index can be reached today."""
    if locks.stack is None or not locks.python.unpinned:
        return ()
    left_out = {project_name(Requirement(line.split(" ")[0]).name) for line in locks.python.unpinned}
    found = []
    with Index.of(locks.stack) as index:
        for project in sorted(left_out - {ProjectName(canonicalize_name(name)) for name in wishes.without}):
            try:
                index.versions(project, OPTIONAL_PATIENCE)
            except MirrorError:
                continue  # still out of reach; the plan's notes say that the bundle goes without it
            found.append(project)
    return tuple(found)

"""Which bundle is wanted, and the locks that it takes: read, and locked first where something is not locked yet.

``mirror.connected.planning.locks`` reads a stack's lock files, ``mirror.connected.lock`` makes them.

Rules: ``--locked`` locks nothing, whatever is missing or changed; a ``NAME.toml`` that changed is locked again with the pins
of before as preferences, and one whose change no pin hangs on keeps them all; what the user goes without is not missed; an
optional requirement that could not be pinned before is pinned as soon as its index can be reached.

Example::

    locks = complete_locks(Wishes(Path("lockfiles/h100.txt")), store, progress)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from mirror.connected.fetching.download import shown_place
from mirror.connected.fetching.store import Store
from mirror.connected.index.defaultindex import with_default_index
from mirror.connected.index.pages import Index
from mirror.connected.locking.copies import Copies, is_there
from mirror.connected.locking.drafts import BUILD, OTHERS, PYTHON, LockOptions
from mirror.connected.locking.kinds import LOCKS
from mirror.connected.pins.requirements import PythonLock
from mirror.connected.pins.standards import read_requirement
from mirror.connected.planning.locks import LockOutdated, Locks, read_locks, stack_path
from mirror.connected.resolving.pinning import OPTIONAL_PATIENCE
from mirror.connected.stack.without import TOOLCHAIN, left_out, part_name
from mirror.core.errors import MirrorError
from mirror.core.names import ProjectName, project_name
from mirror.core.progress import SILENT, Progress
from mirror.core.stackfiles import is_written, stack_word, written


@dataclass(frozen=True)
class Wishes:
    """Which bundle is wanted.

    Attributes:
        lock: ``NAME.txt``, another tool's lock with hashes, or a ``pylock.toml``.
        locked: lock nothing; a missing lock is an error.
        toolchain_repo: URL or directory of a copy of the toolchain's repository; None for the repository itself.
        without: ``"toolchain"``, and names of optional requirements.
        epoch: ``SOURCE_DATE_EPOCH``, the sequence number of a lock that holds no time of locking.
        index_url: the index that stands in for the default one; None for what ``NAME.toml`` says.
        rpm_fingerprints: of the keys that sign ``toolchain_repo``, when those are not the ones that ``NAME.toml`` pins.
        target: a TOML file with the ``[target]`` of a lock that has no ``NAME.toml``; None for this machine.
        extras: of a ``pylock.toml`` that are wanted.
        groups: of its dependency groups that are wanted; None for its default ones.
        host: a file that ``mirror detect`` wrote on the host it is for; None for none.
        tools: what every bundle carries besides its stack; mirror's own pins when None.
    """

    lock: Path
    locked: bool = False
    toolchain_repo: str | None = None
    without: frozenset[str] = frozenset()
    epoch: str | None = None
    index_url: str | None = None
    rpm_fingerprints: tuple[str, ...] = ()
    target: Path | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    tools: PythonLock | None = None
    host: Path | None = None

    def read(self, outdated_too: bool = False) -> Locks:
        """The locks as they are. Arguments and errors as those of ``read_locks``."""
        return read_locks(
            self.lock,
            self.rpm_fingerprints,
            target=self.target,
            extras=self.extras,
            groups=self.groups,
            outdated_too=outdated_too,
        )

    @property
    def goes_without_toolchain(self) -> bool:
        return TOOLCHAIN in map(part_name, self.without)


class NotLocked(MirrorError):
    """A lock file is missing and ``--locked`` or ``--dry-run`` forbids to make it."""

    ref = "not-locked"
    exit_code = 20
    hint = (
        "Run `mirror lock NAME` and commit what it writes; or leave that option out: mirror bundle locks first, then."
    )
    message = "{directory} has no {missing: and no }, and nothing may be locked now (--locked, --dry-run)"

    directory: str
    missing: tuple[str, ...]

    def __post_init__(self) -> None:
        self.hint = self.hint.replace("NAME", stack_word(Path(self.directory, self.missing[0])))


def complete_locks(wishes: Wishes, store: Store, progress: Progress = SILENT) -> Locks:
    """The locks of a bundle, after locking what was missing, and again what ``NAME.toml`` no longer wishes for.

    Raises:
        NotLocked: when something is missing and must not be locked. LockOutdated: when ``NAME.toml`` changed, likewise.
        UnknownPart: when the stack cannot go without something that is named.
        MirrorError: as ``read_locks`` and ``lock`` do.
    """
    wanted = stack_path(wishes.lock)
    if not wishes.lock.exists() and is_written(wanted):
        if wishes.locked:
            raise NotLocked(str(wishes.lock.parent), (wishes.lock.name,))
        progress.say(f"not locked yet: {wishes.lock.name}; locking now")
        parts = {PYTHON, BUILD, OTHERS} | (set() if wishes.goes_without_toolchain else {TOOLCHAIN})
        return _lock(parts, wishes, wishes.toolchain_repo, store, progress)
    locks = wishes.read(outdated_too=True)
    left_out(wishes.without, locks.stack)
    parts = _outdated(wishes, locks, progress)
    missing = tuple(
        name for name in locks.missing() if not (_part_of(name) == TOOLCHAIN and wishes.goes_without_toolchain)
    )
    if missing and wishes.locked:
        raise NotLocked(str(wishes.lock.parent), missing)
    parts |= {_part_of(name) for name in missing}
    if not wishes.locked and not parts & {PYTHON} and (reachable := _pinnable_now(wishes, locks)):
        missing, parts = (*missing, *reachable), {*parts, PYTHON}
    if missing:
        progress.say(f"not locked yet: {', '.join(missing)}; locking now")
    if parts:
        return _lock(parts, wishes, wishes.toolchain_repo or known_copy(locks, store) or None, store, progress)
    if not wishes.locked and locks.is_reworded:
        from mirror.connected.lock import restamp  # here: see ``_lock``

        restamp(wanted)
        progress.say(
            f"{written(wanted)[0].name} changed in nothing that a pin hangs on: every pin stays, under a new time of locking"
        )
        locks = wishes.read(outdated_too=True)
    return _with_copy(locks, wishes, store)


def _part_of(name: str) -> str:
    """The part that a lock file beside ``NAME.txt`` is."""
    return next((one.part for one in LOCKS if name.endswith(f".{one.file.ENDING}")), BUILD)


def known_copy(locks: Locks, store: Store) -> str:
    """The copy of the toolchain's repository that these locks were made from on this machine; empty where there is none."""
    for one in (one for one in LOCKS if one.part == TOOLCHAIN):
        path = one.file.path(locks.path.parent, locks.name)
        location = Copies(store).of(path) if path.name in locks.files else ""
        if location and is_there(location):
            return location
    return ""


def _with_copy(locks: Locks, wishes: Wishes, store: Store) -> Locks:
    """The locks, with the copy that their toolchain is taken from when nobody names another."""
    copy = "" if wishes.toolchain_repo or wishes.goes_without_toolchain else known_copy(locks, store)
    note = f"the CUDA toolchain comes from {shown_place(copy)}, which it was locked from; --toolchain-repo names another place"
    return replace(locks, copy=copy, news=(*locks.news, note)) if copy else locks


def _outdated(wishes: Wishes, locks: Locks, progress: Progress) -> set[str]:
    """The parts to be locked again because ``NAME.toml`` changed.

    Raises:
        LockOutdated: when nothing may be locked, or the lock is another tool's, which mirror does not write over.
    """
    found = [one for one in locks.outdated() if not (one.part == TOOLCHAIN and wishes.goes_without_toolchain)]
    if found and (wishes.locked or locks.python.locked is None):
        error = LockOutdated(found[0].path, tuple(issue for one in found for issue in one.issues))
        if not wishes.locked:
            error.hint = (
                f"mirror writes over no other tool's lock: make it anew with that tool, or remove {locks.path.name}."
            )
        raise error
    for one in found:
        for issue in one.issues:
            progress.say(f"{one.path}: {issue}")
    if found and locks.stack:
        progress.say(f"{locks.stack.file} changed since it was locked; locking again, and keeping what still holds")
    parts = {one.part for one in found}
    if not wishes.locked and not locks.python.wishes and locks.is_reworded:
        parts.add(PYTHON)  # a lock of before its wishes were written down: what changed cannot be told
    return parts | {PYTHON, BUILD} if parts & {PYTHON, BUILD} else parts


def _lock(parts: set[str], wishes: Wishes, toolchain_repo: str | None, store: Store, progress: Progress) -> Locks:
    options = LockOptions(
        toolchain_repo=toolchain_repo,
        rpm_fingerprints=wishes.rpm_fingerprints,
        without=wishes.without,
        parts=frozenset(parts),
        index_url=wishes.index_url,
    )
    from mirror.connected.lock import lock  # here, for what resolves takes a third of a second to load

    locked = lock(stack_path(wishes.lock), options, store, progress)
    for move in locked.moved:
        progress.say(f"  {move}")
    news = (*map(str, locked.kept_out), *locked.notes)
    locks = wishes.read(outdated_too=wishes.goes_without_toolchain)
    return _with_copy(replace(locks, news=news), wishes, store)


def _pinnable_now(wishes: Wishes, locks: Locks) -> tuple[str, ...]:
    """Optional requirements that the lock goes without although their index can be reached today."""
    if locks.stack is None or not locks.python.unpinned:
        return ()
    left_out = {project_name(read_requirement(line.split(" ")[0]).name) for line in locks.python.unpinned}
    found = []
    stack, _ = with_default_index(locks.stack, wishes.index_url)
    with Index.of(stack) as index:
        for project in sorted(left_out - {ProjectName(canonicalize_name(name)) for name in wishes.without}):
            try:
                index.versions(project, OPTIONAL_PATIENCE)
            except MirrorError:
                continue  # still out of reach; the plan's notes say that the bundle goes without it
            found.append(project)
    return tuple(found)

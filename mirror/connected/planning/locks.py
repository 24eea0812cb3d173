"""The lock files of one stack, read together: ``NAME.txt`` and what is beside it.

Each format is read by its own module; ``mirror.connected.lock`` makes locks. This one knows which belong together, which are
missing, and what a lock made elsewhere (by pip-tools, uv, or as a PEP 751 pylock.toml) goes by.

Rules: a lock that no longer covers ``NAME.toml`` is refused, with each difference; a lock without ``NAME.toml`` is for this
machine's own platform; the sequence number is the time of locking, the latest of the files'.

Example::

    locks = read_locks(Path("lockfiles/h100.txt"))
    locks.missing()      # ("h100.rpms.toml",)
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mirror.connected.locking.drafts import BUILD, PYTHON
from mirror.connected.locking.kinds import LOCKS
from mirror.connected.pins.markers import environment
from mirror.connected.pins.requirements import MAX_BYTES, InvalidLock, PythonLock, parse_lock
from mirror.connected.resolving.coverage import covers, covers_builds
from mirror.connected.stack.stack import Stack, read_target
from mirror.connected.toolchain import filelists
from mirror.connected.toolchain.lockfile import LockFile, ToolchainLock, index_path
from mirror.core.errors import InvalidDocument, MirrorError
from mirror.core.kinds import Kind
from mirror.core.names import Sha256Hex, stack_name
from mirror.core.stackfiles import is_written, stack_word, written
from mirror.core.system.durable import read_file
from mirror.core.target import ARCHITECTURES, Target
from mirror.core.toolkit.fileindex import FileIndex


@dataclass(frozen=True)
class Outdated:
    """One part of a lock (``PARTS``) that no longer is what ``NAME.toml`` wishes for; each issue has both sides."""

    part: str
    path: str
    issues: tuple[str, ...]


class LockOutdated(MirrorError):
    """A lock is older than the wishes in ``NAME.toml``.

    Attributes:
        issues: each difference, with both sides.
    """

    ref = "lock-outdated"
    exit_code = 58
    hint = "`mirror lock NAME` locks it again, as mirror bundle without --locked and --dry-run does; what still holds is kept."
    message = "{path} does not cover its NAME.toml: {issues:first}"

    path: str
    issues: tuple[str, ...]

    def __post_init__(self) -> None:
        self.hint = self.hint.replace("NAME", stack_word(Path(self.path)))


class NoPlatform(MirrorError):
    """A lock made elsewhere has no ``NAME.toml``, and no bundle can be for this machine."""

    ref = "no-platform"
    exit_code = 59
    hint = "Name the machine that the bundle is for: --target FILE.toml, a file with a [target] table."
    message = "{path} has no NAME.toml that says what it is for, and this machine ({found}) is no Linux with glibc"

    path: str
    found: str


@dataclass(frozen=True)
class Locks:
    """What is locked of one stack.

    Attributes:
        path: of the Python lock.
        name: the stack's.
        stack: the wishes; None for a lock made elsewhere.
        build: build requirements; None while they are not locked, or when nothing is built.
        files: the bytes of every file read, by name: they travel in ``meta/``.
        index: what the RPMs of the release bring; None where the repository did not say, or nobody has asked it yet.
        news: what a person should know of how they came to be here just now.
        pinned: the locks of other kinds that are there, by the kind that each pins.
        copy: of the toolchain's repository, that this machine locked them from (URL or directory); empty for none.
    """

    path: Path
    name: str
    stack: Stack | None
    python: PythonLock
    build: PythonLock | None
    target: Target
    files: dict[str, bytes]
    index: FileIndex | None = None
    news: tuple[str, ...] = ()
    copy: str = ""
    pinned: Mapping[Kind, LockFile] = field(default_factory=dict)

    def outdated(self) -> tuple[Outdated, ...]:
        """The parts that no longer cover ``NAME.toml``, with each difference."""
        if self.stack is None:
            return ()
        found = [(PYTHON, str(self.path), covers(self.stack, self.python))]
        if self.build:
            found.append((BUILD, f"{self.name}.build.txt", covers_builds(self.stack, self.build)))
        for one in LOCKS:
            lock, path = self.pinned.get(one.file.KIND), one.file.path(Path(), self.name)
            wishes = one.wishes_of(self.stack)
            if lock and wishes is not None:
                issues = lock.differences(wishes, self.target)
                found.append((one.part, str(path), issues))
        if self.index and self.toolchain:
            stale = filelists.covers(self.index, self.toolchain.pins, self.target)
            found.append(("toolchain", self.index_name, stale))
        return tuple(Outdated(part, path, tuple(issues)) for part, path, issues in found if issues)

    @property
    def toolchain(self) -> ToolchainLock | None:
        """The lock of the CUDA toolchain; None while it is not locked, or when none is wanted."""
        return next((lock for lock in self.pinned.values() if isinstance(lock, ToolchainLock)), None)

    @property
    def index_name(self) -> str:
        """Of the file that ``index`` is read from."""
        return index_path(Path(), self.name).name

    @property
    def packages(self) -> tuple[str, ...]:
        """The names of the toolchain's packages that are pinned."""
        return tuple(self.toolchain.versions) if self.toolchain else ()

    def missing(self) -> tuple[str, ...]:
        """The lock files that the stack needs and that are not there."""
        if self.stack is None:
            return ()
        wanted = [one.file for one in LOCKS if one.wishes_of(self.stack) is not None]
        absent = [one.ENDING for one in wanted if one.KIND not in self.pinned]
        builds = ["build.txt"] if self.stack.build and not self.build else []
        return tuple(f"{self.name}.{ending}" for ending in (*builds, *absent))

    @property
    def is_reworded(self) -> bool:
        """Whether ``NAME.toml`` is another file than was locked, whatever differs."""
        return self.stack is not None and self.python.stack not in ("", self.stack.digest)

    def sequence(self, epoch: str | None) -> tuple[int, str]:
        """The bundle's sequence number, in seconds since 1970 UTC, and a note when it is not a time of locking.

        Args:
            epoch: ``SOURCE_DATE_EPOCH``, for locks that hold no time.
        """
        if self.python.locked is not None:
            others = (one.locked or 0 for one in (self.build, *self.pinned.values()) if one)
            return max((self.python.locked, *others)), ""
        if epoch and re.fullmatch(r"[1-9][0-9]{0,10}", epoch, re.ASCII):
            return int(epoch), ""
        changed = int(self.path.stat().st_mtime)
        return changed, (
            f"{self.path.name} holds no time of locking, so the time when it was last changed is the bundle's sequence "
            "number; set SOURCE_DATE_EPOCH to have equal bytes from a copy of it"
        )

    def digests(self) -> dict[str, Sha256Hex]:
        return {name: Sha256Hex(hashlib.sha256(data).hexdigest()) for name, data in sorted(self.files.items())}


def stack_path(lock: Path) -> Path:
    """Where the wishes of a lock are: ``NAME.toml`` beside ``NAME.txt`` or ``pylock.NAME.toml``."""
    return lock.with_name(f"{_name(lock)}.toml")


def name_of(lock: Path) -> str:
    """The name of the stack that a lock is of, or is to be of."""
    wishes = stack_path(lock)
    return wishes.stem if wishes != lock and is_written(wishes) else _foreign_name(lock)


def _name(lock: Path) -> str:
    name = re.sub(r"^pylock\.|\.(txt|toml)$", "", lock.name)
    return "pylock" if name in ("toml", "") else name


def read_locks(
    path: Path,
    rpm_fingerprints: tuple[str, ...] = (),
    *,
    target: Path | None = None,
    extras: tuple[str, ...] = (),
    groups: tuple[str, ...] | None = None,
    outdated_too: bool = False,
) -> Locks:
    """Read a lock and what is beside it.

    Args:
        rpm_fingerprints: of the keys of a copy of the RPM repository, in place of those that ``NAME.toml`` pins.
        target: a TOML file with the ``[target]`` of a lock that has no ``NAME.toml`` beside it.
        extras: of a ``pylock.toml`` that are wanted.
        groups: of its dependency groups that are wanted; None for its default ones.
        outdated_too: give also locks that do not cover ``NAME.toml``; ``Locks.outdated`` tells how.

    Raises:
        Unreadable: when the lock is not there.
        InvalidLock: nothing of it is for the target, or the target is not the one that it was locked for.
        LockOutdated: when it no longer covers ``NAME.toml``.
        MirrorError: as each format's module does.
    """
    files = {path.name: read_file(path, MAX_BYTES)}
    python = parse_lock(files[path.name], str(path)).choosing(extras, groups, str(path))
    wishes = stack_path(path)
    if wishes == path or not is_written(wishes):
        meant = _target(path, python, target)
        if not python.pins:
            raise InvalidLock(str(path), ("it pins nothing",))
        held = python.within(environment(meant), str(path))
        return Locks(path, _foreign_name(path), None, held, None, meant, files)
    if target is not None:
        raise InvalidDocument(
            str(target),
            "target",
            f"{written(wishes)[0].name} beside the lock has a [target] already: leave --target out",
        )
    stack = Stack.load(wishes).signed_by(rpm_fingerprints)
    file = written(wishes)[0]
    files[file.name] = read_file(file, MAX_BYTES)
    for project, settings in stack.settings.items():
        for name, patch in settings.patches:
            files[patch_name(project, name)] = read_file(patch, MAX_BYTES)
    build = path.with_name(f"{stack.name}.build.txt")
    build_lock = None
    if stack.build and build.is_file():
        files[build.name] = read_file(build, MAX_BYTES)
        build_lock = parse_lock(files[build.name], str(build))
    pinned = {}
    for one in LOCKS:
        beside = one.file.path(path.parent, stack.name)
        if one.wishes_of(stack) is not None and beside.is_file():
            files[beside.name] = read_file(beside, MAX_BYTES)
            pinned[one.file.KIND] = one.file.parse(files[beside.name], str(beside))
    python = python.within(environment(stack.target), str(path))
    locks = Locks(path, stack.name, stack, python, build_lock, stack.target, files, pinned=pinned)
    index = index_path(path.parent, stack.name)
    if locks.toolchain and locks.toolchain.LISTS_FILES and index.is_file():
        files[index.name] = read_file(index, MAX_BYTES)
        locks = replace(locks, index=FileIndex.parse(files[index.name], str(index)))
    outdated = () if outdated_too else locks.outdated()
    if outdated:
        raise LockOutdated(outdated[0].path, outdated[0].issues)
    return locks


def patch_name(project: str, written: str) -> str:
    """What a patch is called among a bundle's papers; ``written`` is its path as ``NAME.toml`` has it."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", f"patch-{project}-{written}")


def _foreign_name(path: Path) -> str:
    """A stack's name for a lock made elsewhere: its file's, as far as that can be a directory's name."""
    return stack_name(re.sub(r"[^A-Za-z0-9._-]+", "-", _name(path)).strip("-._") or "stack")


def _target(path: Path, lock: PythonLock, file: Path | None) -> Target:
    """The machine that a lock without ``NAME.toml`` is for: by a file's ``[target]``, its own word, or this machine."""
    if file is None:
        return lock.target or _here(path)
    target = read_target(file)
    if lock.target not in (None, target):
        issue = f"it was locked for {lock.target}; {file.name} says {target}"
        raise InvalidLock(str(path), (issue,), "Leave --target out, or lock for that target: mirror lock NAME.toml.")
    return target


def _here(path: Path) -> Target:
    """This machine as a target."""
    library, version = platform.libc_ver()
    if sys.platform != "linux" or library != "glibc" or platform.machine() not in ARCHITECTURES:
        raise NoPlatform(str(path), f"{platform.system()} {platform.machine()} {os.name}")
    return Target("{}.{}".format(*sys.version_info), platform.machine(), version)

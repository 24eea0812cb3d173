"""What all parts of a lock share: how to lock, and a lock file before and after it is written.

Example::

    write((Draft(path, data, pins=3, mark=PINS, read=parse_lock),))[0].changed
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mirror.connected.locking.upgrade import NO_UPGRADE, Upgrade
from mirror.connected.pins.ownership import read_own
from mirror.connected.stack.without import TOOLCHAIN
from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.system.durable import write_file

PYTHON, BUILD, OTHERS = "python", "build", "others"
PARTS = (PYTHON, BUILD, TOOLCHAIN, OTHERS)
"""What can be locked on its own; ``toolchain`` is the CUDA toolchain, wherever it comes from, ``others`` are the side locks."""


class UnreadableLock(MirrorError):
    """What was locked cannot be read from its file again: whoever was asked said something that no lock can hold."""

    ref = "unreadable-lock"
    exit_code = FAMILIES["lock"]
    hint = "Nothing was written. Lock from another index, repository or hub, or without what this names; tell their makers."
    message = "no lock was written, for mirror could not read it: {problem}"

    problem: str


@dataclass(frozen=True)
class LockOptions:
    """How to lock.

    Attributes:
        resolver: one of ``mirror.connected.resolving.resolver.RESOLVERS``.
        toolchain_repo: URL or directory of a copy of the toolchain's repository; None for the repository itself.
        rpm_fingerprints: of the keys that sign that copy, when those are not the ones that ``NAME.toml`` pins.
        rpms_lock: a ``rpms.lock.yaml`` (``mirror.connected.toolchain.hermeto``) that names the only RPMs which may be chosen.
        write_rpms_lock: where to write the RPMs as such a file, too.
        without: ``"toolchain"``, and optional requirements, that are left out.
        parts: which of ``PARTS`` to lock; the files of the others stay as they are.
        now: the time of locking, in seconds since 1970 UTC; the clock's when None.
        upgrade: which of the versions that were locked before are forgotten.
        index_url: the index that stands in for the default one; None for what ``with_default_index`` finds.
    """

    resolver: str = "uv"
    toolchain_repo: str | None = None
    rpm_fingerprints: tuple[str, ...] = ()
    rpms_lock: Path | None = None
    write_rpms_lock: Path | None = None
    without: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset(PARTS)
    now: int | None = None
    upgrade: Upgrade = NO_UPGRADE
    index_url: str | None = None


@dataclass(frozen=True)
class LockedFile:
    """One lock file.

    Attributes:
        pins: how many it holds; of ``NAME.files.txt``, how many files.
        changed: whether it was written, or removed, now; False when it already said the same.
    """

    path: Path
    pins: int
    changed: bool

    @property
    def is_removed(self) -> bool:
        return self.changed and not self.path.exists()


@dataclass(frozen=True)
class Draft:
    """A lock file that is not written yet; without data, one that is to go.

    Attributes:
        mark: of its format (``mirror.connected.pins.ownership``).
        read: reads its bytes, given how errors call them.
    """

    path: Path
    data: bytes | None
    pins: int
    mark: bytes
    read: Callable[[bytes, str], object]

    @property
    def is_new(self) -> bool:
        return self.data != (self.path.read_bytes() if self.path.is_file() else None)

    def check(self) -> None:
        """Raises Unwritable where a file of somebody else's has its name, UnreadableLock when it could not be read again."""
        read_own(self.path, self.mark)
        try:
            if self.data is not None:
                self.read(self.data, str(self.path))
        except MirrorError as exc:
            raise UnreadableLock(str(exc)) from exc

    def write(self) -> LockedFile:
        changed = self.is_new
        if changed and self.data is not None:
            write_file(self.path, self.data)
        elif changed:
            self.path.unlink()
        return LockedFile(self.path, self.pins, changed)


def write(drafts: Iterable[Draft]) -> tuple[LockedFile, ...]:
    """Write lock files, or none of them. Raises as ``Draft.check`` and ``write_file``."""
    drafts = tuple(drafts)
    for draft in drafts:
        draft.check()
    return tuple(draft.write() for draft in drafts)

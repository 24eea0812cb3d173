"""Lock files beside ``NAME.txt`` that pin one kind of artifact each, outside the Python side and the toolchain. A new kind that
is pinned is a line here; ``mirror lock`` writes them and a bundle reads them by this table.

Rules: as of every lock: what still answers is kept, and when nothing changes, not a byte does; one that nobody wishes for any
more goes, where it can be read as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Protocol

from mirror.connected.locking.drafts import Draft, LockOptions
from mirror.connected.models.modellock import ModelLock, covers, lock_models
from mirror.connected.stack.file import Stack
from mirror.core.errors import InvalidDocument, MirrorError
from mirror.core.kinds import MODEL, Kind
from mirror.core.progress import Progress


class SideLock(Protocol):
    """What is pinned of one kind."""

    @property
    def locked(self) -> int:
        """Time of locking in seconds since 1970 UTC."""

    @property
    def count(self) -> int:
        """How many files it pins."""

    def encode(self) -> bytes:
        """The file's bytes."""


@dataclass(frozen=True)
class Side:
    """One such file.

    Attributes:
        kind: what it pins.
        ending: of its name, after the stack's.
        load: reads it.
        covers: where it no longer answers the stack's wishes, one sentence each.
        make: asks whoever offers the files; is given the time of locking.
    """

    kind: Kind
    ending: str
    load: Callable[[Path], Any]
    covers: Callable[[Sequence[Any], Any], Sequence[str]]
    make: Callable[[Stack, int, Progress], Any]

    def path(self, directory: Path, name: str) -> Path:
        return directory / f"{name}.{self.ending}"


SIDES = (
    Side(
        MODEL,
        "models.toml",
        ModelLock.load,
        covers,
        lambda stack, now, progress: lock_models(stack.wished(MODEL), stack.waivers, now=now, progress=progress),
    ),
)


def side_drafts(stack: Stack, directory: Path, options: LockOptions, now: int, progress: Progress) -> list[Draft]:
    """The side locks of a stack. Raises as each ``make``."""
    if "others" not in options.parts:
        return []
    drafts = []
    for side in SIDES:
        path = side.path(directory, stack.name)
        old = _old(side, path, progress)
        if stack.wished(side.kind):
            new = side.make(stack, now, progress)
            new = old if old is not None and replace(new, locked=old.locked) == old else new
            drafts.append(Draft(path, new.encode(), new.count))
        elif old is not None:
            drafts.append(Draft(path, None, 0))
    return drafts


def _old(side: Side, path: Path, progress: Progress) -> Any:
    try:
        return side.load(path) if path.is_file() else None
    except (InvalidDocument, MirrorError) as exc:
        progress.say(f"{exc}; it is made anew")
        return None

"""What the lock of one kind of artifact is made from, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.connected.locking.drafts import Draft, LockOptions
from mirror.connected.stack.stack import Stack
from mirror.connected.toolchain.lockfile import LockFile
from mirror.core.progress import Progress


@dataclass(frozen=True)
class Request:
    """One lock that is wanted.

    Attributes:
        wishes: of the kind, ``stack.wishes[kind]``.
        directory: where the stack's files lie.
        now: the time of locking, in seconds since 1970 UTC.
        previous: the lock that is there; None for none that can be read.
        progress: is told what a person should know of the choice.
    """

    stack: Stack
    wishes: Any
    directory: Path
    options: LockOptions
    now: int
    previous: LockFile | None
    progress: Progress


@dataclass(frozen=True)
class Made:
    """A lock, and files that belong to it.

    Attributes:
        lock: whose time may be another's than ``now`` where nothing changed.
        beside: files that travel with it; another one makes it another lock.
        also: files that somebody else reads.
    """

    lock: LockFile
    beside: tuple[Draft, ...] = ()
    also: tuple[Draft, ...] = ()

"""Making another installed generation current: by a rollback, or by activating one that was prepared.

There is one way of changing ``current``, whoever asks: a line in the prefix's history first, then one replaced link.
``mirror.closed.prefix.generations`` replaces it; ``mirror.closed.install`` makes new generations.

Rule: nothing here installs or reads a bundle, so it needs no trust and works when all else is broken (SECURITY.md T4).

Example::

    switched = activate(Prefix(Path("/opt/stacks/h100")), "1790000000-abababababab")
    switched.before, switched.current
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from mirror.closed.prefix.generations import Generation, NoSuchGeneration, Prefix
from mirror.closed.prefix.history import record
from mirror.closed.prefix.numbered import Stack, read_stack
from mirror.closed.prefix.status import NothingInstalled
from mirror.closed.preflight import check_owner


@dataclass(frozen=True)
class Switched:
    """A change of the current generation.

    Attributes:
        prefix: where.
        before, current: names; ``before`` is empty when none was current.
        before_number, number: theirs; 0 of none.
        repaired_by: number of the one that was built to repair what is current now; 0 when there is none.
    """

    prefix: Path
    before: str
    current: str
    before_number: int = 0
    number: int = 0
    repaired_by: int = 0


def roll_back(prefix: Prefix, to: str = "", reason: str = "") -> Switched:
    """Make another installed generation current.

    Args:
        to: its number, its name, or the beginning of it; empty for the one that was installed before the current one.
        reason: why, for the history.

    Raises:
        NothingInstalled, NoSuchGeneration: when there is no such generation.
        PrefixBusy, Unwritable: as ``Prefix`` does.
    """
    return _switched(
        prefix, "roll back", "rolled-back", lambda stack: stack.named(to) if to else _before(stack), reason
    )


def activate(prefix: Prefix, generation: str, reason: str = "") -> Switched:
    """Make a generation current that was prepared, or any other that is installed. Arguments and errors as ``roll_back``."""
    return _switched(prefix, "activate a generation of", "made-current", lambda stack: stack.named(generation), reason)


def switch(prefix: Prefix, action: str, generation: Generation, at: int, reason: str = "") -> None:
    """Write down why a complete generation becomes current, and make it so. The lock must be held.

    Args:
        action: one of ``history.ACTIONS``.
        at: seconds since 1970 UTC.

    Raises:
        Unwritable: when the disk refuses; the old one stands.
    """
    record(prefix, action, generation, at, reason)
    prefix.activate(generation)


def _switched(prefix: Prefix, doing: str, action: str, choose: Callable[[Stack], Generation], reason: str) -> Switched:
    check_owner(prefix.named, doing)
    if not prefix.installed():
        raise NothingInstalled(str(prefix.root))  # before the lock, which would make the directory
    with prefix.lock():
        stack = read_stack(prefix)
        current, chosen = stack.current, choose(stack)
        if chosen != current:
            switch(prefix, action, chosen, int(time.time()), reason)
    before = (current.name, stack.number(current)) if current else ("", 0)
    repair = stack.replaced_by(chosen)
    repaired_by = stack.number(repair) if repair else 0
    return Switched(prefix.root, before[0], chosen.name, before[1], stack.number(chosen), repaired_by)


def _before(stack: Stack) -> Generation:
    before = stack.before(stack.current) if stack.current else (stack.newest,)
    if not before or before[0] is None:
        wanted = "generation before the current one" if stack.current else "generation that was ever current"
        raise NoSuchGeneration(str(stack.prefix.root), wanted, stack.labels())
    return before[0]

"""What a prefix holds, and which prefix is meant.

Reading takes no lock and changes nothing. ``mirror.closed.prefix.switching`` makes another generation current,
``mirror.closed.install`` a new one.

Example::

    status = read_status(Prefix(Path("~/.local/share/mirror/h100")))
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.closed.prefix.generations import Generation, Prefix, default_prefix, generation_at, prefixes_home
from mirror.closed.prefix.history import Event, believed
from mirror.closed.prefix.numbered import Stack, read_stack
from mirror.closed.prefix.opened import GENERATIONS
from mirror.closed.prefix.receipt import Receipt, receipt_or_problem
from mirror.closed.prefix.tree import disk_usage
from mirror.core.errors import FAMILIES, MirrorError, reading
from mirror.core.names import stack_name


class NothingInstalled(MirrorError):
    """There is no stack where one was looked for."""

    ref = "nothing-installed"
    exit_code = 99
    hint = "Name a stack, or its directory with --prefix; 'mirror install' installs one."
    message = "nothing is installed in {place}"

    place: str


class NoneCurrent(NothingInstalled):
    """Generations are there, and ``current`` is not, or leads to none of them."""

    ref = "none-current"
    exit_code = FAMILIES["install"]
    hint = "'mirror rollback', of the same name or --prefix, makes the newest whole one current; 'mirror status' lists them."
    message = "none of the generations in {place} is current"


class AmbiguousStack(MirrorError):
    """Several stacks are installed and none was named."""

    ref = "ambiguous-stack"
    exit_code = 100
    hint = "Name one of them."
    message = "which stack? {names} are installed"

    names: tuple[str, ...]


@dataclass(frozen=True)
class Listed:
    """One generation, as a person wants to know it.

    Attributes:
        number: what people call it by.
        generation: its name and place.
        receipt: None when it is damaged.
        problem: what is wrong with the receipt; empty when nothing is.
        size: bytes on the disk: as measured when it was installed, where that was written down.
        replaced_by: number of the one that was built to repair it; 0 when there is none.
        last: what was done with it last, of the prefix's history; None when that is not known.
        is_prepared: whether it waits to be activated.
    """

    number: int
    generation: Generation
    receipt: Receipt | None
    problem: str
    size: int
    replaced_by: int = 0
    last: Event | None = None
    is_prepared: bool = False

    def to_dict(self) -> dict[str, Any]:
        told = self.receipt.summary() if self.receipt else {"generation": str(self.generation.path)}
        last = {"action": self.last.action, "at": self.last.at, "reason": self.last.reason} if self.last else None
        own = {"number": self.number, "id": self.generation.name, "complete": True, "replaced_by": self.replaced_by}
        own["prepared"] = self.is_prepared
        return {**told, **own, "size": self.size, "problem": self.problem, "last": last}


@dataclass(frozen=True)
class Status:
    """One prefix.

    Attributes:
        prefix: its directory.
        current: the name of the current generation; empty when none is.
        generations: the complete ones, in the order of their numbers.
        unfinished: names of generations without a mark: running now, or garbage that the next install removes.
        history_problem: why nothing of the history is believed, and what to do; empty when it is whole. Numbers, which it
            keeps, may then be others than before.
    """

    prefix: Path
    current: str
    generations: tuple[Listed, ...]
    unfinished: tuple[str, ...]
    history_problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        listed = [{**one.to_dict(), "current": one.generation.name == self.current} for one in self.generations]
        return {**vars(self), "prefix": str(self.prefix), "generations": listed}


def sourced_prefix() -> Prefix | None:
    """The prefix whose ``env.sh`` this shell has sourced; None when it has sourced none."""
    path = Path(os.environ.get("MIRROR_GENERATION", ""))
    if not path.is_absolute() or path.parent.name != GENERATIONS or generation_at(path) is None:
        return None
    return Prefix(path.parent.parent)


def choose_prefix(name: str = "", prefix: Path | None = None) -> Prefix:
    """The prefix that was meant: named by path, by stack, the one that this shell works with, or the only one there is.

    Raises:
        NothingInstalled, AmbiguousStack: when there is none, or more than one.
    """
    if prefix:
        return Prefix(prefix)
    if name:
        try:
            return Prefix(default_prefix(stack_name(name)))
        except ValueError as exc:
            raise NothingInstalled(str(prefixes_home() / name)) from exc
    sourced = sourced_prefix()
    if sourced:
        return sourced
    stacks = installed_stacks()
    if not stacks:
        raise NothingInstalled(str(prefixes_home()))
    if len(stacks) > 1:
        raise AmbiguousStack(tuple(stack.root.name for stack in stacks))
    return stacks[0]


def choose_prefixes(name: str = "", prefix: Path | None = None) -> tuple[Prefix, ...]:
    """The same for commands that take every stack where none is meant: then all of the default place, none where there is none.

    Raises:
        NothingInstalled: as ``choose_prefix``.
    """
    return (choose_prefix(name, prefix),) if name or prefix or sourced_prefix() else installed_stacks()


def current_generation(prefix: Prefix) -> Generation:
    """The generation that a prefix's users get, whoever installed it: whoever names a prefix trusts its owner.

    Raises:
        NothingInstalled, NoneCurrent: when none is current.
    """
    current = prefix.current()
    if current is None:
        raise (NoneCurrent if prefix.installed() else NothingInstalled)(str(prefix.root))
    return current


def installed_stacks() -> tuple[Prefix, ...]:
    """The default prefixes that hold something.

    Raises:
        Unreadable, PreflightFailed: as ``Prefix.installed``.
    """
    home, names = prefixes_home(), list[str]()
    with reading(home), suppress(FileNotFoundError, NotADirectoryError):
        names = sorted(path.name for path in home.iterdir())
    return tuple(prefix for prefix in (Prefix(home / name) for name in names) if prefix.installed())


def read_status(prefix: Prefix) -> Status:
    """What a prefix holds.

    Raises:
        NothingInstalled: when it holds no generation, not even an unfinished one.
        Unreadable: when it cannot be looked at.
    """
    stack, unfinished = read_stack(prefix), prefix.unfinished()
    if not stack.generations and not unfinished:
        raise NothingInstalled(str(prefix.root))
    events, problem = believed(prefix)
    last = {event.generation: event for event in events}
    found = tuple(_listed(stack, generation, last.get(generation.name)) for generation in stack.generations)
    current = stack.current.name if stack.current else ""
    return Status(prefix.root, current, found, unfinished, problem)


def _listed(stack: Stack, generation: Generation, last: Event | None) -> Listed:
    receipt, problem = receipt_or_problem(generation)
    replacement = stack.replaced_by(generation)
    return Listed(
        number=stack.number(generation),
        generation=generation,
        receipt=receipt,
        problem=problem,
        size=(receipt.size if receipt else 0) or disk_usage(generation.path),
        replaced_by=stack.number(replacement) if replacement else 0,
        last=last,
        is_prepared=stack.waits(generation),
    )

"""What a prefix holds, and going back to something that it holds.

Reading takes no lock and changes nothing; ``rollback`` only moves the ``current`` link between generations that are
complete. New generations are ``mirror.closed.install``'s.

Rule: a rollback never installs and never reads a bundle, so it needs no trust and works when all else is broken
(SECURITY.md T4).

Example::

    status = read_status(Prefix(Path("~/.local/share/mirror/h100")))
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.closed.prefix.generations import Generation, NoSuchGeneration, Prefix, default_prefix, prefixes_home
from mirror.closed.prefix.history import record
from mirror.closed.prefix.receipt import Receipt, read_receipt
from mirror.closed.preflight import check_owner
from mirror.core.errors import MirrorError
from mirror.core.names import stack_name


class NothingInstalled(MirrorError):
    """There is no stack where one was looked for.

    Attributes:
        place: the directory.
    """

    ref = "nothing-installed"
    exit_code = 99
    hint = "Name a stack, or its directory with --prefix; 'mirror install' installs one."
    message = "nothing is installed in {place}"

    place: str


class AmbiguousStack(MirrorError):
    """Several stacks are installed and none was named.

    Attributes:
        names: theirs.
    """

    ref = "ambiguous-stack"
    exit_code = 100
    hint = "Name one of them."
    message = "which stack? {names} are installed"

    names: tuple[str, ...]


@dataclass(frozen=True)
class Status:
    """One prefix.

    Attributes:
        prefix: its directory.
        current: the name of the current generation; empty when none is.
        receipts: of the complete generations, oldest bundle first.
        unfinished: names of generations without a mark: running now, or garbage that the next install removes.
    """

    prefix: Path
    current: str
    receipts: tuple[Receipt, ...]
    unfinished: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "prefix": str(self.prefix),
            "current": self.current,
            "generations": [receipt.summary() for receipt in self.receipts],
            "unfinished": list(self.unfinished),
        }


def choose_prefix(name: str = "", prefix: Path | None = None) -> Prefix:
    """The prefix that was meant: named by path, by stack, or the only one there is.

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
    stacks = installed_stacks()
    if not stacks:
        raise NothingInstalled(str(prefixes_home()))
    if len(stacks) > 1:
        raise AmbiguousStack(tuple(stack.root.name for stack in stacks))
    return stacks[0]


def current_generation(prefix: Prefix) -> Generation:
    """The generation that a prefix's users get, whoever installed it: whoever names a prefix trusts its owner.

    Raises:
        NothingInstalled: when none is current.
    """
    current = prefix.current()
    if current is None:
        raise NothingInstalled(str(prefix.root))
    return current


def installed_stacks() -> tuple[Prefix, ...]:
    """The default prefixes that hold something."""
    home = prefixes_home()
    names = sorted(path.name for path in home.iterdir()) if home.is_dir() else []
    return tuple(prefix for prefix in (Prefix(home / name) for name in names) if prefix.installed())


def read_status(prefix: Prefix) -> Status:
    """What a prefix holds.

    Raises:
        NothingInstalled: when it holds no generation, not even an unfinished one.
        MirrorError: as ``read_receipt``.
    """
    installed, unfinished, current = prefix.installed(), prefix.unfinished(), prefix.current()
    if not installed and not unfinished:
        raise NothingInstalled(str(prefix.root))
    receipts = tuple(read_receipt(generation) for generation in installed)
    return Status(prefix.root, current.name if current else "", receipts, unfinished)


@dataclass(frozen=True)
class RolledBack:
    """A change of the current generation; ``before`` is empty when none was current."""

    prefix: Path
    before: str
    current: str


def roll_back(prefix: Prefix, to: str = "") -> RolledBack:
    """Make another installed generation current.

    Args:
        to: its name, or the beginning of it; empty for the newest that is older than the current one.

    Raises:
        NothingInstalled, NoSuchGeneration: when there is no such generation.
        PrefixBusy, Unwritable: as ``Prefix`` does.
    """
    check_owner(prefix.root)
    if not prefix.installed():
        raise NothingInstalled(str(prefix.root))  # before the lock, which would make the directory
    with prefix.lock():
        current, installed = prefix.current(), prefix.installed()
        chosen = _named(prefix, installed, to) if to else _before(prefix, installed, current)
        if chosen != current:
            record(prefix, "rolled-back", chosen, int(time.time()))
            prefix.activate(chosen)
    return RolledBack(prefix.root, current.name if current else "", chosen.name)


def _named(prefix: Prefix, installed: tuple[Generation, ...], to: str) -> Generation:
    matches = [generation for generation in installed if generation.name.startswith(to)]
    if len(matches) != 1:
        raise NoSuchGeneration(str(prefix.root), f"generation {to!r}", tuple(g.name for g in installed))
    return matches[0]


def _before(prefix: Prefix, installed: tuple[Generation, ...], current: Generation | None) -> Generation:
    older = [generation for generation in installed if current is None or generation.identity < current.identity]
    if not older:
        raise NoSuchGeneration(str(prefix.root), "generation before the current one", tuple(g.name for g in installed))
    return older[-1]

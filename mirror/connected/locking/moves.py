"""What moved between two locks of one stack: each project and package with its version before and after.

Example::

    >>> [str(move) for move in moves({"torch": "2.10.0"}, {"torch": "2.11.0"}, "python")]
    ['torch 2.10.0 -> 2.11.0']
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Move:
    """One pin that is another now.

    Attributes:
        name: the project's, or the package's.
        old: version before; empty when it was not locked.
        new: version now; empty when it is locked no more.
        part: ``"python"``, ``"build"``, or the directory of the kind that is pinned, ``"rpms"``.
    """

    name: str
    old: str
    new: str
    part: str

    def __str__(self) -> str:
        return f"{self.name} {self.old or '(new)'} -> {self.new or '(gone)'}"

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "from": self.old or None, "to": self.new or None, "part": self.part}


def moves(old: Mapping[str, str], new: Mapping[str, str], part: str) -> tuple[Move, ...]:
    """The differences of two locks' versions, by name."""
    return tuple(
        Move(name, old.get(name, ""), new.get(name, ""), part)
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )

"""``mirror lock --upgrade``: which pins of the lock of before are forgotten.

A resolver prefers what was locked; what it is not shown, it chooses anew. Everything else keeps its version as far as the new
ones let it.

Rules: no name means everything, the toolchain included; ``toolchain`` is the CUDA toolchain; a name that is in no lock of the
stack is refused, with what may have been meant.

Example::

    upgrade = Upgrade.of(["Torch"])
    upgrade.remaining(data, "demo.txt")     # the lock without torch
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mirror.connected.pins.requirements import parse_lock
from mirror.connected.stack.without import TOOLCHAIN, UnknownPart, part_name


@dataclass(frozen=True)
class Upgrade:
    """What is to move.

    Attributes:
        everything: whether all is.
        names: projects, normalised, and ``toolchain``; of no meaning beside ``everything``.
        words: each name as it was typed.
    """

    everything: bool = False
    names: frozenset[str] = frozenset()
    words: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, words: Iterable[str] | None) -> Upgrade:
        """What a command line says: None for no ``--upgrade``, no words for everything."""
        if words is None:
            return cls()
        typed = tuple((part_name(word), word) for word in words)
        return cls(not typed, frozenset(name for name, _ in typed), typed)

    @property
    def moves_toolchain(self) -> bool:
        return self.everything or TOOLCHAIN in self.names

    def moves(self, project: str) -> bool:
        """Whether a project is to move. ``project`` is its normalised name."""
        return self.everything or project in self.names

    def remaining(self, data: bytes, source: str) -> bytes:
        """The bytes of a lock without the pins that are to move. Raises InvalidLock."""
        if self.everything or not data:
            return b""
        if not self.names:
            return data
        lock = parse_lock(data, source)
        kept = tuple(pin for pin in lock.pins if pin.name not in self.names)
        return data if kept == lock.pins else replace(lock, pins=kept).encode("")

    def check(self, known: Iterable[str]) -> None:
        """Refuse a name that the stack has not.

        Args:
            known: every project that is locked or asked for, and ``toolchain`` when there is a toolchain.

        Raises:
            UnknownPart: for the first one.
        """
        have = tuple(sorted(known))
        for name in sorted(self.names):
            if name not in have:
                raise UnknownPart(dict(self.words).get(name, name), have, "--upgrade")


NO_UPGRADE = Upgrade()
"""Nothing moves that need not."""

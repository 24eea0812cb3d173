"""The generations of a prefix among each other: their numbers, which is current, which was repaired, and what comes before.

``mirror.closed.prefix.history`` keeps the numbers; ``mirror.closed.prefix.receipt`` keeps what a generation tells of itself.

Rules: "before" means installed before, so that an older bundle that was allowed on top of a newer one goes back to that one; a
generation that was built anew from the same bundle has replaced the one before it, which is no way back any more; nor is one
that was prepared and was never current.

Example::

    stack = read_stack(prefix)
    stack.number(stack.current), stack.named("2")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mirror.closed.prefix.generations import Generation, NoSuchGeneration, Prefix
from mirror.closed.prefix.history import last_events, numbers


@dataclass(frozen=True)
class Stack:
    """What a prefix holds.

    Attributes:
        prefix: where.
        generations: the complete ones, in the order of their numbers.
        current: that of them which ``current`` points to; None when none is.
        numbers: of all that were ever installed, by name.
        prepared: names of those that were installed to be activated later, and were never current.
    """

    prefix: Prefix
    generations: tuple[Generation, ...]
    current: Generation | None
    numbers: Mapping[str, int]
    prepared: frozenset[str] = field(default=frozenset())

    def number(self, generation: Generation) -> int:
        """What people call it by; 0 of one that was never complete."""
        return self.numbers.get(generation.name, 0)

    @property
    def newest(self) -> Generation | None:
        """The one that was installed last, of those that are not only prepared; None when there is none."""
        return next((g for g in reversed(self.generations) if g.name not in self.prepared), None)

    def waits(self, generation: Generation) -> bool:
        """Whether it was prepared to take the place of the one that is current now, and was not repaired since."""
        since = self.number(self.current) if self.current else 0
        is_later = generation.name in self.prepared and self.number(generation) > since
        return is_later and self.replaced_by(generation) is None

    def replaced_by(self, generation: Generation) -> Generation | None:
        """The newest that was built anew from the same bundle; None when there is none."""
        bundle = generation.identity.bundle
        later = [g for g in self.generations if g.identity.bundle == bundle and g.identity > generation.identity]
        return max(later, key=lambda g: g.identity, default=None)

    def before(self, generation: Generation) -> tuple[Generation, ...]:
        """The ways back: those of other bundles that were installed before it, the last one first."""
        found = [
            other
            for other in self.generations
            if self._place(other) < self._place(generation)
            and other.identity.bundle != generation.identity.bundle
            and self.replaced_by(other) is None
            and other.name not in self.prepared
        ]
        return tuple(sorted(found, key=self._place, reverse=True))

    def _place(self, generation: Generation) -> int:
        """Where it stands in the order of installing: a repair stands where what it repaired stood, also when that is gone."""
        identity = generation.identity
        builds = (str(replace(identity, build=build)) for build in range(1, identity.build + 1))
        return min((self.numbers[name] for name in builds if name in self.numbers), default=0)

    def named(self, text: str) -> Generation:
        """The one that a person means: by its number, its name, or the beginning of its name.

        Raises:
            NoSuchGeneration: when there is none, or more than one.
        """
        exact = [g for g in self.generations if text in (str(self.number(g)), g.name)]
        found = exact or [g for g in self.generations if text and g.name.startswith(text)]
        if len(found) != 1:
            raise NoSuchGeneration(str(self.prefix.root), f"generation {text!r}", self.labels())
        return found[0]

    def labels(self) -> tuple[str, ...]:
        """``"2 (1790000000-abababababab)"``, one for each."""
        return tuple(f"{self.number(generation)} ({generation.name})" for generation in self.generations)


def read_stack(prefix: Prefix) -> Stack:
    """Look at a prefix; nothing is locked or changed.

    Raises:
        Unreadable: when it cannot be listed.
    """
    known = numbers(prefix)
    found = sorted(prefix.installed(), key=lambda generation: (known.get(generation.name, 0), generation.identity))
    current, last = prefix.current(), last_events(prefix)
    never = (name for name, event in last.items() if event.action == "prepared")
    return Stack(prefix, tuple(found), current, known, frozenset(never) - {current.name if current else ""})

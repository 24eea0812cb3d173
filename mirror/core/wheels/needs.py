"""What the projects of a set ask of each other on a target: the one walk over requirements and extras.

Rules: markers are the target's; an extra counts where whoever makes the set, or a requirement that applies, asks for it; a line
that cannot be read is followed nowhere, and whoever judges the wheel names it.

Example::

    needs = Needs({"a": ("b; extra == 'fast'",), "b": ()}, ["a[fast]"], target)
    needs.edges()       # {"a": ("b",), "b": ()}
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from mirror.core.target import Target
from mirror.core.wheels.requirement import Requirement, marker_values


class Needs:
    """The projects, their requirements, and the extras that are asked for.

    Args:
        lines: the ``Requires-Dist`` lines of each project, by normalised name.
        asked: the requirements of whoever makes the set, for their extras.
    """

    def __init__(self, lines: Mapping[str, Iterable[str]], asked: Iterable[str], target: Target) -> None:
        self._values = marker_values(target)
        self._requirements = {project: tuple(_readable(needed)) for project, needed in lines.items()}
        self._extras: dict[str, set[str]] = defaultdict(set)
        self._known: dict[tuple[str, tuple[str, ...]], bool] = {}
        for requirement in _readable(asked):
            self._extras[requirement.name].update(requirement.extras)
        while self._grew():
            pass

    def applies(self, project: str, requirement: Requirement) -> bool:
        """Whether a requirement of a project counts. Raises ``ValueError`` when its marker cannot be read."""
        question = requirement.marker, tuple(sorted(self._extras[project]))
        if (
            question not in self._known
        ):  # most projects say the same of the same extras, and each is asked several times
            self._known[question] = requirement.applies(self._values, question[1])
        return self._known[question]

    def edges(self) -> dict[str, tuple[str, ...]]:
        """What each project needs of the others of the set, sorted."""
        names = self._requirements.keys()
        return {
            project: tuple(sorted({one.name for one in self._applying(project)} & names - {project}))
            for project in names
        }

    def _applying(self, project: str) -> Iterator[Requirement]:
        for requirement in self._requirements[project]:
            try:
                if self.applies(project, requirement):
                    yield requirement
            except ValueError:
                continue

    def _grew(self) -> bool:
        """Follow each requirement that applies by now; whether an extra is new."""
        before = sum(map(len, self._extras.values()))
        for project in self._requirements:
            for requirement in self._applying(project):
                self._extras[requirement.name].update(requirement.extras)
        return sum(map(len, self._extras.values())) > before


def _readable(lines: Iterable[str]) -> Iterator[Requirement]:
    for line in lines:
        try:
            yield Requirement.parse(line)
        except ValueError:
            continue

"""Who needs whom within one bundle: the edges on which a reviewer finds out why a file is there.

Requirements are read by ``mirror.connected.contents.wheelcontents`` and ``mirror.connected.contents.packagecontents``;
whether they are met at all was the lock's to settle.

Rules: markers are the target's; an extra counts where the stack or another project of the bundle asks for it; names that are
not in the bundle are left out, for they are the host's or nobody's; a project does not need itself.

Example::

    project_edges({"vllm": ("torch==2.11.0",), "torch": ()}, (), target)     # {"vllm": ("torch",), "torch": ()}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mirror.connected.pins.markers import environment
from mirror.core.target import Target


def project_edges(
    needs: Mapping[str, Iterable[str]], asked: Iterable[Requirement], target: Target
) -> dict[str, tuple[str, ...]]:
    """What each project of a set needs of the others, sorted.

    Args:
        needs: the ``Requires-Dist`` lines of each project, by normalised name.
        asked: the stack's own requirements, for their extras.
    """
    graph = _Graph(needs, target)
    for requirement in asked:
        graph.ask(requirement)
    return graph.edges()


class _Graph:
    """The projects, their requirements, and the extras that are asked for so far."""

    def __init__(self, needs: Mapping[str, Iterable[str]], target: Target) -> None:
        self._environment: dict[str, Any] = dict(environment(target))
        self._requirements = {name: list(_parsed(lines)) for name, lines in needs.items()}
        self._extras: dict[str, set[str]] = {name: {""} for name in needs}
        self._edges: dict[str, set[str]] = {name: set() for name in needs}

    def ask(self, requirement: Requirement) -> bool:
        """Note the extras that a requirement asks for; whether any of them is new."""
        extras = self._extras.get(canonicalize_name(requirement.name), set())
        before = len(extras)
        if canonicalize_name(requirement.name) in self._extras:
            extras.update(requirement.extras)
        return len(extras) > before

    def edges(self) -> dict[str, tuple[str, ...]]:
        """Follow requirements until no extra is new."""
        changed = True
        while changed:
            changed = False
            for name, requirements in self._requirements.items():
                for requirement in requirements:
                    other = canonicalize_name(requirement.name)
                    if other in self._edges and self._holds(requirement, self._extras[name]):
                        changed |= self.ask(requirement)
                        if other != name:
                            self._edges[name].add(other)
        return {name: tuple(sorted(others)) for name, others in self._edges.items()}

    def _holds(self, requirement: Requirement, extras: Iterable[str]) -> bool:
        marker = requirement.marker
        return marker is None or any(marker.evaluate({**self._environment, "extra": extra}) for extra in extras)


def _parsed(lines: Iterable[str]) -> Iterable[Requirement]:
    for line in lines:
        try:
            yield Requirement(line)
        except InvalidRequirement:
            continue  # from before PEP 508: no resolver follows it either


def package_edges(
    needs: Mapping[str, Iterable[str]], offers: Mapping[str, Iterable[str]]
) -> dict[str, tuple[str, ...]]:
    """What each RPM of a set needs of the others, sorted.

    Args:
        needs: the capabilities that each requires, by its name.
        offers: the capabilities and files that each provides.
    """
    providers: dict[str, set[str]] = {}
    for name, capabilities in offers.items():
        for capability in (name, *capabilities):
            providers.setdefault(capability, set()).add(name)
    return {
        name: tuple(sorted({other for capability in wanted for other in providers.get(capability, ())} - {name}))
        for name, wanted in needs.items()
    }

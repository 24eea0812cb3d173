"""What the carried wheels ask of projects that ``[python].without`` leaves out, and what cannot be imported for it.

``mirror.connected.papers.vetting`` lets such needs pass; the closed side checks them where the host brings its packages
(``mirror.closed.venv.hostpackages``).

Rules: needs are those of the wheels' METADATA on the target; whatever needs a project that is left out, by however many steps,
cannot be imported where nobody brings it.

Example::

    left = LeftOut.of(wheels, target, ["torch"])
    left.needs                                  # {"torch": {"vllm": "==2.11.0"}}
    left.importable(["vllm", "left_pad"])       # ("left_pad",)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from mirror.connected.packing.meta import module_of
from mirror.core.bundle.manifest import Artifact
from mirror.core.target import Target
from mirror.core.wheels.needs import Needs
from mirror.core.wheels.requirement import Requirement
from mirror.core.wheels.wheelfile import WheelFile


@dataclass(frozen=True)
class LeftOut:
    """The projects that are left out, as the carried ones see them.

    Attributes:
        needs: for each of them, the carried projects that need it, with the versions that will do (empty: any).
        dependent: carried projects that cannot work without one.
        modules: what each module that can be imported belongs to.
    """

    needs: Mapping[str, Mapping[str, str]]
    dependent: frozenset[str]
    modules: Mapping[str, str]

    @classmethod
    def of(cls, wheels: Mapping[Artifact, WheelFile], target: Target, without: Iterable[str]) -> LeftOut:
        """Read the wheels of a bundle; those of ``tool/`` are none of the stack's."""
        installed = {str(canonicalize_name(one.name)): wheel for one, wheel in wheels.items() if one.is_project}
        lines = {name: _requires(wheel) for name, wheel in installed.items()}
        walk = Needs(lines, (), target)
        needs: dict[str, dict[str, str]] = {str(project): {} for project in sorted(without)}
        for project, requirement in _applying(walk, lines):
            if requirement.name in needs:
                needs[requirement.name][project] = requirement.specifier
        dependent = {project for asking in needs.values() for project in asking}
        edges = walk.edges()
        while more := {name for name, others in edges.items() if dependent.intersection(others)} - dependent:
            dependent |= more
        modules = {
            module: name
            for name, wheel in installed.items()
            for one in wheel.members
            if (module := module_of(one.name))
        }
        return cls(needs, frozenset(dependent), modules)

    def importable(self, imports: Iterable[str]) -> tuple[str, ...]:
        """Those modules that import without what is left out: carried, and of no project that needs it."""
        return tuple(one for one in imports if self._owner(one) and self._owner(one) not in self.dependent)

    def _owner(self, module: str) -> str:
        return self.modules.get(module.partition(".")[0], "")


def _requires(wheel: WheelFile) -> tuple[str, ...]:
    return tuple(map(str, wheel.headers("METADATA").get_all("Requires-Dist", [])))


def _applying(walk: Needs, lines: Mapping[str, Iterable[str]]) -> Iterable[tuple[str, Requirement]]:
    for project, needed in lines.items():
        for line in needed:
            try:
                requirement = Requirement.parse(line)
                if walk.applies(project, requirement):
                    yield project, requirement
            except ValueError:
                continue  # whoever vets the wheel has named it

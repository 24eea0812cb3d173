"""How the wheels of a bundle go together: paths that two of them bring, and what they require of each other.

``mirror.core.vetting.wheel`` judges each wheel by itself, ``mirror.core.vetting.cuda`` which CUDA they are for.

Rules (SECURITY.md 29 and 43): one path has one content, whichever wheel is installed first; a file is nowhere a directory of
another wheel; each Requires-Dist that applies on the target is met inside the set, with the extras that are really asked for.

Example::

    findings, notes = vet_set(vetted, target, ["vllm==0.25.1", "mistral-common[image]"])
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from mirror.core.target import Target
from mirror.core.vetting.cuda import Part, cuda_findings
from mirror.core.vetting.rules import Finding
from mirror.core.vetting.wheel import Vetted
from mirror.core.wheels.needs import Needs
from mirror.core.wheels.requirement import Requirement


def vet_set(
    wheels: Sequence[Vetted], target: Target, requirements: Iterable[str] = ()
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Look at the wheels together.

    Args:
        wheels: what is installed into one environment.
        requirements: what the stack asks for, for their extras.

    Returns:
        What the rules refuse, and what a person may want to know.
    """
    collisions, notes = _collisions(wheels)
    needs = Needs({wheel.project: wheel.requires for wheel in wheels}, requirements, target)
    return (*collisions, *_unmet(wheels, needs), *cuda_findings(_parts(wheels, needs), target)), notes


def _collisions(wheels: Sequence[Vetted]) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    first: dict[str, Vetted] = {}
    directories: dict[str, Vetted] = {}
    differing: dict[tuple[int, int], list[str]] = defaultdict(list)
    shared: set[str] = set()
    numbers = {id(wheel): number for number, wheel in enumerate(wheels)}
    for wheel in wheels:
        for path, digest in wheel.installed.items():
            other = first.setdefault(path, wheel)
            if other is not wheel:
                if other.installed[path] == digest:
                    shared.add(path)
                else:
                    differing[numbers[id(other)], numbers[id(wheel)]].append(path)
            parent = path.rpartition("/")[0]
            while parent and parent not in directories:
                directories[parent] = wheel
                parent = parent.rpartition("/")[0]
    for path in first.keys() & directories.keys():
        pair = sorted((numbers[id(first[path])], numbers[id(directories[path])]))
        differing[pair[0], pair[1]].append(path)
    found = [_collision(wheels[one], wheels[other], sorted(paths)) for (one, other), paths in sorted(differing.items())]
    if not shared:
        return tuple(found), ()
    more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
    return tuple(found), (f"in several wheels with the same bytes: {min(shared)}{more}",)


def _collision(one: Vetted, other: Vetted, paths: Sequence[str]) -> Finding:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    what = f"{paths[0]}{more} is another file in {one.artifact.filename}: which one is kept depends on the order"
    return Finding("collision", other.artifact.path, other.project, what, one.project, (one.project,))


def _parts(wheels: Sequence[Vetted], needs: Needs) -> Iterator[Part]:
    """The wheels, each with what it really asks for."""
    for wheel in wheels:
        asked = []
        for line in wheel.requires:
            with contextlib.suppress(ValueError):  # told by _unmet
                wanted = Requirement.parse(line)
                asked += [wanted.name] if needs.applies(wheel.project, wanted) else []
        yield Part(wheel.project, wheel.artifact.version, tuple(asked), wheel.artifact.path)


def _unmet(wheels: Sequence[Vetted], needs: Needs) -> Iterator[Finding]:
    versions = {wheel.project: wheel.artifact.version for wheel in wheels}
    for wheel in wheels:
        said = set()
        for line in wheel.requires:
            try:
                wanted = Requirement.parse(line)
                if not needs.applies(wheel.project, wanted):
                    continue
                version = versions.get(wanted.name)
                if version is not None and wanted.is_met_by(version):
                    continue
                what = f"it requires {wanted.name}{wanted.specifier}, the set has {version or 'none'}"
            except ValueError as exc:
                wanted, what = None, f"its requirement cannot be read: {exc}"
            if what not in said:
                said.add(what)
                subject = wanted.name if wanted else ""
                yield Finding("requires-unmet", wheel.artifact.path, wheel.project, what, subject)

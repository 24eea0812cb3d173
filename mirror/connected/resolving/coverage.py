"""Whether a lock still is the lock of its stack.

Only what can be read from the two files is compared: targets, each requirement with its pin, and, for what shows in no pin (a
requirement that is gone, a cutoff, an index), the digests of the wishes that the lock was made of. That the pins go together
was the resolver's work when the lock was made.

Rules: every difference is listed, each with both sides.

Example::

    covers(stack, read_lock(path))      # ("requirements asks for torch==2.11.0, the lock has 2.10.0",)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator

from packaging.requirements import Requirement

from mirror.connected.pins.markers import applies
from mirror.connected.pins.requirements import PythonLock
from mirror.connected.stack.stack import Stack
from mirror.core.names import ProjectName, project_name

_DIGITS = 12

_PLACES = {
    "requirements": "[python].requirements",
    "optional": "[python].optional",
    "constraints": "[python].constraints",
    "build": "[python].build",
    "without": "[python].without",
    "cutoff": "[python].cutoff",
    "indexes": "[indexes] or [python.index]",
    "requires": "a [build] table's requires",
    "archives": "a [build] table's archive",
}


def wish_digests(stack: Stack) -> tuple[tuple[str, str], ...]:
    """A digest of each part of a stack that pins hang on, sorted; parts that say nothing are left out.

    Imports, waivers, an interpreter and comments are none of them. Digests, because a lock names no host.
    """
    parts: dict[str, object] = {
        "requirements": sorted(map(str, stack.requirements)),
        "optional": sorted(map(str, stack.optional)),
        "constraints": sorted(map(str, stack.constraints)),
        "build": sorted(stack.build),
        "without": sorted(stack.without),
        "cutoff": stack.cutoff.isoformat() if stack.cutoff else "",
        "indexes": [sorted(stack.indexes.items()), sorted(stack.index_names.items())] if stack.indexes else [],
        "requires": sorted(
            [project, *sorted(map(str, one.requires))] for project, one in stack.settings.items() if one.requires
        ),
        "archives": [_archive(stack, project) for project in sorted(stack.build) if stack.archive_of(project)],
    }
    return tuple(
        (part, hashlib.sha256(json.dumps(said).encode()).hexdigest()[:_DIGITS])
        for part, said in sorted(parts.items())
        if said
    )


def _archive(stack: Stack, project: ProjectName) -> list[object]:
    """What a lock takes from the archive of a project's own source; where it lies is none of it."""
    own = stack.archive_of(project)
    assert own, project
    needs = None if own.dependencies is None else sorted(map(str, own.dependencies))
    return [project, own.tree.archive.sha256, own.tree.strip, own.tree.directory, needs]


def covers(stack: Stack, lock: PythonLock) -> tuple[str, ...]:
    """Where a Python lock no longer answers its stack: a sentence for each difference, none when it covers it."""
    return tuple(_differences(stack, lock))


def covers_builds(stack: Stack, lock: PythonLock) -> tuple[str, ...]:
    """The same for a lock of build requirements, as far as the stack itself names them."""
    extra = [requirement for project in stack.build for requirement in stack.settings_of(project).requires]
    return (*_targets(stack, lock), *_wishes(stack, extra, lock, "build"))


def _differences(stack: Stack, lock: PythonLock) -> Iterator[str]:
    found = tuple(_shown_in_pins(stack, lock))
    yield from found
    if lock.wishes:
        was, now = dict(lock.wishes), dict(wish_digests(stack))
        for part in sorted({*was, *now}):
            if was.get(part) != now.get(part) and not any(issue.startswith(f"{part} ") for issue in found):
                yield from _since(part, stack, lock)


def _since(part: str, stack: Stack, lock: PythonLock) -> Iterator[str]:
    """What a part of the wishes has lost or gained that shows in no pin."""
    asked = {project_name(one.name) for one in (*stack.requirements, *stack.optional)}
    wishes = {stack.file, f"{stack.name}.toml"}  # a target's locks of before call it NAME.TARGET.toml
    gone = [pin.name for pin in lock.pins if wishes.intersection(pin.via) and pin.name not in asked]
    if part in ("requirements", "optional") and gone:
        yield f"{part} no longer asks for {' and '.join(gone)}"
    else:
        yield f"{_PLACES.get(part, part)} changed since it was locked"


def _shown_in_pins(stack: Stack, lock: PythonLock) -> Iterator[str]:
    yield from _targets(stack, lock)
    yield from _wishes(stack, stack.requirements, lock, "requirements")
    yield from _wishes(stack, stack.optional, lock, "optional", lock.unpinned)
    for constraint in stack.constraints:
        pin = lock.find(project_name(constraint.name))
        if (
            applies(constraint, stack.target)
            and pin
            and not constraint.specifier.contains(pin.version, prereleases=True)
        ):
            yield f"constraints limit {constraint}, the lock has {pin.version}"
    for project in stack.build:
        pin, own = lock.find(project), stack.archive_of(project)
        if pin is None:
            yield f"build names {project}, the lock has no such pin"
        elif own and own.tree.archive.sha256 not in pin.hashes:
            yield f"archives has {own.tree.archive.sha256} for {project}, the lock has {pin.hashes[0]}"
    for project in stack.without:
        if lock.find(project):
            yield f"the stack goes without {project}, the lock has it"


def _targets(stack: Stack, lock: PythonLock) -> Iterator[str]:
    if lock.target is not None and lock.target != stack.target:
        yield f"its target is {stack.target}, the lock is for {lock.target}"


def _wishes(
    stack: Stack, requirements: Iterable[Requirement], lock: PythonLock, key: str, unpinned: tuple[str, ...] = ()
) -> Iterator[str]:
    for requirement in requirements:
        pin = lock.find(project_name(requirement.name))
        if not applies(requirement, stack.target) or any(line.split(" ")[0] == str(requirement) for line in unpinned):
            continue
        if pin is None:
            yield f"{key} asks for {requirement}, the lock has no such pin"
        elif not requirement.specifier.contains(pin.version, prereleases=True):
            yield f"{key} asks for {requirement}, the lock has {pin.version}"

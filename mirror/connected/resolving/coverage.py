"""Whether a lock still is the lock of its stack.

Only what can be read from the two files is compared: targets, and each requirement with its pin. That the pins go together was
the resolver's work when the lock was made.

Rules: every difference is listed, each with both sides.

Example::

    covers(stack, read_lock(path))      # ("requirements asks for torch==2.11.0, the lock has 2.10.0",)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packaging.requirements import Requirement

from mirror.connected.pins.markers import applies
from mirror.connected.pins.requirements import PythonLock
from mirror.connected.stack.file import Stack
from mirror.core.names import project_name


def covers(stack: Stack, lock: PythonLock) -> tuple[str, ...]:
    """Where a Python lock no longer answers its stack: a sentence for each difference, none when it covers it."""
    return tuple(_differences(stack, lock))


def covers_builds(stack: Stack, lock: PythonLock) -> tuple[str, ...]:
    """The same for a lock of build requirements, as far as the stack itself names them."""
    extra = [requirement for project in stack.build for requirement in stack.settings_of(project).requires]
    return (*_targets(stack, lock), *_wishes(stack, extra, lock, "build"))


def _differences(stack: Stack, lock: PythonLock) -> Iterator[str]:
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
        if lock.find(project) is None:
            yield f"build names {project}, the lock has no such pin"
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

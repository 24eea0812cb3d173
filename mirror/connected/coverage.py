"""Whether a lock still is the lock of its stack.

Only what can be read from the two files is compared: targets, and each requirement with its pin. That the pins go together was
the resolver's work when the lock was made.

Rules: every difference is listed, each with both sides.

Example::

    check_covers(stack, read_lock(path), str(path))     # raises LockOutdated
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from packaging.requirements import Requirement

from mirror.connected.requirements import PythonLock
from mirror.connected.stack import Stack
from mirror.connected.wheels import environment
from mirror.core.errors import MirrorError
from mirror.core.names import project_name


class LockOutdated(MirrorError):
    """``NAME.toml`` was changed and the lock beside it was not, or the lock is another stack's.

    Attributes:
        stack: the stack's name.
        lock: the lock's path.
        differences: every one, with both sides.
    """

    ref = "lock-outdated"
    exit_code = 58
    hint = "Lock again: mirror lock NAME.toml."

    def __init__(self, stack: str, lock: str, differences: tuple[str, ...]) -> None:
        super().__init__(stack, lock, differences)
        self.stack, self.lock, self.differences = stack, lock, differences

    def __str__(self) -> str:
        more = f" (and {len(self.differences) - 1} more)" if len(self.differences) > 1 else ""
        return f"{self.lock} does not cover {self.stack}.toml: {self.differences[0]}{more}"

    def context(self) -> str:
        return "\n".join(self.differences) if len(self.differences) > 1 else ""


def check_covers(stack: Stack, lock: PythonLock, source: str) -> None:
    """Hold a Python lock against its stack; ``source`` is the lock's path.

    Raises:
        LockOutdated: with every difference.
    """
    differences = tuple(differences_between(stack, lock))
    if differences:
        raise LockOutdated(stack.name, source, differences)


def check_covers_builds(stack: Stack, lock: PythonLock, source: str) -> None:
    """Hold a lock of build requirements against what the stack adds to them.

    Raises:
        LockOutdated: with every difference.
    """
    extra = [requirement for project in stack.build for requirement in stack.settings_of(project).requires]
    differences = (*_targets(stack, lock), *_wishes(stack, extra, lock, "[build]", ()))
    if differences:
        raise LockOutdated(stack.name, source, differences)


def differences_between(stack: Stack, lock: PythonLock) -> Iterator[str]:
    """Each difference between a stack's Python side and a lock, as a sentence with both sides."""
    yield from _targets(stack, lock)
    yield from _wishes(stack, stack.requirements, lock, "requirements", ())
    yield from _wishes(stack, stack.optional, lock, "optional", lock.unpinned)
    for constraint in stack.constraints:
        pin = lock.find(project_name(constraint.name))
        if _is_meant(constraint, stack) and pin and not constraint.specifier.contains(pin.version, prereleases=True):
            yield f"constraints limit {constraint}, the lock has {pin.version}"
    for project in stack.build:
        if lock.find(project) is None:
            yield f"build names {project}, the lock has no such pin"


def _targets(stack: Stack, lock: PythonLock) -> Iterator[str]:
    if lock.target is not None and lock.target != stack.target:
        yield f"its target is {stack.target}, the lock is for {lock.target}"


def _wishes(
    stack: Stack, requirements: Iterable[Requirement], lock: PythonLock, key: str, unpinned: tuple[str, ...]
) -> Iterator[str]:
    for requirement in requirements:
        pin = lock.find(project_name(requirement.name))
        if not _is_meant(requirement, stack) or any(line.split(" ")[0] == str(requirement) for line in unpinned):
            continue
        if pin is None:
            yield f"{key} asks for {requirement}, the lock has no such pin"
        elif not requirement.specifier.contains(pin.version, prereleases=True):
            yield f"{key} asks for {requirement}, the lock has {pin.version}"


def _is_meant(requirement: Requirement, stack: Stack) -> bool:
    values: dict[str, Any] = dict(environment(stack.target))
    return requirement.marker is None or requirement.marker.evaluate(values)

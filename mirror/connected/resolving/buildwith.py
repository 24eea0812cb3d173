"""What builds need is taken as wheels: what it means when one of them has none, and the way round.

A build that waits for another one would have a key that is known only when the other has ended, and no machine could take its
share of the jobs by their keys. So a wheel to build with is made in a stack of its own, and pinned by its digest as any other.

Rule: the resolver is not asked about a project that this stack builds from an archive: its index has another one, or none.

Example::

    with taken_as_wheels(stack, requirements):
        pins = ...    # NoWheelToBuildWith where one has none
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from packaging.requirements import Requirement

from mirror.connected.index.wheels import NoWheelForTarget
from mirror.connected.resolving.resolver import ResolutionFailed, lacks_wheels
from mirror.connected.stack.stack import Stack
from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.names import project_name


class NoWheelToBuildWith(MirrorError):
    """Something that is to be built needs, to be built, a project of which there is no wheel.

    Attributes:
        issues: each such project, with what there is instead.
    """

    ref = "no-wheel-to-build-with"
    exit_code = FAMILIES["lock"]
    hint = (
        "Build it first, in a stack of its own ('mirror build' names the wheel), and put that wheel into a directory. Then "
        'name the directory here: [indexes] made = { find-links = "file:///DIRECTORY" }, [python.index] PROJECT = "made", with '
        "PROJECT==VERSION in requirements and not in build. More: 'mirror help building'."
    )
    message = "what {stack}.toml builds is built with wheels alone, and {issues:first}"

    stack: str
    issues: tuple[str, ...]


@contextmanager
def taken_as_wheels(stack: Stack, requirements: Sequence[Requirement]) -> Iterator[None]:
    """Have what builds ask for pinned inside of the block, as wheels.

    Raises:
        NoWheelToBuildWith: one has none. And as the block.
    """
    asked = {project_name(one.name) for one in requirements}
    own = sorted(project for project in asked if stack.archive_of(project))
    if own:
        raise NoWheelToBuildWith(stack.name, tuple(f"{one} is built from an archive here" for one in own))
    try:
        yield
    except NoWheelForTarget as exc:
        raise NoWheelToBuildWith(stack.name, tuple(map(str, exc.misses))) from exc
    except ResolutionFailed as exc:
        lacking = tuple(f"{project}{wanted} has no wheel for the target" for project, wanted in lacks_wheels(exc.words))
        if not lacking:
            raise
        raise NoWheelToBuildWith(stack.name, lacking) from exc

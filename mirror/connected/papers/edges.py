"""Who needs whom within one bundle: the edges on which a reviewer finds out why a file is there.

``mirror.connected.contents.wheelcontents`` and ``mirror.connected.contents.packagecontents`` read the requirements;
``mirror.core.wheels.needs`` says which of them count on the target; the lock has settled whether they are met at all.

Rules: names that are not in the bundle are left out, for they are the host's or nobody's; a project does not need itself.

Example::

    project_edges({"vllm": ("torch==2.11.0",), "torch": ()}, (), target)     # {"vllm": ("torch",), "torch": ()}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from packaging.requirements import Requirement

from mirror.core.target import Target
from mirror.core.wheels.needs import Needs


def project_edges(
    needs: Mapping[str, Iterable[str]], asked: Iterable[Requirement], target: Target
) -> dict[str, tuple[str, ...]]:
    """What each project of a set needs of the others, sorted.

    Args:
        needs: the ``Requires-Dist`` lines of each project, by normalised name.
        asked: the stack's own requirements, for their extras.
    """
    return Needs(needs, map(str, asked), target).edges()


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

"""Which RPM of a bundle needs which: the edges on which a reviewer finds out why a file is there.

``mirror.connected.contents.packagecontents`` reads the requirements; of projects ``mirror.core.wheels.needs`` has the edges.

Rules: names that are not in the bundle are left out, for they are the host's or nobody's; an RPM does not need itself.

Example::

    package_edges({"cuda-nvcc": ("cuda-crt",), "cuda-crt": ()}, {"cuda-nvcc": (), "cuda-crt": ()})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


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

"""A wheel's file name, and the tags that a target takes (PEP 425, 427), for the side that has no ``packaging``.

Which wheel is chosen is decided by ``mirror.connected.index.wheels``; a test holds this module against it.

Rules: tags are computed from the target's description alone; nothing is opened.

Example::

    name = WheelName.parse("torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl")
    bool(name.tags & target_tags(target))
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mirror.core.names import ProjectName, project_name
from mirror.core.target import Target
from mirror.core.wheels.versions import Version

OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17}
"""Minor version of the oldest glibc that manylinux knows for an architecture."""

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_BUILD = re.compile(r"[0-9][A-Za-z0-9_.]*", re.ASCII)


@dataclass(frozen=True)
class WheelName:
    """What a wheel's file name says.

    Attributes:
        project: normalised.
        version: as it stands there.
        build: the build tag; empty for none.
        tags: each ``python-abi-platform``.
    """

    project: ProjectName
    version: str
    build: str
    tags: frozenset[str]

    @classmethod
    def parse(cls, filename: str) -> WheelName:
        """Take a file name apart. Raises ValueError: when it is no wheel's."""
        parts = filename[:-4].split("-")
        if not filename.endswith(".whl") or len(parts) not in (5, 6):
            raise ValueError(f"expected a wheel's file name, got {filename!r}")
        build = parts[2] if len(parts) == 6 else ""
        if build and not _BUILD.fullmatch(build):
            raise ValueError(f"expected a build tag that begins with a digit, got {build!r}")
        Version(parts[1])
        return cls(project_name(parts[0]), parts[1], build, expanded("-".join(parts[-3:])))


def expanded(tags: str) -> frozenset[str]:
    """The tags that a compressed set stands for: ``py2.py3-none-any`` is two.

    Raises:
        ValueError: when it has no three parts.
    """
    parts = [part.split(".") for part in tags.split("-")]
    if len(parts) != 3 or not all(all(part) for part in parts):
        raise ValueError(f"expected a tag such as 'py3-none-any', got {tags!r}")
    pythons, abis, platforms = parts
    return frozenset(f"{python}-{abi}-{platform}" for python in pythons for abi in abis for platform in platforms)


@lru_cache(maxsize=8)
def target_tags(target: Target) -> frozenset[str]:
    """Every tag that the target takes."""
    minor = int(target.python.partition(".")[2])
    major = target.python.partition(".")[0]
    interpreter = f"cp{major}{minor}"
    pythons = [f"py{major}", *(f"py{major}{number}" for number in range(minor + 1))]
    tags = {f"{python}-none-any" for python in (*pythons, interpreter)}
    for platform in _platforms(target):
        tags.update(f"{interpreter}-{abi}-{platform}" for abi in (interpreter, "abi3", "none"))
        tags.update(f"cp{major}{number}-abi3-{platform}" for number in range(2, minor))
        tags.update(f"{python}-none-{platform}" for python in pythons)
    return frozenset(tags)


def _platforms(target: Target) -> Iterator[str]:
    for minor in range(target.glibc_pair[1], OLDEST_GLIBC[target.arch] - 1, -1):
        yield f"manylinux_2_{minor}_{target.arch}"
        if minor in _LEGACY and (target.arch == "x86_64" or minor == 17):
            yield f"{_LEGACY[minor]}_{target.arch}"
    yield f"linux_{target.arch}"

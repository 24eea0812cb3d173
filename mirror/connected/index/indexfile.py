"""One file that an index offers, and what its name says.

``mirror.connected.index.simplepage`` reads it from a page, ``mirror.connected.index.pages`` remembers it.

Rules: what the name says is never remembered, but read again.

Example::

    IndexFile.from_dict(file.to_dict(), project) == file
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from packaging.tags import Tag
from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion

from mirror.connected.pins.standards import read_sdist_name, read_version, read_wheel_name
from mirror.core.names import ProjectName, Sha256Hex


@dataclass(frozen=True)
class IndexFile:
    """One file that an index offers.

    Attributes:
        filename: as the page names it.
        url: absolute; may hold credentials of the index.
        sha256: that the page claims; empty where it claims none, see ``Index.hashed``.
        kind: ``"wheel"`` or ``"sdist"``.
        version: normalised.
        tags: of a wheel; empty for an sdist.
        build: build tag of a wheel; an sdist has none.
        size: bytes, when the page says so.
        requires_python: specifier of the Pythons that it is for; empty for all.
        yanked: why its maker withdrew it (may be empty); None when it was not withdrawn.
        upload_time: seconds since 1970 UTC, when the page says so.
    """

    filename: str
    url: str
    sha256: Sha256Hex
    kind: Literal["wheel", "sdist"]
    version: str
    tags: frozenset[Tag] = frozenset()
    build: tuple[int, str] | tuple[()] = ()
    size: int | None = None
    requires_python: str = ""
    yanked: str | None = None
    upload_time: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """For a memory of our own: what its name does not say."""
        said = ("filename", "url", "sha256", "size", "requires_python", "yanked", "upload_time")
        return {key: getattr(self, key) for key in said}

    @classmethod
    def from_dict(cls, facts: dict[str, Any], project: ProjectName) -> IndexFile:
        """Inverse of ``to_dict``. Raises ``ValueError``, ``LookupError`` or ``TypeError`` when it is not what that writes."""
        return cls(**facts, **told_by_name(facts["filename"], project))


def told_by_name(filename: str, project: ProjectName) -> dict[str, Any]:
    """The facts of an ``IndexFile`` that are in its name. Raises ``ValueError`` for a name that is no file's of the project."""
    if filename.endswith(".whl"):
        name, version, build, tags = read_wheel_name(filename)
        told: dict[str, Any] = {"kind": "wheel", "version": str(version), "build": build, "tags": tags}
    else:
        name, version = read_sdist_name(filename)
        told = {"kind": "sdist", "version": str(version)}
    if str(name) != project:
        raise ValueError(f"{filename} is a file of {name}")
    return told


@lru_cache(maxsize=1 << 16)
def spelt(version: str) -> str:
    """One spelling for versions that are equal (``1.0.RC1`` and ``1rc1``); empty for what is none."""
    try:
        return canonicalize_version(read_version(version))
    except InvalidVersion:
        return ""

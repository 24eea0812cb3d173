"""What an sdist says of itself: name, version, what it requires to run and to be built. Nothing of it is run.

A resolver that asks a build backend for metadata runs the sdist's code, with the network, before anyone approved it
(SECURITY.md T15). The lock therefore reads ``PKG-INFO`` and ``pyproject.toml`` instead; that the built wheel says the same is
checked when it is built.

Rules: members are read in place, never extracted, and only up to a size; PEP 517's defaults hold where ``pyproject.toml`` is
silent.

Example::

    sdist = read_sdist(Path("mistral_common-1.9.1.tar.gz"))
    sdist.build_requires    # (<Requirement('setuptools>=42')>, ...)
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.metadata import parse_email
from packaging.requirements import Requirement

from mirror.connected.pins.standards import read_requirement, read_version
from mirror.core.archives.tarstream import BadArchive, TarStream
from mirror.core.archives.zipdirectory import BadZip
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError
from mirror.core.names import ProjectName, project_name
from mirror.core.toml import parse_toml
from mirror.core.wheels.wheelfile import read_metadata

MAX_BYTES = 8 << 30
"""The most that an sdist may unpack to (SECURITY.md T8)."""

MAX_MEMBER_BYTES = 4 << 20
"""Largest PKG-INFO or pyproject.toml that is read."""

_DEFAULT_BUILD_REQUIRES = (read_requirement("setuptools>=40.8.0"),)
"""PEP 517: what a project without [build-system] needs."""


class InvalidSdist(MirrorError):
    """A source archive does not say what its project is."""

    ref = "invalid-sdist"
    exit_code = 53
    hint = "The sdist is broken at its source: pin another version, or use the project's wheel."
    message = "{filename}: {problem}"

    filename: str
    problem: str


@dataclass(frozen=True)
class Sdist:
    """The facts of a source archive.

    Attributes:
        version: normalised.
        requires: what the project needs to run.
        requires_python: specifier of the Pythons that it is for; empty for all.
        extras: names of its extras.
        build_requires: what its build needs (PEP 518).
    """

    name: ProjectName
    version: str
    requires: tuple[Requirement, ...]
    requires_python: str
    extras: tuple[str, ...]
    build_requires: tuple[Requirement, ...]

    def is_of(self, project: str, version: str) -> bool:
        """Whether it is this version of this project, however the version is spelt."""
        return self.name == project and read_version(self.version) == read_version(version)


def read_sdist(path: Path) -> Sdist:
    """Read an sdist's own description.

    Raises:
        InvalidSdist: when the archive or a document in it cannot be read, or a required field is missing.
    """
    with faults_as(InvalidSdist, path):
        members = _members(path)
        if "PKG-INFO" not in members:
            raise InvalidSdist(path.name, "it holds no PKG-INFO")
        return described(members["PKG-INFO"], build_requires(members.get("pyproject.toml")))


class InvalidSource(MirrorError):
    """An archive of ``[build.NAME]`` cannot be what the build needs."""

    ref = "invalid-source"
    exit_code = FAMILIES["bundle"]
    hint = "It has the pinned digest, so that is what it is: correct what [build.NAME] says of it, or pin another."
    message = "{filename}: {problem}"

    filename: str
    problem: str


@contextmanager
def faults_as(kind: type[InvalidSdist | InvalidSource], path: Path) -> Iterator[None]:
    """Name what keeps an archive or its description from being read."""
    try:
        yield
    except (InvalidDocument, ValueError) as exc:  # packaging's own errors are ValueErrors
        raise kind(path.name, f"its description cannot be read: {exc}") from exc
    except (BadZip, OSError) as exc:
        raise kind(path.name, f"it cannot be unpacked: {exc}") from exc


@contextmanager
def opened(path: Path, is_sdist: bool = True) -> Iterator[TarStream]:
    """A source archive, every member judged before it is handed on.

    Args:
        is_sdist: whether it is a project's own, which is compressed by gzip; any other may be compressed otherwise.

    Raises:
        InvalidSdist, InvalidSource: when it holds what must not be unpacked, or is damaged.
        OSError: when it cannot be opened.
    """
    try:
        with path.open("rb") as stream:
            yield TarStream(stream, path.name, MAX_BYTES, "gzip" if is_sdist else "")
    except BadArchive as exc:
        problem = f"it cannot be unpacked: {exc.problem}"
        raise (InvalidSdist if is_sdist else InvalidSource)(path.name, problem) from exc


def read_wheel(path: Path) -> Sdist:
    """A wheel's METADATA as the same facts; it has no build requirements. Raises InvalidSdist as ``read_sdist``."""
    with faults_as(InvalidSdist, path):
        with path.open("rb") as stream:
            metadata = read_metadata(stream)
        if metadata is None:
            raise InvalidSdist(path.name, "it has no METADATA")
        return described(metadata, ())


def described(metadata: bytes, build_requires: tuple[Requirement, ...]) -> Sdist:
    """The facts of PKG-INFO or METADATA. Raises ``ValueError`` and its kin of packaging."""
    raw, _ = parse_email(metadata)
    return Sdist(
        name=project_name(raw.get("name", "")),
        version=str(read_version(raw.get("version", ""))),
        requires=tuple(read_requirement(text) for text in raw.get("requires_dist", [])),
        requires_python=raw.get("requires_python", ""),
        extras=tuple(raw.get("provides_extra", [])),
        build_requires=build_requires,
    )


def _members(path: Path) -> dict[str, bytes]:
    """The two documents at the archive's top directory."""
    found: dict[str, bytes] = {}
    with opened(path) as tar:
        for member in tar:
            if member.path in ("PKG-INFO", "pyproject.toml") and stat.S_ISREG(member.mode):
                if member.size > MAX_MEMBER_BYTES:
                    what = f"{member.path} has {member.size} bytes, more than the {MAX_MEMBER_BYTES} allowed"
                    raise InvalidSdist(path.name, what)
                found[member.path] = b"".join(tar.content())
    return found


def build_requires(pyproject: bytes | None) -> tuple[Requirement, ...]:
    """What ``pyproject.toml``, or that there is none, says of a build's needs. Raises as ``described``, and InvalidDocument."""
    document = parse_toml(pyproject, "pyproject.toml", MAX_MEMBER_BYTES) if pyproject is not None else {}
    table = document.get("build-system")
    if table is None:
        return _DEFAULT_BUILD_REQUIRES
    requires = table.get("requires") if isinstance(table, dict) else None
    if not isinstance(requires, list) or not all(isinstance(text, str) for text in requires):
        raise ValueError("[build-system].requires in pyproject.toml is no list of requirements")
    return tuple(read_requirement(text) for text in requires)

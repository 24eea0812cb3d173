"""What a project's own source says of itself where it is no sdist: an archive that git made of a commit, say.

An sdist has ``PKG-INFO``, written when it was made. Of an archive, ``[project]`` of ``pyproject.toml`` (PEP 621) says the same
as far as it is static; what is dynamic would take running its code (``mirror.connected.sdists.sdist`` says why none is run), so
that the stack states it: the version in its requirement, the dependencies in ``[build.NAME.archive]``.

Rules: nothing that the archive says is overruled; what neither it nor the stack says is an error, never taken for "none".

Example::

    read_source_archive(Path("0123abcd.tar.gz"), project_name("left-pad"), "1.0", own)
"""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mirror.connected.pins.standards import read_marker, read_requirement, read_specifiers, read_version
from mirror.connected.sdists.sdist import (
    MAX_MEMBER_BYTES,
    InvalidSource,
    Sdist,
    build_requires,
    described,
    faults_as,
    opened,
)
from mirror.connected.stack.buildsettings import OwnSource
from mirror.core.names import ProjectName, project_name
from mirror.core.toml import parse_toml

_DOCUMENTS = ("PKG-INFO", "pyproject.toml")
_SHOWN = 12


def read_source_archive(path: Path, project: ProjectName, version: str, own: OwnSource) -> Sdist:
    """Read what the archive says, and add what the stack does.

    Args:
        project, version: as the stack asks for it.
        own: where in the archive the project lies, and what its dependencies are if the archive does not tell.

    Raises:
        InvalidSource: it cannot be read, is another project's or version's, or does not tell what is needed.
    """
    with faults_as(InvalidSource, path):
        said = _look(path, own).described(project, version, own.dependencies)
    if not said.is_of(project, version):
        asked = f"NAME.toml asks for {project} {version}"
        raise InvalidSource(path.name, f"it says it is {said.name} {said.version}; {asked}")
    return said


@dataclass
class _Found:
    """What lies in the directory that is to be built.

    Attributes:
        place: that directory, as ``NAME.toml`` names it; empty for the top.
        texts: of its documents.
        names: of everything in it.
        tops: of everything in the archive's top directory.
    """

    filename: str
    place: str
    texts: dict[str, bytes] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    tops: set[str] = field(default_factory=set)

    def described(self, project: ProjectName, version: str, stated: tuple[Requirement, ...] | None) -> Sdist:
        """Raises InvalidSource; ``ValueError`` and packaging's own for what cannot be read."""
        pyproject = self.texts.get("pyproject.toml")
        if pyproject is None and "setup.py" not in self.names:
            there = ", ".join(sorted(self.names or self.tops)[:_SHOWN]) or "nothing"
            where = (self.place if self.names else "") or "its top directory"
            what = f"no {self.place}" if self.place and not self.names else "no pyproject.toml and no setup.py"
            self.refuse(
                f"there is {what} in {where}, but {there}: directory in [build.{project}.archive] names the one that has them"
            )
        needs = build_requires(pyproject)
        if "PKG-INFO" in self.texts:
            said = described(self.texts["PKG-INFO"], needs)
            if stated is not None:
                self._twice(project, "PKG-INFO")
            return said
        table = parse_toml(pyproject, "pyproject.toml", MAX_MEMBER_BYTES).get("project") if pyproject else None
        if table is None:
            table = {"name": project, "dynamic": ["version", "dependencies"]}
        if not isinstance(table, dict):
            raise ValueError("[project] in pyproject.toml is no table")
        return self._project(table, project, version, stated, needs)

    def _project(
        self,
        table: Mapping[str, Any],
        project: ProjectName,
        version: str,
        stated: tuple[Requirement, ...] | None,
        needs: tuple[Requirement, ...],
    ) -> Sdist:
        """The facts of ``[project]``, PEP 621: what it does not list as dynamic and does not name is none."""
        dynamic = _texts(table, "dynamic")
        is_open = "dependencies" in dynamic
        if is_open and stated is None:
            self.refuse(
                f"its dependencies are known only to whoever runs its code: write them into [build.{project}.archive], "
                'dependencies = ["..."], or [] for none; its setup.py or setup.cfg names them'
            )
        if not is_open and stated is not None:
            self._twice(project, "[project] of its pyproject.toml")
        requires = list(stated or map(read_requirement, _texts(table, "dependencies")))
        extras = table.get("optional-dependencies", {})
        if not isinstance(extras, dict):
            raise ValueError("[project.optional-dependencies] in pyproject.toml is no table")
        for extra in extras:
            requires += [_of_extra(read_requirement(text), extra) for text in _texts(extras, extra)]
        return Sdist(
            name=project_name(_text(table, "name")),
            version=str(read_version(_text(table, "version") or ("" if "version" not in dynamic else version))),
            requires=tuple(requires),
            requires_python=str(read_specifiers(_text(table, "requires-python"))),
            extras=tuple(extras),
            build_requires=needs,
        )

    def _twice(self, project: ProjectName, where: str) -> NoReturn:
        self.refuse(f"{where} names its dependencies: leave out those in [build.{project}.archive]")

    def refuse(self, problem: str) -> NoReturn:
        raise InvalidSource(self.filename, problem)


def _look(path: Path, own: OwnSource) -> _Found:
    """Read the archive through, which judges every member."""
    place = own.tree.directory
    found = _Found(path.name, place)
    with opened(path, is_sdist=False) as tar:
        for member in tar:
            whole = member.path if own.tree.strip else posixpath.join(str(tar.top), member.path)
            found.tops.update([whole.split("/")[0]] if whole else [])
            if place and not whole.startswith(f"{place}/"):
                continue
            name = whole[len(place) + 1 :] if place else whole
            found.names.update([name.split("/")[0]] if name else [])
            if name in _DOCUMENTS and stat.S_ISREG(member.mode):
                if member.size > MAX_MEMBER_BYTES:
                    found.refuse(f"{whole} has {member.size} bytes, more than the {MAX_MEMBER_BYTES} allowed")
                found.texts[name] = b"".join(tar.content())
    return found


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"[project] of pyproject.toml: {key} is no text")
    return value


def _texts(table: Mapping[str, Any], key: str) -> list[str]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"[project] of pyproject.toml: {key} is no list of texts")
    return value


def _of_extra(requirement: Requirement, extra: str) -> Requirement:
    """What only an extra asks for, as METADATA writes it."""
    also = f"({requirement.marker}) and " if requirement.marker else ""
    requirement.marker = read_marker(f"{also}extra == {canonicalize_name(extra)!r}")
    return requirement

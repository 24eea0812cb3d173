"""``[build.NAME]`` of ``NAME.toml``: what the build of one project needs beyond what its sdist says.

``mirror.connected.building`` acts on it. Requirements are pinned in ``NAME.build.txt``; source trees and patches are pinned
here, by digest and by their own bytes; so is the project's own source where it is an archive and no sdist of an index.

Rules: an archive comes from one place, as ``[[files]]`` does; a variable names one tree, or one file that is not unpacked (a
wheel whose compiled files a build takes over); a submodule lies inside of its tree, and no two in one place; a patch lies
beside ``NAME.toml``.

Example::

    [build.vllm]
    patches = ["patches/vllm-one-gpu.diff"]
    limit_minutes = 600
    [[build.vllm.source]]
    url = "https://github.com/NVIDIA/cutlass/archive/refs/tags/v4.4.2.tar.gz"
    sha256 = "..."
    variable = "VLLM_CUTLASS_SRC_DIR"
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from mirror.connected.fetching.download import Download, filename_of
from mirror.connected.stack.files import digest_of, relative_path, source_of
from mirror.core.fields import Fields
from mirror.core.names import ProjectName, Sha256Hex, project_name

_KEYS = ("requires", "environment", "archive", "source", "patches", "limit_minutes", "limit_gib", "job_gib")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PLACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_.][A-Za-z0-9._+-]*)*", re.ASCII)


@dataclass(frozen=True)
class Archive:
    """A tar that is pinned.

    Attributes:
        source: its URL, or its path as it is written.
        url: where it is fetched from.
    """

    source: str
    url: str
    sha256: Sha256Hex

    @property
    def filename(self) -> str:
        return filename_of(self.url)

    def download(self) -> Download:
        return Download(self.url, self.filename, self.sha256)


@dataclass(frozen=True)
class SourceTree:
    """A tree that the build finds by a variable, or inside of the project's own source.

    Attributes:
        archive: what is in it.
        variable: that names it in the build; empty for one that goes into the project's source.
        to: its place there, where git would have a submodule; empty for one that a variable names.
        strip: whether the archive's top directory is left out (1) or kept (0).
        directory: below the tree, that the variable names; empty for the tree itself.
        submodules: what an archive made by git leaves out: each place in the tree, and the archive that belongs there.
        unpack: whether it is unpacked; a file that is not stays as it is, and the variable names it.
    """

    archive: Archive
    variable: str
    to: str = ""
    strip: int = 1
    directory: str = ""
    submodules: tuple[tuple[str, Archive], ...] = ()
    unpack: bool = True

    def archives(self) -> Iterator[Archive]:
        yield self.archive
        yield from (archive for _, archive in self.submodules)


@dataclass(frozen=True)
class OwnSource:
    """A project's own source as an archive, such as git makes of a commit, in the place of an sdist of its index.

    Attributes:
        tree: what is in it; its directory is the one with ``pyproject.toml`` or ``setup.py``.
        dependencies: what the project needs to run, where the archive does not say it; None where it does.
    """

    tree: SourceTree
    dependencies: tuple[Requirement, ...] | None = None


@dataclass(frozen=True)
class BuildSettings:
    """What the build of one project needs.

    Attributes:
        requires: further build requirements (setup.py files often ask for more than they declare).
        environment: variables set in the build, sorted by name.
        own: the project's own source; None for the sdist of its index.
        sources: trees that the build finds by a variable.
        patches: changes to the project's own source, in order; each a path as it is written, and the file.
        limit_minutes: that the build may take; 0 for any.
        limit_gib: of memory that all its processes may hold; 0 for any.
        job_gib: of memory that one job of the compiler is expected to take; 0 for what is usual.
    """

    requires: tuple[Requirement, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    own: OwnSource | None = None
    sources: tuple[SourceTree, ...] = ()
    patches: tuple[tuple[str, Path], ...] = ()
    limit_minutes: int = 0
    limit_gib: int = 0
    job_gib: int = 0

    def downloads(self) -> Iterator[Download]:
        """The archives of its trees, and the submodules of its own source, whose archive stands where an sdist would."""
        own = [self.own.tree.archive] if self.own else []
        yield from (archive.download() for archive in self.archives() if archive not in own)

    def archives(self) -> Iterator[Archive]:
        """Every archive that is pinned here."""
        trees = (*((self.own.tree,) if self.own else ()), *self.sources)
        yield from (archive for tree in trees for archive in tree.archives())


def read_settings(
    fields: Fields, directory: Path, requirement: Callable[[str], Requirement]
) -> dict[ProjectName, BuildSettings]:
    """All of ``[build]``; its paths begin at ``directory``, ``requirement`` reads one. Raises InvalidDocument with the path."""
    settings = {}
    for key in fields.left():
        table = fields.table(key)
        table.only(*_KEYS)
        environment = _environment(table.table("environment"))
        sources = _sources(table, directory)
        for name in sorted({one.variable for one in sources} & {name for name, _ in environment}):
            table.fail(f"environment.{name}", "a source tree has this variable already")
        try:
            settings[project_name(key)] = BuildSettings(
                table.all_checked("requires", requirement),
                environment,
                _own(table.table("archive"), directory, requirement) if "archive" in table else None,
                sources,
                tuple((text, directory / text) for text in table.all_checked("patches", relative_path)),
                table.number("limit_minutes", 0),
                table.number("limit_gib", 0),
                table.number("job_gib", 0),
            )
        except ValueError as exc:
            fields.fail(key, str(exc))
        table.end()
    return settings


def _environment(variables: Fields) -> tuple[tuple[str, str], ...]:
    environment = tuple(sorted((name, variables.text(name)) for name in variables.left()))
    for name, value in environment:
        if not _VARIABLE.fullmatch(name) or "\0" in value:
            variables.fail(name, "expected the name of an environment variable")
    return environment


def _sources(fields: Fields, directory: Path) -> tuple[SourceTree, ...]:
    trees: dict[str, SourceTree] = {}
    for table in fields.tables("source"):
        table.only("url", "path", "sha256", "variable", "to", "strip", "directory", "submodules", "unpack")
        archive = _archive(table, directory)
        if ("variable" in table) == ("to" in table):
            table.fail("variable", "expected one of variable, that names the tree, and to, its place in the source")
        key = "variable" if "variable" in table else "to"
        named = table.checked(key, _variable if key == "variable" else _place)
        if named in trees:
            table.fail(key, f"{named} is another tree's already")
        variable, to = (named, "") if key == "variable" else ("", named)
        if table.flag("unpack", True):
            trees[named] = _tree(table, archive, variable, to, directory)
        else:
            trees[named] = _file(table, archive, variable)
        table.end()
    return tuple(trees[named] for named in sorted(trees))


def _own(fields: Fields, directory: Path, requirement: Callable[[str], Requirement]) -> OwnSource:
    fields.only("url", "path", "sha256", "strip", "directory", "submodules", "dependencies")
    tree = _tree(fields, _archive(fields, directory), "", "", directory)
    own = OwnSource(tree, fields.all_checked("dependencies", requirement) if "dependencies" in fields else None)
    fields.end()
    return own


def _tree(fields: Fields, archive: Archive, variable: str, to: str, directory: Path) -> SourceTree:
    strip = fields.number("strip", 1)
    if strip > 1:
        fields.fail("strip", "expected 1, to leave out the archive's top directory, or 0; a directory below: directory")
    within = fields.checked("directory", _place) if "directory" in fields else ""
    return SourceTree(archive, variable, to, strip, within, _submodules(fields, directory))


def _file(fields: Fields, archive: Archive, variable: str) -> SourceTree:
    for key in ("to", "strip", "directory", "submodules"):
        if key in fields:
            fields.fail(key, "with unpack = false the file stays as it is, and variable names it")
    return SourceTree(archive, variable, unpack=False)


def _submodules(fields: Fields, directory: Path) -> tuple[tuple[str, Archive], ...]:
    found: dict[str, Archive] = {}
    for table in fields.tables("submodules"):
        table.only("to", "url", "path", "sha256")
        to = table.checked("to", _place)
        if to in found:
            table.fail("to", f"{to} is another submodule's already")
        found[to] = _archive(table, directory)
        table.end()
    return tuple(sorted(found.items()))  # a submodule comes before what lies in it


def _archive(fields: Fields, directory: Path) -> Archive:
    source, url = source_of(fields, directory)
    archive = Archive(source, url, digest_of(fields, url))
    try:
        archive.download()
    except ValueError as exc:
        fields.fail("url" if source == url else "path", str(exc))
    return archive


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise ValueError(f"expected the name of an environment variable, got {text!r}")
    return text


def _place(text: str) -> str:
    if not _PLACE.fullmatch(text) or posixpath.normpath(text) != text or ".." in text.split("/"):
        raise ValueError(f"expected a path inside of the tree, got {text!r}")
    return text

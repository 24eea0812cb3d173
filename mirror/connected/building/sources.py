"""The source trees that a build asks for: unpacked beside the project's own source, or into it.

``mirror.connected.stack.buildsettings`` reads the wishes, ``mirror.connected.fetching.fetch`` brings the archives.

Rules: an archive is unpacked as an sdist is, every member judged; a submodule goes where nothing is, or into the empty folder
that git leaves in its place, never through a link; the directory that a variable names is there, or the build does not begin; a
file that is not to be unpacked lies alone in a directory, under its own name.

Example::

    variables = unpack_trees(request.trees, room.path / "sources", source.root)
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.connected.sdists.sdist import InvalidSource
from mirror.connected.sdists.source import Source, unpack_source
from mirror.connected.stack.buildsettings import OwnSource, SourceTree
from mirror.core.names import Sha256Hex


@dataclass(frozen=True)
class Tree:
    """One tree; ``paths`` are the fetched archives by digest."""

    wish: SourceTree
    paths: Mapping[Sha256Hex, Path]

    def describe(self) -> dict[str, Any]:
        """All of it that the wheel depends on."""
        wish = self.wish
        return {
            "variable": wish.variable,
            "to": wish.to,
            "filename": wish.archive.filename,
            "sha256": wish.archive.sha256,
            "strip": wish.strip,
            "directory": wish.directory,
            "submodules": [
                {"to": to, "filename": archive.filename, "sha256": archive.sha256} for to, archive in wish.submodules
            ],
            **({} if wish.unpack else {"unpack": False}),
        }


@dataclass(frozen=True)
class OwnTree:
    """A project's own source, with its archives here. Attributes as those of ``Tree``."""

    wish: OwnSource
    paths: Mapping[Sha256Hex, Path]

    def describe(self) -> dict[str, Any]:
        """All of it that the wheel depends on, beside the bytes of the archive itself."""
        said = Tree(self.wish.tree, self.paths).describe()
        return {key: said[key] for key in ("strip", "directory", "submodules")}

    def unpack(self, directory: Path) -> tuple[Source, Path]:
        """Unpack below a directory of ours: the whole, and the directory in it that is built.

        Raises:
            InvalidSource: as ``unpack_trees``.
            OSError: the disk refuses.
        """
        return _unpack(Tree(self.wish.tree, self.paths), directory)


def unpack_trees(trees: Iterable[Tree], directory: Path, source: Path) -> dict[str, str]:
    """Unpack each below a directory of ours or inside of the project's source, and give the variables that name them.

    Raises:
        InvalidSource: an archive breaks a rule, or is not what the wish says.
        OSError: the disk refuses.
    """
    variables = {}
    for tree in trees:
        wish = tree.wish
        if wish.to:
            _check_place(source, wish.to, wish.archive.filename)
        root = source / wish.to if wish.to else directory / wish.variable
        named = _unpack(tree, root)[1] if wish.unpack else _placed(tree, root)
        if wish.variable:
            variables[wish.variable] = str(named)
    return variables


def _placed(tree: Tree, root: Path) -> Path:
    root.mkdir()
    copied = shutil.copyfile(tree.paths[tree.wish.archive.sha256], root / tree.wish.archive.filename)
    copied.chmod(0o644)
    return copied


def _unpack(tree: Tree, root: Path) -> tuple[Source, Path]:
    wish = tree.wish
    source = unpack_source(tree.paths[wish.archive.sha256], root, wish.strip)
    for to, archive in wish.submodules:
        _check_place(root, to, archive.filename)
        unpack_source(tree.paths[archive.sha256], root / to)
    named = root / wish.directory
    if not named.is_dir():
        there = ", ".join(sorted(one.name for one in root.iterdir())[:12])
        problem = (
            f"{wish.variable or wish.to or 'the build'} needs its directory {wish.directory}, which it does not have (it has "
            f"{there})"
        )
        raise InvalidSource(wish.archive.filename, problem)
    return source, named


def _check_place(root: Path, to: str, filename: str) -> None:
    """Nothing is there, or an empty directory, and no link on the way. Raises InvalidSource."""
    place = root
    for part in to.split("/"):
        place /= part
        if place.is_symlink():
            raise InvalidSource(filename, f"it cannot go to {to}, which is a link or lies below one")
        if place.exists() and not place.is_dir():
            raise InvalidSource(filename, f"it cannot go to {to}, where a file is")
    if place.is_dir() and any(place.iterdir()):
        raise InvalidSource(filename, f"it cannot go to {to}, where something is already: nothing is missing there")

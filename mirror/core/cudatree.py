"""The tree that packages make together, decided from their signed headers alone.

Writing it is ``mirror.core.toolchain``'s. Nothing here opens a file.

Rules:
(1) only what lies below ``/usr/local/cuda-X.Y`` of the target's CUDA release is part of the tree; the rest is listed;
(2) a path is one thing only, and nothing lies below a link;
(3) links are relative and stay inside; devices, sockets and the like are refused;
(4) two packages may bring the same path only with the same content.

Example::

    plan_tree(rpms, target).files["bin/nvcc"]
"""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mirror.core.errors import MirrorError
from mirror.core.rpm import GHOST, Rpm, RpmFile
from mirror.core.target import Target


class BadToolchain(MirrorError):
    """Packages, each good in itself, do not make one tree.

    Attributes:
        problem: what does not fit.
    """

    ref = "toolchain-refused"
    exit_code = 49
    hint = "Let [rpms].packages name packages of one CUDA release, and lock them again."

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the RPM packages do not make one CUDA toolchain: {self.problem}"


@dataclass(frozen=True)
class Tree:
    """What is going to be written, by path below the root.

    Attributes:
        files: regular files, with the package that brings each.
        links: symbolic links, with their targets and packages.
        directories: every directory needed, parents first.
        dropped: paths for other places.
    """

    files: Mapping[str, tuple[RpmFile, Rpm]]
    links: Mapping[str, tuple[str, Rpm]]
    directories: tuple[str, ...]
    dropped: tuple[str, ...]

    def owner(self, path: str) -> Rpm:
        return self.files[path][1] if path in self.files else self.links[path][1]


def plan_tree(rpms: Sequence[Rpm], target: Target) -> Tree:
    """Decide what goes where, from the headers alone.

    Raises:
        BadToolchain: for what the rules refuse, and when nothing is for this CUDA release.
    """
    home = f"/usr/local/cuda-{target.cuda}"
    files: dict[str, tuple[RpmFile, Rpm]] = {}
    links: dict[str, tuple[str, Rpm]] = {}
    directories: set[str] = set()
    dropped: list[str] = []
    for rpm in rpms:
        for file in rpm.files:
            path = _below(file.path, home)
            if file.flags & GHOST or (path is None and stat.S_ISDIR(file.mode)):
                continue
            if path is None:
                dropped.append(file.path)
            elif stat.S_ISDIR(file.mode):
                directories.add(path)
            elif not path:
                raise BadToolchain(f"{rpm.nevra} holds {file.path} as something other than a directory")
            elif stat.S_ISREG(file.mode):
                before, owner = files.setdefault(path, (file, rpm))
                if (before.digest, before.size) != (file.digest, file.size):
                    raise BadToolchain(f"{owner.nevra} and {rpm.nevra} bring different contents of {path}")
            elif stat.S_ISLNK(file.mode):
                link = _inner_link(path, file.link, home, rpm)
                there, owner = links.setdefault(path, (link, rpm))
                if there != link:
                    raise BadToolchain(f"{owner.nevra} lets {path} lead to {there}, {rpm.nevra} to {link}")
            else:
                raise BadToolchain(f"{rpm.nevra} holds {path}, which is no file, link or directory")
    if not files:
        raise BadToolchain(f"none of {len(rpms)} packages has a file below {home}")
    tree = Tree(files, links, _with_parents({*files, *links}, directories), tuple(sorted(dropped)))
    _check_kinds(tree)
    return tree


def _below(path: str, home: str) -> str | None:
    """The part of a path below the CUDA home, empty for the home itself; None for other places."""
    if path == home:
        return ""
    return path[len(home) + 1 :] if path.startswith(f"{home}/") else None


def _inner_link(path: str, link: str, home: str, rpm: Rpm) -> str:
    """A link's target, made relative.

    A target climbs first and then descends: ``../lib``, never ``lib/../..``. The directories above a link are real ones
    (``_check_kinds``), so climbing ends where it seems to, and descending meets only links that obey the same rule.
    """
    inner = _below(link, home)
    target = link if inner is None else posixpath.relpath(inner or ".", posixpath.dirname(path) or ".")
    parts = target.split("/")
    climbs = parts.count("..")
    if (
        not target.isprintable()
        or not target
        or target.startswith("/")
        or parts[:climbs] != [".."] * climbs
        or climbs > path.count("/")
    ):
        raise BadToolchain(f"{rpm.nevra} lets {path} lead out of the tree, to {link!r}")
    return target


def _with_parents(paths: Iterable[str], directories: Iterable[str]) -> tuple[str, ...]:
    found = {directory for directory in directories if directory}
    for path in (*paths, *found):
        while path := posixpath.dirname(path):
            found.add(path)
    return tuple(sorted(found))


def _check_kinds(tree: Tree) -> None:
    """A path is one thing only; above all, nothing lies below a link."""
    for path in tree.directories:
        if path in tree.files or path in tree.links:
            raise BadToolchain(f"{tree.owner(path).nevra} brings {path}, which another package has as a directory")
    for path in tree.links:
        if path in tree.files:
            names = f"{tree.files[path][1].nevra} and {tree.links[path][1].nevra}"
            raise BadToolchain(f"{names} bring {path} as a file and as a link")

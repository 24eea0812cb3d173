"""The tree that packages make together, decided from what they say of their files.

``mirror.core.toolkit.toolchain`` writes it. Nothing here opens a file.

Rules:
(1) only what lies below ``/usr/local/cuda-X.Y`` of the target's CUDA release is part of the tree; the rest is listed;
(2) a path is one thing only, and nothing lies below a link;
(3) links are relative, stay inside and do not lead round; devices, sockets and the like are refused;
(4) two packages may bring the same path only with the same content;
(5) every package is for the target's architecture, or for any.

Example::

    plan_tree(packages, target).files["bin/nvcc"]
"""

from __future__ import annotations

import itertools
import posixpath
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mirror.core.errors import MirrorError
from mirror.core.target import Target
from mirror.core.toolkit.package import NO_ARCH, Package, PackageFile

_MAX_HOPS = 40
"""As many links as Linux follows for one path."""


class BadToolchain(MirrorError):
    """Packages, each good in itself, do not make one tree."""

    ref = "toolchain-refused"
    exit_code = 49
    hint = "Let [rpms] or [redist] name components of one CUDA release, and lock them again."
    message = "the packages do not make one CUDA toolchain: {problem}"

    problem: str


class ForeignPackage(MirrorError):
    """A package is for another architecture than the target.

    Attributes:
        packages: name-version-release.arch of each.
        arch: the target's, as ``uname -m`` prints it.
    """

    ref = "package-architecture"
    exit_code = 102
    hint = (
        "Let [rpms].repository name NVIDIA's repository for the target's architecture (x86_64, or sbsa for aarch64 servers), "
        "and lock again."
    )
    message = "{packages:first} is for another architecture; the target is {arch}"

    packages: tuple[str, ...]
    arch: str


@dataclass(frozen=True)
class Tree:
    """What is going to be written, by path below the root.

    Attributes:
        files: regular files, with the package that brings each.
        links: symbolic links, with their targets and packages.
        directories: every directory needed, parents first.
        dropped: paths for other places.
        tamed: paths whose modes no installed toolchain needs, with those modes: ``"bin/x (mode 4755)"``.
    """

    files: Mapping[str, tuple[PackageFile, Package]]
    links: Mapping[str, tuple[str, Package]]
    directories: tuple[str, ...]
    dropped: tuple[str, ...]
    tamed: tuple[str, ...]

    def owner(self, path: str) -> Package:
        return self.files[path][1] if path in self.files else self.links[path][1]


def plan_tree(packages: Sequence[Package], target: Target) -> Tree:
    """Decide what goes where, before anything is written.

    Raises:
        ForeignPackage: when some are for another architecture.
        BadToolchain: for what the rules refuse, and when nothing is for this CUDA release.
    """
    foreign = tuple(package.nevra for package in packages if package.arch not in (target.arch, NO_ARCH))
    if foreign:
        raise ForeignPackage(foreign, target.arch)
    home = f"/usr/local/cuda-{target.cuda}"
    files: dict[str, tuple[PackageFile, Package]] = {}
    links: dict[str, tuple[str, Package]] = {}
    directories: set[str] = set()
    dropped: list[str] = []
    tamed: set[str] = set()
    for package in packages:
        for file in package.files:
            path = _below(file.path, home)
            if file.ghost or (path is None and stat.S_ISDIR(file.mode)):
                continue
            if path is None:
                dropped.append(file.path)
                continue
            if not stat.S_ISLNK(file.mode) and _is_odd(file.mode):
                tamed.add(f"{path} (mode {stat.S_IMODE(file.mode):04o})")
            if stat.S_ISDIR(file.mode):
                directories.add(path)
            elif not path:
                raise BadToolchain(f"{package.nevra} holds {file.path} as something other than a directory")
            elif stat.S_ISREG(file.mode):
                before, owner = files.setdefault(path, (file, package))
                if (before.digest, before.size) != (file.digest, file.size):
                    raise BadToolchain(f"{owner.nevra} and {package.nevra} bring different contents of {path}")
            elif stat.S_ISLNK(file.mode):
                link = _inner_link(path, file.link, home, package)
                there, owner = links.setdefault(path, (link, package))
                if there != link:
                    raise BadToolchain(f"{owner.nevra} lets {path} lead to {there}, {package.nevra} to {link}")
            else:
                raise BadToolchain(f"{package.nevra} holds {path}, which is no file, link or directory")
    if not files:
        raise BadToolchain(f"none of {len(packages)} packages has a file below {home}")
    directory_list = _with_parents({*files, *links}, directories)
    tree = Tree(files, links, directory_list, tuple(sorted({*dropped})), tuple(sorted(tamed)))
    _check_kinds(tree)
    for path in sorted(links):
        _check_end(tree, path)
    return tree


def _is_odd(mode: int) -> bool:
    """Set-id, writable for everybody, or not to be read by its owner: written as 0755 or 0644 all the same, but told."""
    return bool(mode & 0o6002) or not mode & 0o400


def _below(path: str, home: str) -> str | None:
    """The part of a path below the CUDA home, empty for the home itself; None for other places."""
    if path == home:
        return ""
    return path[len(home) + 1 :] if path.startswith(f"{home}/") else None


def _inner_link(path: str, link: str, home: str, package: Package) -> str:
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
        raise BadToolchain(f"{package.nevra} lets {path} lead out of the tree, to {link!r}")
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


def _check_end(tree: Tree, link: str) -> None:
    """Following a link comes to an end, wherever that is. What the kernel gives up on is refused before it is written."""
    path = link
    for _ in range(_MAX_HOPS):
        parents = itertools.accumulate(path.split("/"), "{}/{}".format)  # a, a/b, a/b/c
        hop = next((part for part in parents if part in tree.links), None)
        if hop is None:
            return
        rest = path[len(hop) + 1 :]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(hop), tree.links[hop][0], rest))
    raise BadToolchain(f"{tree.owner(link).nevra} lets {link} lead round, by way of {path}")

"""A CUDA toolchain out of packages, without rpm and without root.

A package's own kind (``mirror.core.toolkit.rpmsource``) verifies who made it and what it holds, ``mirror.core.toolkit.tree``
plans what goes where, ``mirror.core.cuda.links`` knows the links that scriptlets would have made. ``usr/local/cuda-X.Y/<rest>``
of a package becomes ``<root>/<rest>``; the tree can be moved as a whole, for nvcc finds its parts from where it lies (CUDA.md
A5).

Rules:
(1) every package is judged before anything is written, and the whole tree is planned from what was judged;
(2) what is then read again is held to that, file by file, by the package itself;
(3) the tree is new: files are created, never opened; links come last, so nothing is ever written through one; modes are
    0755 and 0644; when anything fails, the tree is removed;
(4) scriptlets are never run, files for other places (``/etc``, ``/usr/share``) not written: both are listed.

Example::

    toolchain = unpack_toolchain(trusted_rpms(paths, keys=armored, fingerprints=pinned), root, target)
    toolchain.packages[0].nevra     # "cuda-nvcc-13-0-13.0.88-1.x86_64"
"""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mirror.core.cuda import links as cudalinks
from mirror.core.cuda.components import bringer
from mirror.core.errors import writing
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.system.crew import Crew, may_go_on
from mirror.core.target import Target
from mirror.core.toolkit.package import Content, Package, PackageSource
from mirror.core.toolkit.tree import BadToolchain, ForeignPackage, Tree, plan_tree

__all__ = ["BadToolchain", "Dangling", "ForeignPackage", "Toolchain", "Unpacked", "unpack_toolchain"]


@dataclass(frozen=True)
class Unpacked:
    """A package and what it brought.

    Attributes:
        nevra: name-epoch:version-release.arch.
        sha256: of its file.
        files: paths below ``home`` of its files and links; of a path that two packages bring, the first has it.
    """

    nevra: str
    sha256: Sha256Hex
    files: tuple[str, ...]


@dataclass(frozen=True)
class Dangling:
    """A link that leads nowhere.

    Attributes:
        path: of the link, below ``home``.
        target: as it is written.
        owner: name of the package that brought it.
        package: name of the package that would fill it; empty when that is not known.
    """

    path: str
    target: str
    owner: str
    package: str = ""

    def __str__(self) -> str:
        filled = f"; {self.package} brings it" if self.package else ""
        return f"{self.path} -> {self.target} (of {self.owner}{filled})"


@dataclass(frozen=True)
class Toolchain:
    """An unpacked tree.

    Attributes:
        packages: what each brought, in the order given: paths below the CUDA home.
        made: links that were made here, as ``"path -> target"``.
        dangling: links that lead nowhere.
        dropped: paths that were not written, being for other places than the CUDA home.
        scriptlets: what was not run, as ``"package: kinds"``.
        tamed: what had modes that were not kept, as ``"path (mode 4755)"``.
    """

    packages: tuple[Unpacked, ...]
    made: tuple[str, ...] = ()
    dangling: tuple[Dangling, ...] = ()
    dropped: tuple[str, ...] = ()
    scriptlets: tuple[str, ...] = ()
    tamed: tuple[str, ...] = ()


def unpack_toolchain(
    sources: Iterable[PackageSource], root: Path, target: Target, *, jobs: int = 0, progress: Progress = SILENT
) -> Toolchain:
    """Unpack packages into a new tree.

    Args:
        sources: the packages.
        root: the tree's top, which must not exist; it is removed again when anything fails.
        target: its CUDA release says which ``/usr/local/cuda-X.Y`` is meant.
        jobs: how many packages are read at once; 0 for one per processor.
        progress: told of the bytes written.

    Raises:
        MirrorError: what the packages' ``judge`` and ``contents`` raise; ``ForeignPackage`` and ``BadToolchain`` when they do
            not fit together; ``Unwritable`` when the tree cannot be written.
    """
    threads = jobs or os.cpu_count()
    with Crew(threads) as crew:
        packages = list(crew.map(lambda source: source.judge(), sources))
    plan = plan_tree(packages, target)
    with _removed_on_failure(root):
        with progress.task("toolchain", sum(file.size for file, _ in plan.files.values())) as advance:
            _Writer(plan, root, advance).write(packages, threads)
        made = cudalinks.complete(root, target.cuda_targets)
        lost = tuple(_lost(plan, path, leads_to, target) for path, leads_to in cudalinks.dangling(root))
    return Toolchain(
        packages=tuple(_brought(plan, packages)),
        made=made,
        dangling=lost,
        dropped=plan.dropped,
        scriptlets=tuple(
            f"{package.name}: {', '.join(package.scriptlets)}" for package in packages if package.scriptlets
        ),
        tamed=plan.tamed,
    )


def _brought(plan: Tree, packages: Sequence[Package]) -> Iterator[Unpacked]:
    files: dict[int, list[str]] = {id(package): [] for package in packages}
    for path in sorted({*plan.files, *plan.links}):
        files[id(plan.owner(path))].append(path)
    for package in packages:
        yield Unpacked(package.nevra, package.sha256, tuple(files[id(package)]))


@contextmanager
def _removed_on_failure(root: Path) -> Iterator[None]:
    with writing(root, below=True):
        root.mkdir()
        try:
            yield
        except BaseException:
            shutil.rmtree(root, ignore_errors=True)
            raise


class _Writer:
    """Writes a planned tree, several packages at once; the first failure stops all."""

    def __init__(self, plan: Tree, root: Path, advance: Advance) -> None:
        self._plan, self._root, self._advance = plan, root, advance

    def write(self, packages: Sequence[Package], threads: int | None) -> None:
        # Explicit modes, whatever the umask: the tree is for other users of the host too (rule 3).
        for directory in ("", *self._plan.directories):
            path = self._root / directory
            path.mkdir(exist_ok=not directory)
            path.chmod(0o755)
        # The largest first: one begun last would be waited for alone.
        order = sorted(packages, key=lambda package: -sum(file.size for file in package.files))
        with Crew(threads) as crew:
            for future in as_completed([crew.submit(self._unpack, package) for package in order]):
                future.result()
        for link, (target, _) in sorted(self._plan.links.items()):
            (self._root / link).symlink_to(target)

    def _unpack(self, package: Package) -> None:
        """Write the files that this package wins; read the others to their end, for their digests."""
        mine = {file.path: self._root / path for path, (file, owner) in self._plan.files.items() if owner is package}
        for content in package.contents():
            names = (content.file, *content.also)
            self._create([mine[file.path] for file in names if file.path in mine], content)

    def _create(self, paths: Sequence[Path], content: Content) -> None:
        """Write a file under its first name and link the others to it; no names at all is a file that is only judged."""
        if not paths:
            for _ in content.pieces:
                pass
            return
        mode = 0o755 if content.file.mode & 0o111 else 0o644
        descriptor = os.open(paths[0], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with open(descriptor, "wb") as out:
            for piece in content.pieces:
                may_go_on()
                out.write(piece)
                self._advance(len(piece))
            os.fchmod(out.fileno(), mode)
        for path in paths[1:]:
            os.link(paths[0], path)


def _lost(plan: Tree, path: str, leads_to: str, target: Target) -> Dangling:
    """A dangling link, and who would fill it: the known bringer of such a file, else the package without ``-devel``."""
    owner = plan.links[path][1].name
    library = posixpath.basename(leads_to)
    known = bringer(library, target.cuda) or owner.replace("-devel", "", 1)
    return Dangling(path, leads_to, owner, known if known != owner else "")

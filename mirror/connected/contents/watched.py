"""Looking inside a toolchain's packages while somebody else reads them.

The builder unpacks the toolchain of a stack to compile with it; what ``mirror.connected.contents.packagecontents`` finds in the
packages is found on the way, and remembered as ``mirror.connected.contents.inspection`` would have remembered it: no package is
decompressed for the look alone.

Rules: whoever reads gets the same bytes and the same errors; what was found counts only when the package was read to its end,
and nothing in it was missed.

Example::

    sources = [watched(source, path, digest, store) for digest, source in found.items()]
    unpack_toolchain(sources, root, target)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mirror.connected.contents.inside import Contents
from mirror.connected.contents.inspection import Task, remember
from mirror.connected.contents.packagecontents import Reading, of_package, of_rpm
from mirror.connected.fetching.store import Store
from mirror.core.names import Sha256Hex
from mirror.core.toolkit.package import Content, Package, PackageFile, PackageSource
from mirror.core.toolkit.redist import RedistSource
from mirror.core.toolkit.rpmsource import RpmPackage, TrustedRpm


def watched(source: PackageSource, path: Path, sha256: Sha256Hex, store: Store) -> PackageSource:
    """The source, which remembers in the store what is inside as its files are read.

    Args:
        path: the package's file.
        sha256: of it, checked before.
    """
    if isinstance(source, TrustedRpm):
        return _Source(source, Task.of_rpm("", path, sha256, source), store)
    if isinstance(source, RedistSource):
        return _Source(source, Task.of_archive("", path, source), store)
    return source


@dataclass(frozen=True)
class _Source:
    source: PackageSource
    task: Task
    store: Store

    def judge(self) -> Package:
        return _Package(self.source.judge(), self._remember)

    def _remember(self, package: Package, found: Contents) -> None:
        whole = of_package(package, found)
        if isinstance(package, RpmPackage):
            whole = of_rpm(package, self.task.source, whole)
        remember(self.task, whole, self.store)


@dataclass(frozen=True)
class _Package:
    package: Package
    tell: Callable[[Package, Contents], None]

    @property
    def name(self) -> str:
        return self.package.name

    @property
    def nevra(self) -> str:
        return self.package.nevra

    @property
    def arch(self) -> str:
        return self.package.arch

    @property
    def sha256(self) -> Sha256Hex:
        return self.package.sha256

    @property
    def files(self) -> tuple[PackageFile, ...]:
        return self.package.files

    @property
    def scriptlets(self) -> tuple[str, ...]:
        return self.package.scriptlets

    def contents(self) -> Iterator[Content]:
        reading = Reading()
        for one in self.package.contents():
            yield Content(one.file, one.also, reading.through(one.file, one.pieces))
        if not reading.missed:
            self.tell(self.package, reading.contents())

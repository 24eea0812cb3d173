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

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mirror.connected.contents.inspection import Task, remember
from mirror.connected.contents.packagecontents import Reading, of_package, of_rpm
from mirror.connected.fetching.store import Store
from mirror.core.names import Sha256Hex
from mirror.core.toolkit.package import Content, Package, PackageSource
from mirror.core.toolkit.redist import RedistSource
from mirror.core.toolkit.rpmsource import TrustedRpm


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
        package = self.source.judge()
        return replace(package, contents=partial(self._contents, package))

    def _contents(self, package: Package) -> Iterator[Content]:
        reading = Reading()
        for one in package.contents():
            yield Content(one.file, one.also, reading.through(one.file, one.pieces))
        if not reading.missed:
            found = of_package(package, reading.contents())
            remember(self.task, of_rpm(package, self.task.source, found) if package.signer else found, self.store)

"""What the kinds of the CUDA toolchain's packages share: both are pinned by a ``ToolchainLock``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mirror.connected.kinds.facet import Facet, Gathered, Planned, Wanted
from mirror.connected.planning.plan import Part
from mirror.core.bundle.manifest import Artifact
from mirror.core.names import Sha256Hex
from mirror.core.toolkit.fileindex import FileIndex
from mirror.core.toolkit.package import PackageSource


class Packages(Facet):
    """One kind of packages."""

    def plan(self, wanted: Wanted) -> Planned:
        """The packages that the lock pins, from the copy that was named where one was."""
        lock, wishes = wanted.locks.toolchain, wanted.wishes
        if lock is None or lock.KIND is not self.KIND or wishes.goes_without_toolchain:
            return Planned()
        downloads, sources = lock.downloads(wishes.toolchain_repo or wanted.locks.copy or None), lock.downloads(None)
        return Planned(
            tuple(
                Part(self.KIND, pin.name, pin.shown_version, item, pin.installed_size, pin.nevra, source.shown_url)
                for pin, item, source in zip(lock.pins, downloads, sources, strict=True)
            )
        )

    def sources(self, gathered: Gathered) -> Iterator[tuple[Artifact, Path, PackageSource]]:
        """Those that are files here: each artifact, its file, and what it is unpacked from."""
        files = gathered.files(self.KIND)
        packages = _packages(gathered) if files else {}
        return ((artifact, path, packages[artifact.sha256]) for artifact, path in files)


def index_of(gathered: Gathered) -> FileIndex:
    """Which package brings which file, by their own headers: what is known when no repository told."""
    target = gathered.locks.target
    return FileIndex.of_packages([one.judge() for one in _packages(gathered).values()], target.cuda, target.arch)


def _packages(gathered: Gathered) -> Mapping[Sha256Hex, PackageSource]:
    assert gathered.locks.toolchain is not None, "there are packages"
    return gathered.locks.toolchain.sources(gathered.paths, gathered.locks.target)

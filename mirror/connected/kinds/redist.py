"""NVIDIA's component archives, on the connected side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mirror.connected.contents.inspection import Task
from mirror.connected.kinds.facet import Gathered
from mirror.connected.kinds.packages import Packages, index_of
from mirror.connected.packing import meta
from mirror.connected.planning.plan import Part
from mirror.connected.toolchain.redistlock import RedistLock
from mirror.core.kinds import REDIST
from mirror.core.target import Target
from mirror.core.toolkit.fileindex import BUNDLED
from mirror.core.toolkit.redist import RedistSource


class Archives(Packages):
    KIND = REDIST

    def unpacked_size(self, part: Part, path: Path, target: Target) -> int:
        """As the closed side will judge the archive."""
        digest = part.download.sha256
        return RedistSource.of_file(path, digest, part.name, part.version, target).judge().unpacked_size

    def papers(self, gathered: Gathered) -> Mapping[str, bytes]:
        """The lock for the closed side, and which component brings which file."""
        lock, archives = gathered.locks.toolchain, gathered.assembly.of(self.KIND)
        if not archives or not isinstance(lock, RedistLock):
            return {}
        listed = meta.redist_json(lock.manifest, lock.sha256, lock.release, archives)
        return {"meta/redist.json": listed, BUNDLED: index_of(gathered).encode()}

    def tasks(self, gathered: Gathered) -> Iterable[Task]:
        for artifact, path, archive in self.sources(gathered):
            assert isinstance(archive, RedistSource), "it is pinned by a RedistLock"
            yield Task.of_archive(artifact.path, path, archive)

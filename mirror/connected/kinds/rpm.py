"""RPMs, on the connected side: the toolchain as its vendor signed it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from packageurl import PackageURL

from mirror.connected.contents.inspection import Task
from mirror.connected.kinds.facet import Gathered
from mirror.connected.kinds.packages import Packages, index_of
from mirror.connected.packing import meta
from mirror.connected.planning.plan import Part
from mirror.connected.stack.stack import Stack
from mirror.connected.toolchain.rpmlock import RpmLock
from mirror.core.bundle.manifest import Artifact
from mirror.core.kinds import RPM
from mirror.core.toolkit.fileindex import BUNDLED
from mirror.core.toolkit.rpmsource import TrustedRpm


class Rpms(Packages):
    KIND = RPM

    def papers(self, gathered: Gathered) -> Mapping[str, bytes]:
        """The lock for the closed side, and which RPM brings which file."""
        lock, rpms = gathered.locks.toolchain, gathered.assembly.of(self.KIND)
        if not rpms or not isinstance(lock, RpmLock):
            return {}
        nevras = {part.download.sha256: part.nevra for part in gathered.plan.of(self.KIND)}
        listed = meta.rpms_json(lock.fingerprints, lock.key, [(one, nevras[one.sha256]) for one in rpms])
        return {"meta/rpms.json": listed, BUNDLED: (gathered.locks.index or index_of(gathered)).encode()}

    def tasks(self, gathered: Gathered) -> Iterable[Task]:
        for artifact, path, rpm in self.sources(gathered):
            assert isinstance(rpm, TrustedRpm), "it is pinned by an RpmLock"
            yield Task.of_rpm(artifact.path, path, artifact.sha256, rpm)

    def purl(self, artifact: Artifact, part: Part | None, stack: Stack | None) -> PackageURL:
        """Without a namespace: it would be the distribution's, and CUDA's packages are in none."""
        version, _, arch = (part.nevra if part else "").removeprefix(f"{artifact.name}-").rpartition(".")
        qualifiers = {"arch": arch, "epoch": version.rpartition(":")[0]}
        return PackageURL(
            "rpm", None, artifact.name, artifact.version, {key: value for key, value in qualifiers.items() if value}
        )

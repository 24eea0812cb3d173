"""NVIDIA's component archives, on the connected side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from packageurl import PackageURL

from mirror.connected.contents.inspection import Task
from mirror.connected.kinds.facet import Gathered, Planned, Wanted, generic, no_findings, no_session, paths_of
from mirror.connected.kinds.packages import index_of, plan_packages, sources
from mirror.connected.packing import meta
from mirror.connected.planning.plan import Part, Plan
from mirror.connected.stack.file import Stack
from mirror.connected.toolchain.redistlock import RedistLock
from mirror.core.bundle.manifest import Artifact
from mirror.core.kinds import REDIST
from mirror.core.names import Sha256Hex
from mirror.core.toolkit.fileindex import BUNDLED
from mirror.core.toolkit.redist import RedistSource

KIND = REDIST
session = no_session
findings = no_findings


def plan(wanted: Wanted) -> Planned:
    return plan_packages(KIND, wanted)


def sizes(plan: Plan, paths: Mapping[Sha256Hex, Path]) -> Mapping[Sha256Hex, int]:
    """As the closed side will judge the archives."""
    return {
        part.download.sha256: RedistSource.of_file(path, part.download.sha256, part.name, part.version, plan.target)
        .judge()
        .unpacked_size
        for part, path in paths_of(plan, KIND, paths)
    }


def papers(gathered: Gathered) -> Mapping[str, bytes]:
    """The lock for the closed side, and which component brings which file."""
    lock, archives = gathered.locks.toolchain, gathered.assembly.of(KIND)
    if not archives or not isinstance(lock, RedistLock):
        return {}
    listed = meta.redist_json(lock.manifest, lock.sha256, lock.release, archives)
    return {"meta/redist.json": listed, BUNDLED: index_of(gathered).encode()}


def tasks(gathered: Gathered) -> Iterable[Task]:
    for artifact, path, archive in sources(gathered, KIND):
        assert isinstance(archive, RedistSource), "it is pinned by a RedistLock"
        yield Task.of_archive(artifact.path, path, archive)


def purl(artifact: Artifact, part: Part | None, stack: Stack | None) -> PackageURL:
    return generic(artifact)

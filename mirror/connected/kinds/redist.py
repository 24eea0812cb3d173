"""NVIDIA's component archives, on the connected side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from packageurl import PackageURL

from mirror.connected.building.builds import redist_sources
from mirror.connected.contents.inspection import Task
from mirror.connected.kinds.facet import Gathered, Planned, Wanted, generic, no_findings
from mirror.connected.packing import meta
from mirror.connected.planning.plan import Part, Plan
from mirror.connected.stack.file import Stack
from mirror.core.bundle.manifest import Artifact
from mirror.core.kinds import REDIST
from mirror.core.names import Sha256Hex
from mirror.core.toolkit.fileindex import BUNDLED, FileIndex

KIND = REDIST
findings = no_findings


def plan(wanted: Wanted) -> Planned:
    lock, wishes = wanted.locks.redist, wanted.wishes
    if lock is None or wishes.goes_without_toolchain:
        return Planned()
    downloads, sources = lock.downloads(wishes.toolchain_repo or wanted.locks.copy or None), lock.downloads(None)
    return Planned(
        tuple(
            Part(KIND, pin.name, pin.version, item, source=source.shown_url)
            for pin, item, source in zip(lock.pins, downloads, sources, strict=True)
        )
    )


def sizes(plan: Plan, paths: Mapping[Sha256Hex, Path]) -> Mapping[Sha256Hex, int]:
    """As the closed side will judge the archives."""
    return {one.sha256: one.judge().unpacked_size for one in redist_sources(plan, paths)}


def papers(gathered: Gathered) -> Mapping[str, bytes]:
    """The lock for the closed side, and which component brings which file."""
    lock, archives = gathered.locks.redist, gathered.assembly.of(KIND)
    if not archives or lock is None:
        return {}
    target = gathered.plan.target
    judged = [one.judge() for one in redist_sources(gathered.plan, gathered.paths)]
    return {
        "meta/redist.json": meta.redist_json(lock.manifest, lock.sha256, lock.release, archives),
        BUNDLED: FileIndex.of_packages(judged, target.cuda, target.arch).encode(),
    }


def tasks(gathered: Gathered) -> Iterable[Task]:
    places = {artifact.sha256: (artifact, source) for artifact, source in gathered.files(KIND)}
    for archive in redist_sources(gathered.plan, gathered.paths):
        artifact, source = places[archive.sha256]
        yield Task.of_archive(artifact.path, source, archive)


def purl(artifact: Artifact, part: Part | None, stack: Stack | None) -> PackageURL:
    return generic(artifact)

"""RPMs, on the connected side: the toolchain as its vendor signed it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from packageurl import PackageURL

from mirror.connected.building.builds import zstd_here
from mirror.connected.contents.inspection import Task
from mirror.connected.kinds.facet import Gathered, Planned, Wanted, no_findings, no_sizes
from mirror.connected.packing import meta
from mirror.connected.planning.plan import Part
from mirror.connected.stack.file import Stack
from mirror.core.bundle.manifest import Artifact
from mirror.core.kinds import RPM
from mirror.core.toolkit.fileindex import BUNDLED, FileIndex
from mirror.core.toolkit.rpmsource import TrustedRpm, trusted_rpms

KIND = RPM
findings = no_findings

sizes = no_sizes


def plan(wanted: Wanted) -> Planned:
    lock, wishes = wanted.locks.rpms, wanted.wishes
    if lock is None or wishes.goes_without_toolchain:
        return Planned()
    downloads, sources = lock.downloads(wishes.toolchain_repo or wanted.locks.copy or None), lock.downloads(None)
    return Planned(
        tuple(
            Part(KIND, pin.name, f"{pin.version}-{pin.release}", item, pin.installed_size, pin.nevra, source.shown_url)
            for pin, item, source in zip(lock.pins, downloads, sources, strict=True)
        )
    )


def papers(gathered: Gathered) -> Mapping[str, bytes]:
    """The lock for the closed side, and which RPM brings which file."""
    lock, rpms = gathered.locks.rpms, gathered.assembly.of(KIND)
    if not rpms or lock is None:
        return {}
    nevras = {part.download.sha256: part.nevra for part in gathered.plan.of(KIND)}
    listed = meta.rpms_json(lock.fingerprints, lock.key, [(one, nevras[one.sha256]) for one in rpms])
    index = gathered.locks.index or _index_of(gathered)
    return {"meta/rpms.json": listed, BUNDLED: index.encode()}


def _index_of(gathered: Gathered) -> FileIndex:
    """Which RPM brings which file, by their own headers: what is known when the repository had no filelists."""
    target = gathered.locks.target
    return FileIndex.of_packages([one.judge() for one in _trusted(gathered)], target.cuda, target.arch)


def _trusted(gathered: Gathered) -> tuple[TrustedRpm, ...]:
    lock = gathered.locks.rpms
    assert lock is not None, "there are RPMs"
    sources = [source for _, source in gathered.files(KIND)]
    return trusted_rpms(sources, keys=lock.key, fingerprints=lock.fingerprints, zstd=zstd_here)


def tasks(gathered: Gathered) -> Iterable[Task]:
    rpms = gathered.files(KIND)
    for (artifact, source), rpm in zip(rpms, _trusted(gathered) if rpms else (), strict=True):
        yield Task.of_rpm(artifact.path, source, artifact.sha256, rpm)


def purl(artifact: Artifact, part: Part | None, stack: Stack | None) -> PackageURL:
    """Without a namespace: it would be the distribution's, and CUDA's packages are in none."""
    version, _, arch = (part.nevra if part else "").removeprefix(f"{artifact.name}-").rpartition(".")
    qualifiers = {"arch": arch, "epoch": version.rpartition(":")[0]}
    return PackageURL(
        "rpm", None, artifact.name, artifact.version, {key: value for key, value in qualifiers.items() if value}
    )

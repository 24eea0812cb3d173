"""The RPM lock, ``NAME.rpms.toml``: every RPM of the toolchain's closure, pinned by name, version, place, size and digest.

``mirror.connected.toolchain.repository`` reads repositories, ``mirror.connected.toolchain.selection`` chooses packages,
``mirror.connected.fetching.fetch`` brings them.

Rules: the lock names the repository of ``NAME.toml``, also when a local copy stood in for it, so that both give the same
lock; it holds the key that signs the RPMs, so that a bundle is made from it without reading the repository again, and from
its pins even when the repository has moved on; equal locks have equal bytes.

Example::

    lock = lock_rpms(wishes, target, location=None, read=read, now=int(time.time()))
    path.write_bytes(lock.encode())
    fetch(RpmLock.load(path).downloads(location=None), store, jobs=8)
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from mirror.connected.fetching.download import clean_url
from mirror.connected.stack.rpmwishes import RpmWishes
from mirror.connected.toolchain.closure import one_release
from mirror.connected.toolchain.coherence import disagreements
from mirror.connected.toolchain.lockfile import ToolchainLock, moved
from mirror.connected.toolchain.repository import Read, open_repository, repository_url
from mirror.connected.toolchain.rpmpackage import RpmPin, toolkit_release
from mirror.connected.toolchain.selection import select
from mirror.core.archives.zstdframe import Decompressor, ModuleDecompressor
from mirror.core.fields import Fields, by
from mirror.core.kinds import RPM, Kind
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Progress
from mirror.core.signatures.fingerprints import openpgp_fingerprint
from mirror.core.target import Target
from mirror.core.toolkit.rpmsource import TrustedRpm, trusted_rpms
from mirror.core.words import grouped


@dataclass(frozen=True)
class RpmLock(ToolchainLock):
    """The contents of ``NAME.rpms.toml``.

    Attributes:
        repository: URL as the stack names it.
        fingerprints: of the pinned keys that signed the metadata; the RPMs must be signed by them too.
        wanted: the names that were closed over, in order.
        key: the armored OpenPGP key with those fingerprints.
    """

    KIND: ClassVar[Kind] = RPM
    TITLE: ClassVar[str] = "RPMs"
    FORMAT: ClassVar[str] = "mirror-rpms/1"
    ENDING: ClassVar[str] = "rpms.toml"
    TABLE: ClassVar[str] = "package"
    LISTS_FILES: ClassVar[bool] = True

    repository: str = field(metadata=by(clean_url))
    fingerprints: tuple[str, ...]
    locked: int
    wanted: tuple[str, ...]
    key: str
    pins: tuple[RpmPin, ...]

    @classmethod
    def pin(cls, fields: Fields) -> RpmPin:
        return fields.fill(RpmPin, size=fields.number("size", minimum=1))

    @classmethod
    def checked(cls, fields: Fields, pins: tuple[RpmPin, ...]) -> dict[str, Any]:
        fingerprints, wanted = fields.all_checked("fingerprints", openpgp_fingerprint), fields.texts("wanted")
        if not fingerprints:
            fields.fail("fingerprints", "expected at least one")
        for name in wanted:
            if name not in [pin.name for pin in pins]:
                fields.fail("wanted", f"{name} has no [[package]]")
        return {"fingerprints": fingerprints, "wanted": wanted}

    def base(self, location: str | None) -> str:
        return repository_url(location or self.repository)

    def sources(self, paths: Mapping[Sha256Hex, Path], target: Target) -> Mapping[Sha256Hex, TrustedRpm]:
        here = [pin.sha256 for pin in self.pins if pin.sha256 in paths]
        rpms = trusted_rpms(
            [paths[digest] for digest in here], keys=self.key, fingerprints=self.fingerprints, zstd=zstd_here
        )
        return dict(zip(here, rpms, strict=True))

    def _differences(self, wishes: RpmWishes, target: Target) -> Iterator[str]:
        if repository_url(wishes.repository) != repository_url(self.repository):
            yield f"the stack names the repository {wishes.repository}, the lock {self.repository}"
        for fingerprint in self.fingerprints:
            if fingerprint not in wishes.fingerprints:
                pinned = " or ".join(map(grouped, wishes.fingerprints))
                yield f"the lock was signed by key {grouped(fingerprint)}, the stack pins {pinned}"
        yield from moved(wishes.packages, self.wanted)
        names = {pin.name for pin in self.pins}
        for name in wishes.needed:
            if name not in names:
                yield f"the stack needs {name}, which is not locked"
        for release in sorted({toolkit_release(name) for name in self.wanted} - {""}):
            yield from disagreements(self.pins, release)
        for other in sorted({pin.arch for pin in self.pins} - {target.arch, "noarch"}):
            yield f"the stack's target is {target.arch}, the locked RPMs are for {other}"


def zstd_here() -> Decompressor:
    """``backports.zstd``, which pyproject.toml asks for below Python 3.14. Raises LookupError where it is not installed."""
    try:
        return ModuleDecompressor(importlib.import_module("backports.zstd"))
    except ImportError as exc:
        raise LookupError("backports.zstd is not installed") from exc


def lock_rpms(
    wishes: RpmWishes,
    target: Target,
    *,
    location: str | None,
    read: Read,
    now: int,
    allowed: Collection[Sha256Hex] | None = None,
    previous: RpmLock | None = None,
    progress: Progress = SILENT,
) -> RpmLock:
    """Pin the closure of what a stack wants.

    Args:
        target: packages of another CUDA release than its own are refused, where it names one.
        location: a copy's URL or directory that stands in for the repository; None for the repository itself.
        read: gives the bytes behind a URL, see ``mirror.connected.toolchain.repository``.
        now: the time of locking, in seconds since 1970 UTC.
        allowed: digests of the only RPMs that may be chosen; None for all that the repository offers.
        previous: the lock of before, which stays as long as it answers the wishes and the repository has its packages; None
            takes the newest.
        progress: is told what a person should know of the choice.

    Raises:
        RepositoryUnreachable, RepositoryNotSigned, MetadataMismatch, InvalidRepodata, LocationEscapes, ContradictoryPackages:
            see ``open_repository``.
        MissingComponents, MixedPatchLevels, DriverNotCarried, MixedReleases, NotInRepository, Unsolvable: see ``select``.
    """
    repository = open_repository(location or wishes.repository, wishes.fingerprints, read)
    packages = tuple(one for one in repository.packages if allowed is None or one.sha256 in allowed)
    one_release(wishes.packages, target.cuda)
    answers = (
        previous and not previous.differences(wishes, target) and previous.fingerprints == (repository.fingerprint,)
    )
    if previous and answers and {package.pin() for package in packages}.issuperset(previous.pins):
        return previous
    selected = select(packages, wishes, target.arch, target.cuda)
    for note in selected.notes:
        progress.say(note)
    return RpmLock(
        repository=wishes.repository,
        fingerprints=(repository.fingerprint,),
        locked=now,
        wanted=wishes.packages,
        key=repository.key,
        pins=tuple(package.pin() for package in sorted(selected.packages, key=lambda package: package.name)),
    )

"""The redist lock, ``NAME.redist.toml``: every component archive of the toolchain, pinned by place, size and digest.

``mirror.connected.toolchain.redistmanifest`` reads NVIDIA's list, ``mirror.connected.fetching.fetch`` brings the archives.

Rules: the lock names the list of ``NAME.toml``, also when a local copy stood in for it, so that both give the same lock; a
bundle is made from it without reading the list again; equal locks have equal bytes. What vouches for all of it is the list's
digest, pinned in ``NAME.toml``: NVIDIA signs neither the list nor the archives.

Example::

    lock = lock_redist(wishes, target, location=None, read=read, now=int(time.time()))
    path.write_bytes(lock.encode())
    fetch(RedistLock.load(path).downloads(location=None), store, jobs=8)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from mirror.connected.fetching.download import clean_url
from mirror.connected.stack.redistwishes import RedistWishes
from mirror.connected.toolchain.lockfile import ToolchainLock, moved
from mirror.connected.toolchain.redistmanifest import is_of, open_manifest, redist_base
from mirror.connected.toolchain.redistpin import RedistPin
from mirror.connected.toolchain.repository import Read
from mirror.connected.toolchain.rpmpackage import rpm_version
from mirror.core.cuda.redistnames import PLATFORMS
from mirror.core.fields import Fields, by
from mirror.core.kinds import REDIST, Kind
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from mirror.core.toolkit.redist import RedistSource


@dataclass(frozen=True)
class RedistLock(ToolchainLock):
    """The contents of ``NAME.redist.toml``.

    Attributes:
        manifest: URL of NVIDIA's list, as the stack names it; ``sha256`` is the list's.
        release: the patch release that it is of, ``"12.6.3"``.
    """

    KIND: ClassVar[Kind] = REDIST
    TITLE: ClassVar[str] = "component archives"
    FORMAT: ClassVar[str] = "mirror-redist/1"
    ENDING: ClassVar[str] = "redist.toml"
    TABLE: ClassVar[str] = "component"
    LISTS_FILES: ClassVar[bool] = False

    manifest: str = field(metadata=by(clean_url))
    sha256: Sha256Hex
    release: str = field(metadata=by(rpm_version))
    locked: int
    wanted: tuple[str, ...]
    pins: tuple[RedistPin, ...]

    @classmethod
    def pin(cls, fields: Fields) -> RedistPin:
        return fields.fill(RedistPin, size=fields.number("size", minimum=1))

    def base(self, location: str | None) -> str:
        return redist_base(self.manifest, location)

    def sources(self, paths: Mapping[Sha256Hex, Path], target: Target) -> Mapping[Sha256Hex, RedistSource]:
        return {
            pin.sha256: RedistSource.of_file(paths[pin.sha256], pin.sha256, pin.name, pin.version, target)
            for pin in self.pins
            if pin.sha256 in paths
        }

    def _differences(self, wishes: RedistWishes, target: Target) -> Iterator[str]:
        if wishes.manifest != self.manifest:
            yield f"the stack names the list {wishes.manifest}, the lock {self.manifest}"
        if wishes.sha256 != self.sha256:
            yield f"the stack pins the list by sha256 {wishes.sha256}, the lock is of {self.sha256}"
        if not is_of(self.release, target.cuda):
            yield f"the stack's target is CUDA {target.cuda}, the lock is of {self.release}"
        yield from moved(wishes.components, self.wanted)
        for other in sorted({pin.platform for pin in self.pins} - {PLATFORMS[target.arch]}):
            yield f"the stack's target is {target.arch}, the locked archives are for {other}"


def lock_redist(wishes: RedistWishes, target: Target, *, location: str | None, read: Read, now: int) -> RedistLock:
    """Pin the archives that a stack wants.

    Args:
        location: a copy's URL or directory that stands in for the list's own; None for that itself.
        read: gives the bytes behind a URL, see ``mirror.connected.toolchain.repository``.
        now: the time of locking, in seconds since 1970 UTC.

    Raises:
        RedistUnreachable, RedistNotPinned, InvalidRedist: see ``open_manifest``.
        RedistComponentMissing: when the list has no archive of something for the target.
    """
    manifest = open_manifest(wishes, location, read)
    pins = manifest.select(wishes, PLATFORMS[target.arch], target.cuda)
    return RedistLock(wishes.manifest, wishes.sha256, manifest.release, now, wishes.components, pins)

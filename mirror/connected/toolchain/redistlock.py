"""The redist lock, ``NAME.redist.toml``: every component archive of the toolchain, pinned by place, size and digest.

``mirror.connected.toolchain.redistmanifest`` reads NVIDIA's list, ``mirror.connected.fetching.fetch`` brings the archives.

Rules: the lock names the list of ``NAME.toml``, also when a local copy stood in for it, so that both give the same lock; a
bundle is made from it without reading the list again; equal locks have equal bytes. What vouches for all of it is the list's
digest, pinned in ``NAME.toml``: NVIDIA signs neither the list nor the archives.

Example::

    lock = lock_redist(stack.redist, target, location=None, read=read, now=int(time.time()))
    path.write_bytes(lock.encode())
    fetch(RedistLock.load(path).downloads(location=None), store, jobs=8)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from mirror.connected.fetching.download import Download, clean_url
from mirror.connected.stack.redistwishes import RedistWishes
from mirror.connected.toolchain.locktoml import LockFile, lock_fields, locked_line, moved, one_a_line, seconds
from mirror.connected.toolchain.redistmanifest import is_of, open_manifest, redist_base
from mirror.connected.toolchain.redistpin import RedistPin
from mirror.connected.toolchain.repository import Read
from mirror.connected.toolchain.rpmpackage import location_url, rpm_version
from mirror.core.cuda.redistnames import PLATFORMS
from mirror.core.names import Sha256Hex, sha256_hex
from mirror.core.target import Target

FORMAT = "mirror-redist/1"
_HEAD = (
    "# The component archives of a stack, written by `mirror lock`. Change NAME.toml and lock again rather than editing this "
    "file.\n"
)


@dataclass(frozen=True)
class RedistLock(LockFile):
    """The contents of ``NAME.redist.toml``.

    Attributes:
        manifest: URL of NVIDIA's list, as the stack names it.
        sha256: of the list.
        release: the patch release that it is of, ``"12.6.3"``.
        locked: time of locking in seconds since 1970 UTC.
        wanted: the words that were asked for, in order.
        pins: the archives, in order of name.
    """

    manifest: str
    sha256: Sha256Hex
    release: str
    locked: int
    wanted: tuple[str, ...]
    pins: tuple[RedistPin, ...]

    @classmethod
    def parse(cls, data: bytes, source: str = "NAME.redist.toml") -> RedistLock:
        """Inverse of ``encode``. ``source`` names the file in errors.

        Raises:
            InvalidDocument: with the path to the fault.
        """
        fields = lock_fields(data, source, FORMAT)
        lock = cls(
            manifest=fields.checked("manifest", clean_url),
            sha256=fields.checked("sha256", sha256_hex),
            release=fields.checked("release", rpm_version),
            locked=seconds(fields),
            wanted=fields.texts("wanted"),
            pins=tuple(RedistPin.from_fields(table) for table in fields.tables("component")),
        )
        names = [pin.name for pin in lock.pins]
        if not names or names != sorted(set(names)):
            fields.fail("component", "expected at least one, each name once, in order")
        fields.end()
        return lock

    def encode(self) -> bytes:
        """The file's bytes. A JSON string of ASCII is a TOML basic string too, so ``json`` does the quoting."""
        lines = [
            f"format = {json.dumps(FORMAT)}",
            f"manifest = {json.dumps(self.manifest)}",
            f"sha256 = {json.dumps(self.sha256)}",
            f"release = {json.dumps(self.release)}",
            locked_line(self.locked),
            f"wanted = {one_a_line(self.wanted)}",
        ]
        for pin in self.pins:
            lines += ["", "[[component]]", *(f"{key} = {json.dumps(value)}" for key, value in vars(pin).items())]
        return (_HEAD + "\n".join(lines) + "\n").encode("utf-8")

    def downloads(self, location: str | None) -> tuple[Download, ...]:
        """What to fetch, in order of name.

        Args:
            location: a copy's URL or directory that stands in for the list's own; None for that itself.
        """
        base = redist_base(self.manifest, location)
        return tuple(Download(location_url(base, p.location), p.filename, p.sha256, p.size) for p in self.pins)


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


def covers(wishes: RedistWishes, lock: RedistLock, target: Target) -> tuple[str, ...]:
    """Where a lock no longer answers the wishes: one sentence for each difference, none when it covers them."""
    return tuple(_differences(wishes, lock, target))


def _differences(wishes: RedistWishes, lock: RedistLock, target: Target) -> Iterator[str]:
    if wishes.manifest != lock.manifest:
        yield f"the stack names the list {wishes.manifest}, the lock {lock.manifest}"
    if wishes.sha256 != lock.sha256:
        yield f"the stack pins the list by sha256 {wishes.sha256}, the lock is of {lock.sha256}"
    if not is_of(lock.release, target.cuda):
        yield f"the stack's target is CUDA {target.cuda}, the lock is of {lock.release}"
    yield from moved(wishes.components, lock.wanted)
    for other in sorted({pin.platform for pin in lock.pins} - {PLATFORMS[target.arch]}):
        yield f"the stack's target is {target.arch}, the locked archives are for {other}"

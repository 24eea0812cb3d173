"""The RPM lock, ``NAME.rpms.toml``: every RPM of the toolchain's closure, pinned by name, version, place, size and digest.

``mirror.connected.toolchain.repository`` reads repositories, ``mirror.connected.toolchain.selection`` chooses packages,
``mirror.connected.fetching.fetch`` brings them.

Rules: the lock names the repository of ``NAME.toml``, also when a local copy stood in for it, so that both give the same
lock; it holds the key that signs the RPMs, so that a bundle is made from it without reading the repository again, and from
its pins even when the repository has moved on; equal locks have equal bytes.

Example::

    lock = lock_rpms(stack.rpms, "x86_64", location=None, read=read, now=int(time.time()))
    path.write_bytes(lock.encode())
    fetch(RpmLock.load(path).downloads(location=None), store, jobs=8)
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mirror.connected.fetching.download import Download, clean_url
from mirror.connected.stack.rpmwishes import RpmWishes
from mirror.connected.toolchain.closure import one_release
from mirror.connected.toolchain.coherence import disagreements
from mirror.connected.toolchain.locktoml import LockFile, lock_fields, locked_line, moved, one_a_line, seconds
from mirror.connected.toolchain.repository import Read, open_repository, repository_url
from mirror.connected.toolchain.rpmpackage import (
    RpmPin,
    location_url,
    rpm_location,
    rpm_name,
    rpm_version,
    toolkit_release,
)
from mirror.connected.toolchain.selection import select
from mirror.core.fields import Fields
from mirror.core.names import Sha256Hex, sha256_hex
from mirror.core.progress import SILENT, Progress
from mirror.core.signatures.fingerprints import grouped, openpgp_fingerprint

FORMAT = "mirror-rpms/1"
_HEAD = (
    "# The RPMs of a stack, written by `mirror lock`. Change NAME.toml and lock again rather than editing this file.\n"
)


@dataclass(frozen=True)
class RpmLock(LockFile):
    """The contents of ``NAME.rpms.toml``.

    Attributes:
        repository: URL as the stack names it.
        fingerprints: of the pinned keys that signed the metadata; the RPMs must be signed by them too.
        locked: time of locking in seconds since 1970 UTC.
        wanted: the names that were closed over, in order.
        key: the armored OpenPGP key with those fingerprints.
        pins: the closure, in order of name.
    """

    repository: str
    fingerprints: tuple[str, ...]
    locked: int
    wanted: tuple[str, ...]
    key: str
    pins: tuple[RpmPin, ...]

    @classmethod
    def parse(cls, data: bytes, source: str = "NAME.rpms.toml") -> RpmLock:
        """Inverse of ``encode``. ``source`` names the file in errors.

        Raises:
            InvalidDocument: with the path to the fault.
        """
        fields = lock_fields(data, source, FORMAT)
        lock = cls(
            repository=fields.checked("repository", clean_url),
            fingerprints=fields.all_checked("fingerprints", openpgp_fingerprint),
            locked=seconds(fields),
            wanted=fields.texts("wanted"),
            key=fields.text("key"),
            pins=tuple(_pin(table) for table in fields.tables("package")),
        )
        names = [pin.name for pin in lock.pins]
        if names != sorted(set(names)):
            fields.fail("package", "expected each name once, in order")
        if not lock.fingerprints:
            fields.fail("fingerprints", "expected at least one")
        for name in lock.wanted:
            if name not in names:
                fields.fail("wanted", f"{name} has no [[package]]")
        fields.end()
        return lock

    def encode(self) -> bytes:
        """The file's bytes. A JSON string of ASCII is a TOML basic string too, so ``json`` does the quoting."""
        lines = [
            f"format = {json.dumps(FORMAT)}",
            f"repository = {json.dumps(self.repository)}",
            f"fingerprints = {json.dumps(self.fingerprints)}",
            locked_line(self.locked),
            f"wanted = {one_a_line(self.wanted)}",
            f"key = '''\n{self.key}'''",
        ]
        for pin in self.pins:
            lines += ["", "[[package]]", *(f"{key} = {json.dumps(value)}" for key, value in vars(pin).items())]
        return (_HEAD + "\n".join(lines) + "\n").encode("utf-8")

    def downloads(self, location: str | None) -> tuple[Download, ...]:
        """What to fetch, in order of name.

        Args:
            location: a copy's URL or directory that stands in for the repository; None for the repository itself.
        """
        base = repository_url(location or self.repository)
        return tuple(Download(location_url(base, p.location), p.filename, p.sha256, p.size) for p in self.pins)


def lock_rpms(
    wishes: RpmWishes,
    arch: str,
    *,
    location: str | None,
    read: Read,
    now: int,
    release: str = "",
    allowed: Collection[Sha256Hex] | None = None,
    previous: RpmLock | None = None,
    progress: Progress = SILENT,
) -> RpmLock:
    """Pin the closure of what a stack wants.

    Args:
        arch: the target's, as ``uname -m`` prints it.
        location: a copy's URL or directory that stands in for the repository; None for the repository itself.
        read: gives the bytes behind a URL, see ``mirror.connected.toolchain.repository``.
        now: the time of locking, in seconds since 1970 UTC.
        release: the target's CUDA release; when given, packages of another one are refused.
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
    one_release(wishes.packages, release)
    answers = previous and not covers(wishes, previous, arch) and previous.fingerprints == (repository.fingerprint,)
    if previous and answers and {package.pin() for package in packages}.issuperset(previous.pins):
        return previous
    selected = select(packages, wishes, arch, release)
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


def covers(wishes: RpmWishes, lock: RpmLock, arch: str) -> tuple[str, ...]:
    """Where a lock no longer answers the wishes: one sentence for each difference, none when it covers them.

    Args:
        arch: the target's.
    """
    return tuple(_differences(wishes, lock, arch))


def _differences(wishes: RpmWishes, lock: RpmLock, arch: str) -> Iterator[str]:
    if repository_url(wishes.repository) != repository_url(lock.repository):
        yield f"the stack names the repository {wishes.repository}, the lock {lock.repository}"
    for fingerprint in lock.fingerprints:
        if fingerprint not in wishes.fingerprints:
            pinned = " or ".join(map(grouped, wishes.fingerprints))
            yield f"the lock was signed by key {grouped(fingerprint)}, the stack pins {pinned}"
    yield from moved(wishes.packages, lock.wanted)
    names = {pin.name for pin in lock.pins}
    for name in wishes.needed:
        if name not in names:
            yield f"the stack needs {name}, which is not locked"
    for release in sorted({toolkit_release(name) for name in lock.wanted} - {""}):
        yield from disagreements(lock.pins, release)
    for other in sorted({pin.arch for pin in lock.pins} - {arch, "noarch"}):
        yield f"the stack's target is {arch}, the locked RPMs are for {other}"


def _pin(fields: Fields) -> RpmPin:
    pin = RpmPin(
        name=fields.checked("name", rpm_name),
        epoch=fields.number("epoch"),
        version=fields.checked("version", rpm_version),
        release=fields.checked("release", rpm_version),
        arch=fields.checked("arch", rpm_name),
        location=fields.checked("location", rpm_location),
        size=fields.number("size", minimum=1),
        sha256=fields.checked("sha256", sha256_hex),
        installed_size=fields.number("installed_size"),
    )
    fields.end()
    return pin

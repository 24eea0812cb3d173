"""``rpms.lock.yaml``, the RPM lock that Hermeto prefetches from (``rpm-lockfile-prototype`` writes it): read and written.

``mirror.connected.toolchain.rpmlock`` still decides which RPMs a stack needs, and whether they are signed: such a file only
narrows down which RPMs of the stack's repository are looked at.

Rules: an entry counts by its sha256, which the repository's signed metadata lists too; what is of other repositories is left
out, and told; an RPM of the stack's repository that is gone from it is an error.

Example::

    wanted = read_rpms_lock(Path("rpms.lock.yaml"), "x86_64")
    allowed = wanted.among(repository, stack.rpms.repository, progress)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mirror.connected.fetching.download import filename_of, redacted
from mirror.connected.pins.foreignyaml import parse_yaml
from mirror.connected.toolchain.drift import RpmPruned
from mirror.connected.toolchain.repository import Repository
from mirror.connected.toolchain.rpmlock import RpmLock
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields
from mirror.core.names import Sha256Hex, sha256_hex
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import read_file

MAX_BYTES = 16 << 20
_SHOWN = 5
MARK = b"# Written by `mirror lock` for Hermeto."
"""By which such a file is known as mirror's own (``mirror.connected.pins.ownership``)."""


@dataclass(frozen=True)
class ForeignRpm:
    """One entry; its URL has no credentials."""

    url: str
    sha256: Sha256Hex

    @property
    def filename(self) -> str:
        return filename_of(self.url)


@dataclass(frozen=True)
class RpmsLock:
    """The RPMs of one architecture in a ``rpms.lock.yaml``, in its order; ``source`` names it in messages."""

    source: str
    rpms: tuple[ForeignRpm, ...]

    def among(self, repository: Repository, named: str, progress: Progress = SILENT) -> frozenset[Sha256Hex]:
        """The digests of those that a repository offers.

        Args:
            repository: as it was read, from its place or from a copy.
            named: its URL in ``NAME.toml``.

        Raises:
            RpmPruned: one of them was of this repository, which does not list it any more.
        """
        offered = {package.sha256 for package in repository.packages}
        others = []
        for rpm in self.rpms:
            if rpm.sha256 in offered:
                continue
            if rpm.url.startswith(redacted(named).rstrip("/") + "/"):
                raise RpmPruned(rpm.filename, rpm.sha256, repository.url, "its signed metadata does not list that file")
            others.append(rpm.filename)
        kept = frozenset(rpm.sha256 for rpm in self.rpms if rpm.sha256 in offered)
        left = f"; left out, of other repositories: {_some(others)}" if others else ""
        progress.say(
            f"only RPMs of {self.source} are looked at: {len(kept)} of its {len(self.rpms)} are of {named}{left}"
        )
        return kept


def read_rpms_lock(path: Path, arch: str) -> RpmsLock:
    """Read the RPMs of one architecture. Raises Unreadable when the file cannot be read; else as ``parse_rpms_lock``."""
    return parse_rpms_lock(read_file(path, MAX_BYTES), str(path), arch)


def parse_rpms_lock(data: bytes, source: str, arch: str) -> RpmsLock:
    """The RPMs of one architecture in a file's bytes, which ``source`` names in errors.

    Raises:
        InvalidDocument: with the path to the fault; also when it has nothing for the architecture.
    """
    try:
        document = parse_yaml(data)
    except ValueError as exc:
        raise InvalidDocument(source, "", f"not valid YAML: {exc}") from exc
    fields = Fields(document, source)
    version, vendor = fields.number("lockfileVersion"), fields.text("lockfileVendor")
    if (version, vendor) != (1, "redhat"):
        fields.fail("lockfileVersion", f"this mirror reads version 1 of vendor redhat, got {version} of {vendor}")
    tables = [(table.text("arch"), table) for table in fields.tables("arches")]
    rpms = [_rpm(rpm) for name, table in tables if name == arch for rpm in table.tables("packages")]
    if not rpms:
        fields.fail("arches", f"no packages for {arch}, but for {', '.join(name for name, _ in tables) or 'none'}")
    return RpmsLock(Path(source).name, tuple(rpms))


def _rpm(fields: Fields) -> ForeignRpm:
    url = fields.text("url")
    checksum = fields.text("checksum")
    if not checksum.startswith("sha256:"):
        fields.fail("checksum", f"expected 'sha256:...', got {checksum!r}")
    try:
        return ForeignRpm(redacted(url), sha256_hex(checksum.removeprefix("sha256:")))
    except ValueError as exc:
        fields.fail("checksum", str(exc))


def encode(lock: RpmLock, arch: str) -> bytes:
    """A ``rpms.lock.yaml`` of a lock of RPMs, for Hermeto."""
    packages: list[Mapping[str, Any]] = [
        {"url": download.url, "size": pin.size, "checksum": f"sha256:{pin.sha256}", "name": pin.name, "evr": pin.evr}
        for pin, download in zip(lock.pins, lock.downloads(None), strict=True)
    ]
    arches = [{"arch": arch, "packages": packages, "source": [], "module_metadata": []}]
    document = {"lockfileVersion": 1, "lockfileVendor": "redhat", "arches": arches}
    return MARK + b"\n" + yaml.safe_dump(document, sort_keys=False, explicit_start=True, width=1 << 16).encode()


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

"""Repository metadata as bytes: ``repomd.xml`` and ``primary.xml``, parsed by createrepo_c and checked field by field.

``mirror.connected.toolchain.repository`` fetches them and checks their signature and digests: what comes here is what the
repository's maker signed. That makes it authentic, not harmless.

Rules: every location stays below its repository, on its host (SECURITY.md 45); one name, version, release and architecture
has one digest; sizes and counts are bounded before anything is unpacked.

Example::

    record = parse_repomd(repomd, url)
    packages = parse_primary(primary, record.location, url)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from mirror.connected.toolchain.rpmpackage import Capability, RpmPackage, rpm_location, rpm_name, rpm_version
from mirror.core.errors import MirrorError
from mirror.core.names import sha256_hex

MAX_OPEN_BYTES = 1 << 30
"""primary.xml unpacked: NVIDIA's has some ten MB, that of Fedora's whole distribution 250."""

MAX_PACKAGES = 200_000

_COMPARISONS = {"EQ": "=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_CHECKSUMS = ("sha256", "sha384", "sha512")


class LocationEscapes(MirrorError):
    """Repository metadata points out of the repository: ``..``, an absolute path, another host."""

    ref = "rpm-location-escapes"
    exit_code = 63
    hint = "No honest repository does this. Tell the repository's maker, and use another copy with --toolchain-repo."
    message = "{url}: the location of {what} is {location!r}, which leads out of {url}"

    url: str
    what: str
    location: str


class ContradictoryPackages(MirrorError):
    """One name, version, release and architecture with two different digests."""

    ref = "rpm-contradictory-packages"
    exit_code = 64
    hint = (
        "One of the two is not what it says. Use a copy of the repository that has one of them, with --toolchain-repo."
    )
    message = "{url}: {nevra} is listed with sha256 {first} and with sha256 {second}"

    url: str
    nevra: str
    first: str
    second: str


class InvalidRepodata(MirrorError):
    """Signed repository metadata breaks its format, or a limit of ours."""

    ref = "invalid-rpm-repodata"
    exit_code = 65
    hint = "Use another copy of the repository with --toolchain-repo; one made by createrepo_c with sha256 checksums is read."
    message = "{url}: {problem}"

    url: str
    problem: str


@dataclass(frozen=True)
class PrimaryRecord:
    """What ``repomd.xml`` says of ``primary.xml``, or of another of its files.

    Attributes:
        location: path below the repository.
        size: bytes as it lies there; None when it does not say.
        algorithm: a name that ``hashlib.new`` takes.
        checksum: hex digest of those bytes.
    """

    location: str
    size: int | None
    algorithm: str
    checksum: str


def parse_repomd(repomd: bytes, url: str, kind: str = "primary") -> PrimaryRecord:
    """Find ``primary.xml`` (or another) in a ``repomd.xml`` whose signature is good. ``url`` is the repository's, for errors.

    Raises:
        InvalidRepodata: it names none, or one that is too large or has a weak checksum. LocationEscapes: it is elsewhere.
    """
    createrepo = createrepo_module()
    with tempfile.TemporaryDirectory(prefix="mirror-") as directory:
        file = Path(directory, "repomd.xml")
        file.write_bytes(repomd)
        try:
            record: Any = createrepo.Repomd(str(file))[kind]
        except (createrepo.CreaterepoCError, KeyError) as exc:
            raise InvalidRepodata(url, f"its repomd.xml names no {kind}.xml ({exc})") from exc
    location = _inside(record.location_href, record.location_base, url, f"{kind}.xml")
    if record.checksum_type not in _CHECKSUMS:
        raise InvalidRepodata(url, f"{kind}.xml has a {record.checksum_type} checksum, not one of {_CHECKSUMS}")
    if record.size_open > MAX_OPEN_BYTES:
        raise InvalidRepodata(url, f"{kind}.xml unpacks to {record.size_open} bytes, {MAX_OPEN_BYTES} are allowed")
    size = record.size if record.size > 0 else None
    return PrimaryRecord(location, size, record.checksum_type, record.checksum or "")


def parse_primary(primary: bytes, location: str, url: str) -> tuple[RpmPackage, ...]:
    """Parse a ``primary.xml`` whose digest is good, in whatever compression its name at ``location`` says.

    Raises:
        InvalidRepodata, LocationEscapes, ContradictoryPackages.
    """
    found: dict[str, RpmPackage] = {}
    failures: list[BaseException] = []

    def take(entry: Any) -> None:
        try:
            package = _package(entry, url)
            first = found.setdefault(package.nevra, package)
            if first.sha256 != package.sha256:
                raise ContradictoryPackages(url, package.nevra, first.sha256, package.sha256)
            if len(found) > MAX_PACKAGES:
                raise InvalidRepodata(url, f"it lists more than {MAX_PACKAGES} packages")
        except BaseException as exc:
            failures.append(exc)  # the C parser stops at it, and flattens it into its own error's text
            raise

    createrepo = createrepo_module()
    with tempfile.TemporaryDirectory(prefix="mirror-") as directory:
        file = Path(directory, location.rpartition("/")[2])
        file.write_bytes(primary)
        try:
            createrepo.xml_parse_primary(str(file), pkgcb=take, warningcb=_go_on, do_files=0)
        except createrepo.CreaterepoCError as exc:
            raise failures[0] if failures else InvalidRepodata(url, f"its primary.xml is not readable: {exc}") from exc
    if not found:
        raise InvalidRepodata(url, "its primary.xml lists no package")
    return tuple(found.values())


def _inside(location: str | None, location_base: str | None, url: str, what: str) -> str:
    """Rule 4: a location, which the metadata may also move to another host by ``xml:base``."""
    if location_base:
        raise LocationEscapes(url, what, f"{location_base} {location}")
    try:
        return rpm_location(location or "")
    except ValueError as exc:
        raise LocationEscapes(url, what, location or "") from exc


def _go_on(kind: int, message: str) -> bool:
    """A vendor's unknown tags are no fault; what we use is checked by us."""
    return True


def _package(entry: Any, url: str) -> RpmPackage:
    """Check what the parser found. A field that the XML lacks is None here, and fails its check as an empty text."""
    try:
        if entry.checksum_type != "sha256":
            raise ValueError(f"expected a sha256 checksum, got {entry.checksum_type}")
        package = RpmPackage(
            name=rpm_name(entry.name or ""),
            epoch=int(entry.epoch or "0"),
            version=rpm_version(entry.version or ""),
            release=rpm_version(entry.release or ""),
            arch=rpm_name(entry.arch or ""),
            location=entry.location_href or "",
            size=entry.size_package,
            installed_size=entry.size_installed,
            sha256=sha256_hex(entry.pkgId or ""),
            requires=_capabilities(entry.requires),
            provides=_capabilities(entry.provides),
        )
    except ValueError as exc:
        raise InvalidRepodata(url, f"package {entry.name!r}: {exc}") from exc
    _inside(entry.location_href, entry.location_base, url, package.nevra)
    return package


def _capabilities(entries: Iterable[tuple[Any, ...]]) -> tuple[Capability, ...]:
    capabilities = []
    for name, flags, epoch, version, release, *_ in entries:
        comparison = _COMPARISONS.get(flags or "", "")
        evr = (
            (f"{epoch}:" if epoch not in (None, "", "0") else "") + (version or "") + (f"-{release}" if release else "")
        )
        capabilities.append(Capability(name, comparison, evr) if comparison else Capability(name))
    return tuple(capabilities)


@cache
def createrepo_module() -> ModuleType:
    """Import createrepo_c. Its librpm complains on stderr where the host has no rpm, unless it is shown an rpmrc."""
    with tempfile.TemporaryDirectory(prefix="mirror-") as directory:
        Path(directory, "rpmrc").touch()
        before = os.environ.get("RPM_CONFIGDIR")
        os.environ["RPM_CONFIGDIR"] = directory
        try:
            import createrepo_c
        finally:
            del os.environ["RPM_CONFIGDIR"]
            if before is not None:
                os.environ["RPM_CONFIGDIR"] = before
    module: ModuleType = createrepo_c
    return module

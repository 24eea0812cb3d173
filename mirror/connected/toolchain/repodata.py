"""Repository metadata as bytes: ``repomd.xml`` and ``primary.xml``, parsed by createrepo_c and checked field by field.

``mirror.connected.toolchain.repodataprocess`` parses; ``mirror.connected.toolchain.repository`` fetches them and checks their
signature and digests: what comes here is what the repository's maker signed. That makes it authentic, not harmless.

Rules: every location stays below its repository, on its host (SECURITY.md 45); one name, version, release and architecture
has one digest; sizes and counts are bounded before anything is unpacked.

Example::

    record = parse_repomd(repomd, url)
    packages = parse_primary(primary, record.location, url)
"""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass

from mirror.connected.toolchain.repodataprocess import MAX_OPEN_BYTES, NotReadable, entries
from mirror.connected.toolchain.rpmpackage import Capability, RpmPackage, rpm_location, rpm_name, rpm_version
from mirror.core.errors import InvalidDocument, MirrorError
from mirror.core.fields import Fields
from mirror.core.names import sha256_hex

MAX_PACKAGES = 200_000

_COMPARISONS = {"EQ": "=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_EPOCH = re.compile("[0-9]{1,9}", re.ASCII)
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
    try:
        found = list(entries("repomd", repomd, [kind]))
        if not found:
            raise InvalidRepodata(url, f"its repomd.xml names no {kind}.xml")
        entry = found[0]
        record = PrimaryRecord(
            _inside(entry, url, f"{kind}.xml"),
            entry.number("size") or None,
            entry.text("algorithm"),
            entry.text("checksum"),
        )
        open_size = entry.number("open_size")
    except (NotReadable, InvalidDocument) as exc:
        raise InvalidRepodata(url, f"its repomd.xml names no {kind}.xml ({exc})") from exc
    if record.algorithm not in _CHECKSUMS:
        raise InvalidRepodata(url, f"{kind}.xml has a {record.algorithm} checksum, not one of {_CHECKSUMS}")
    if open_size > MAX_OPEN_BYTES:
        raise InvalidRepodata(url, f"{kind}.xml unpacks to {open_size} bytes, {MAX_OPEN_BYTES} are allowed")
    return record


def parse_primary(primary: bytes, location: str, url: str) -> tuple[RpmPackage, ...]:
    """Parse a ``primary.xml`` whose digest is good, in whatever compression. ``location`` is its own, for errors.

    Raises:
        InvalidRepodata, LocationEscapes, ContradictoryPackages.
    """
    found: dict[str, RpmPackage] = {}
    try:
        with closing(entries("primary", primary)) as listed:  # the process ends with the first error
            for entry in listed:
                package = _package(entry, url)
                first = found.setdefault(package.nevra, package)
                if first.sha256 != package.sha256:
                    raise ContradictoryPackages(url, package.nevra, first.sha256, package.sha256)
                if len(found) > MAX_PACKAGES:
                    raise InvalidRepodata(url, f"it lists more than {MAX_PACKAGES} packages")
    except (NotReadable, InvalidDocument) as exc:
        raise InvalidRepodata(url, f"its {location.rpartition('/')[2]} (primary.xml) is not readable: {exc}") from exc
    if not found:
        raise InvalidRepodata(url, "its primary.xml lists no package")
    return tuple(found.values())


def _inside(entry: Fields, url: str, what: str) -> str:
    """Rule 4: a location, which the metadata may also move to another host by ``xml:base``."""
    location, base = entry.text("location"), entry.text("base")
    if base:
        raise LocationEscapes(url, what, f"{base} {location}")
    try:
        return rpm_location(location)
    except ValueError as exc:
        raise LocationEscapes(url, what, location) from exc


def _package(entry: Fields, url: str) -> RpmPackage:
    """Check what the parser found. A field that the XML lacks is an empty text here, and fails its check."""
    name, algorithm, epoch = entry.text("name"), entry.text("algorithm"), entry.text("epoch") or "0"
    try:
        if algorithm != "sha256":
            raise ValueError(f"expected a sha256 checksum, got {algorithm or None}")
        if not _EPOCH.fullmatch(epoch):
            raise ValueError(f"expected an epoch such as '0', got {epoch[:40]!r}")
        package = RpmPackage(
            name=rpm_name(name),
            epoch=int(epoch),
            version=rpm_version(entry.text("version")),
            release=rpm_version(entry.text("release")),
            arch=rpm_name(entry.text("arch")),
            location=entry.text("location"),
            size=entry.number("size"),
            installed_size=entry.number("installed_size"),
            sha256=sha256_hex(entry.text("checksum")),
            requires=_capabilities(entry, "requires"),
            provides=_capabilities(entry, "provides"),
        )
    except ValueError as exc:
        raise InvalidRepodata(url, f"package {name!r}: {exc}") from exc
    _inside(Fields({"location": package.location, "base": entry.text("base")}, "entry"), url, package.nevra)
    return package


def _capabilities(entry: Fields, key: str) -> tuple[Capability, ...]:
    capabilities = []
    for one in entry.take(key, list):
        if type(one) is not list or len(one) != 5 or not all(type(text) is str for text in one):
            entry.fail(key, "expected lists of five texts")
        name, flags, epoch, version, release = one
        comparison = _COMPARISONS.get(flags, "")
        evr = (f"{epoch}:" if epoch not in ("", "0") else "") + version + (f"-{release}" if release else "")
        capabilities.append(Capability(name, comparison, evr) if comparison else Capability(name))
    return tuple(capabilities)

"""The CUDA packages that a bundle carries, as sources: the reading of ``meta/rpms.json`` and ``meta/redist.json``.

``mirror.core.toolkit.rpm`` and ``mirror.core.toolkit.redist`` decide what an RPM or an archive may hold; the closed side
unpacks them (``mirror.closed.toolkit.unpacking``), a reviewer judges them without (``mirror.review.report.deep``).

Rules: which keys are trusted, and which archive is which component, comes from the signed lists, never from a package or from
the host; digests, and how many bytes an archive may unpack to, from the signed manifest.

Example::

    for source in carried_rpms(bundle) or carried_archives(bundle):
        source.judge()
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from mirror.core.archives.zstdframe import Zstd
from mirror.core.bundle.manifest import Artifact
from mirror.core.bundle.reader import Bundle
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, by, strict_json
from mirror.core.kinds import REDIST, RPM
from mirror.core.names import Sha256Hex
from mirror.core.signatures.fingerprints import openpgp_fingerprint
from mirror.core.toolkit.redist import RedistSource
from mirror.core.toolkit.rpmsource import RpmSource, TrustedRpm, trusted_rpms

RPM_LIST = "meta/rpms.json"
REDIST_LIST = "meta/redist.json"
_RPMS, _ARCHIVES = "RPM list", "Redist list"
_MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class ListedRpm:
    """An RPM of ``meta/rpms.json``: its path in the bundle, its name, and name-epoch:version-release.arch."""

    path: str
    name: str
    nevra: str


@dataclass(frozen=True)
class RpmList:
    """What ``meta/rpms.json`` says.

    Attributes:
        fingerprints: of the vendor's keys that may have signed.
        key: the armored public key that did.
        rpms: those of the bundle, in order.
    """

    fingerprints: tuple[str, ...] = field(default=(), metadata=by(openpgp_fingerprint))
    key: str = ""
    rpms: tuple[ListedRpm, ...] = ()

    @classmethod
    def from_bytes(cls, data: bytes) -> RpmList:
        """Parse the list. Raises InvalidDocument: with the path to the fault."""
        fields = Fields(strict_json(data, _RPMS, _MAX_BYTES), _RPMS)
        return fields.fill(cls, key=fields.text("key"))


@dataclass(frozen=True)
class ListedArchive:
    """An archive of ``meta/redist.json``: its path in the bundle, and key and version of its component."""

    path: str
    component: str
    version: str


@dataclass(frozen=True)
class RedistList:
    """What ``meta/redist.json`` says.

    Attributes:
        manifest: URL of NVIDIA's list.
        sha256: of that list, as the stack pinned it.
        release: the patch release, ``"12.6.3"``.
        archives: those of the bundle, in order.
    """

    manifest: str
    sha256: Sha256Hex
    release: str
    archives: tuple[ListedArchive, ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> RedistList:
        """Parse the list. Raises InvalidDocument: with the path to the fault."""
        return Fields(strict_json(data, _ARCHIVES, _MAX_BYTES), _ARCHIVES).fill(cls)


def _hold(document: str, things: str, listed: Sequence[ListedRpm | ListedArchive], carried: Sequence[Artifact]) -> None:
    """Raises InvalidDocument: when a list does not name exactly what the bundle carries."""
    if [one.path for one in listed] != [one.path for one in carried]:
        counts = f"{len(listed)} {things}, the manifest {len(carried)}"
        raise InvalidDocument(document, things.lower(), f"it lists {counts}, or in another order")


def read_rpm_list(bundle: Bundle) -> RpmList:
    """The bundle's list of RPMs, its digest checked, agreeing with the manifest.

    Raises:
        InvalidDocument: when it is missing, or does not list exactly the bundle's RPMs.
        DigestMismatch: when it has changed since the bundle was verified.
    """
    artifact = bundle.manifest.find(RPM_LIST)
    listed = RpmList.from_bytes(bundle.read(artifact)) if artifact else RpmList()
    _hold(_RPMS, "RPMs", listed.rpms, bundle.manifest.of(RPM))
    return listed


def carried_rpms(bundle: Bundle, zstd: Zstd | None = None) -> tuple[TrustedRpm, ...]:
    """The RPMs of a bundle, in order; none when it carries none. To judge them takes no ``zstd``.

    Raises:
        MirrorError: as ``read_rpm_list`` and ``trusted_rpms`` do.
    """
    listed = read_rpm_list(bundle)
    if not listed.rpms:
        return ()
    sources = [
        RpmSource(rpm.filename, partial(bundle.open, rpm), rpm.sha256, one.nevra)
        for rpm, one in zip(bundle.manifest.of(RPM), listed.rpms)
    ]
    return trusted_rpms(sources, keys=listed.key, fingerprints=listed.fingerprints, zstd=zstd)


def carried_archives(bundle: Bundle) -> tuple[RedistSource, ...]:
    """The component archives of a bundle; none when it carries none.

    Raises:
        InvalidDocument: when the list is missing, or does not list exactly the bundle's archives.
        DigestMismatch: when it has changed since the bundle was verified.
    """
    carried = bundle.manifest.of(REDIST)
    if not carried:
        return ()
    artifact = bundle.manifest.find(REDIST_LIST)
    listed = RedistList.from_bytes(bundle.read(artifact)).archives if artifact else ()
    _hold(_ARCHIVES, "archives", listed, carried)
    target = bundle.manifest.target
    return tuple(
        RedistSource(
            file.filename,
            partial(bundle.open, file),
            file.sha256,
            one.component,
            one.version,
            target,
            file.unpacked_limit,
        )
        for file, one in zip(carried, listed)
    )

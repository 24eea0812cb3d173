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

from dataclasses import dataclass
from functools import partial

from mirror.core.archives.zstdframe import Zstd
from mirror.core.bundle.manifest import Manifest
from mirror.core.bundle.reader import Bundle
from mirror.core.fields import Fields, strict_json
from mirror.core.kinds import REDIST, RPM
from mirror.core.names import Sha256Hex, sha256_hex
from mirror.core.signatures.fingerprints import openpgp_fingerprint
from mirror.core.toolkit.redist import RedistSource
from mirror.core.toolkit.rpmsource import RpmSource, TrustedRpm, trusted_rpms

RPM_LIST = "meta/rpms.json"
REDIST_LIST = "meta/redist.json"
_MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class RpmList:
    """What ``meta/rpms.json`` says.

    Attributes:
        fingerprints: of the vendor's keys that may have signed.
        key: the armored public key that did.
        paths: of the RPMs in the bundle, in order.
        nevras: name-epoch:version-release.arch of each, in the same order.
    """

    fingerprints: tuple[str, ...]
    key: str
    paths: tuple[str, ...]
    nevras: tuple[str, ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> RpmList:
        """Parse the list.

        Raises:
            InvalidDocument: with the path to the fault.
        """
        fields = Fields(strict_json(data, "RPM list", _MAX_BYTES), "RPM list")
        fingerprints, key = fields.all_checked("fingerprints", openpgp_fingerprint), fields.text("key")
        paths, nevras = [], []
        for entry in fields.tables("rpms"):
            paths.append(entry.text("path"))
            entry.text("name")
            nevras.append(entry.text("nevra"))
            entry.end()
        fields.end()
        return cls(fingerprints, key, tuple(paths), tuple(nevras))


@dataclass(frozen=True)
class RedistList:
    """What ``meta/redist.json`` says.

    Attributes:
        manifest: URL of NVIDIA's list.
        sha256: of that list, as the stack pinned it.
        release: the patch release, ``"12.6.3"``.
        paths: of the archives in the bundle, in order.
        components: key and version of each, in the same order.
    """

    manifest: str
    sha256: Sha256Hex
    release: str
    paths: tuple[str, ...]
    components: tuple[tuple[str, str], ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> RedistList:
        """Parse the list.

        Raises:
            InvalidDocument: with the path to the fault.
        """
        fields = Fields(strict_json(data, "Redist list", _MAX_BYTES), "Redist list")
        manifest, release = fields.text("manifest"), fields.text("release")
        sha256 = fields.checked("sha256", sha256_hex)
        paths, components = [], []
        for entry in fields.tables("archives"):
            paths.append(entry.text("path"))
            components.append((entry.text("component"), entry.text("version")))
            entry.end()
        fields.end()
        return cls(manifest, sha256, release, tuple(paths), tuple(components))


def read_rpm_list(bundle: Bundle) -> RpmList:
    """The bundle's list of RPMs, its digest checked, agreeing with the manifest.

    Raises:
        InvalidDocument: when it is missing, or does not list exactly the bundle's RPMs.
        DigestMismatch: when it has changed since the bundle was verified.
    """
    manifest: Manifest = bundle.manifest
    artifact = manifest.find(RPM_LIST)
    carried = tuple(rpm.path for rpm in manifest.of(RPM))
    listed = RpmList.from_bytes(bundle.read(artifact)) if artifact else RpmList((), "", (), ())
    if listed.paths != carried:
        Fields({}, "RPM list").fail(
            "rpms", f"it lists {len(listed.paths)} RPMs, the manifest {len(carried)}, or in another order"
        )
    return listed


def carried_rpms(bundle: Bundle, zstd: Zstd | None = None) -> tuple[TrustedRpm, ...]:
    """The RPMs of a bundle, in order; none when it carries none.

    Args:
        zstd: decompresses where this Python cannot; judging needs none.

    Raises:
        MirrorError: as ``read_rpm_list`` and ``trusted_rpms`` do.
    """
    listed = read_rpm_list(bundle)
    if not listed.paths:
        return ()
    sources = [
        RpmSource(rpm.filename, partial(bundle.open, rpm), rpm.sha256, nevra)
        for rpm, nevra in zip(bundle.manifest.of(RPM), listed.nevras)
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
    listed = RedistList.from_bytes(bundle.read(artifact)) if artifact else None
    if listed is None or listed.paths != tuple(archive.path for archive in carried):
        count = len(listed.paths) if listed else 0
        Fields({}, "Redist list").fail(
            "archives", f"it lists {count} archives, the manifest {len(carried)}, or in another order"
        )
    return tuple(
        RedistSource(
            archive.filename,
            partial(bundle.open, archive),
            archive.sha256,
            component,
            version,
            bundle.manifest.target,
            archive.unpacked_limit,
        )
        for archive, (component, version) in zip(carried, listed.components)
    )

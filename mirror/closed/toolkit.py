"""The CUDA toolkit: the bundle's RPMs or component archives, unpacked into a generation without rpm and without root.

It holds the reading of ``meta/rpms.json`` (``mirror.closed.redist`` has the other list) and hands the RPMs, straight out of
the bundle, to
``mirror.core.toolchain``, which checks each again, its digest and its vendor's signature, and unpacks. Using the toolkit is
``mirror.closed.environment``'s and ``mirror.closed.selftest``'s.

Rules:
(1) which keys are trusted comes from the signed ``rpms.json``, never from an RPM or from the host;
(2) the bytes that are unpacked are those of the signed manifest, whatever became of the file since it was verified.

Example::

    unpack_toolkit(bundle, generation.cuda)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mirror.closed.redist import read_archives
from mirror.core.fields import Fields, strict_json
from mirror.core.manifest import Manifest
from mirror.core.package import PackageSource
from mirror.core.progress import SILENT, Progress
from mirror.core.reader import Bundle
from mirror.core.redistnames import redist_name_of
from mirror.core.rpmsource import RpmSource, trusted_rpms
from mirror.core.toolchain import Dangling, Toolchain, unpack_toolchain
from mirror.core.zstdframe import Zstd

LIST = "meta/rpms.json"
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
        fingerprints, key = fields.texts("fingerprints"), fields.text("key")
        paths, nevras = [], []
        for entry in fields.tables("rpms"):
            paths.append(entry.text("path"))
            entry.text("name")
            nevras.append(entry.text("nevra"))
            entry.end()
        fields.end()
        return cls(fingerprints, key, tuple(paths), tuple(nevras))


def read_rpm_list(bundle: Bundle) -> RpmList:
    """The bundle's list of RPMs, its digest checked, agreeing with the manifest.

    Raises:
        InvalidDocument: when it is missing, or does not list exactly the bundle's RPMs.
        DigestMismatch: when it has changed since the bundle was verified.
    """
    manifest: Manifest = bundle.manifest
    artifact = manifest.find(LIST)
    carried = tuple(rpm.path for rpm in manifest.within("rpms"))
    listed = RpmList.from_bytes(bundle.read(artifact)) if artifact else RpmList((), "", (), ())
    if listed.paths != carried:
        Fields({}, "RPM list").fail(
            "rpms", f"it lists {len(listed.paths)} RPMs, the manifest {len(carried)}, or in another order"
        )
    return listed


def unpack_toolkit(
    bundle: Bundle, root: Path, jobs: int = 0, progress: Progress = SILENT, zstd: Zstd | None = None
) -> Toolchain:
    """Unpack every RPM and component archive of the bundle, so that ``root/bin/nvcc`` is the compiler.

    Args:
        root: where; it must not exist.
        jobs: how many packages to read at once; 0 for one per processor.
        zstd: decompresses where this Python cannot (``mirror.closed.zstd``).

    Raises:
        DigestMismatch: when one of them has changed since the bundle was verified.
        InvalidDocument: when an RPM is another than the list says.
        MirrorError: as ``read_rpm_list``, ``read_archives`` and ``mirror.core.toolchain`` say.
    """
    rpms, archives, target = _rpms(bundle, zstd), read_archives(bundle), bundle.manifest.target
    toolchain = unpack_toolchain((*rpms, *archives), root, target, jobs=jobs, progress=progress)
    if not archives:
        return toolchain
    lost = (replace(link, package=redist_name_of(link.package, target.cuda)) for link in toolchain.dangling)
    return replace(toolchain, dangling=tuple(lost))


def _rpms(bundle: Bundle, zstd: Zstd | None) -> tuple[PackageSource, ...]:
    listed = read_rpm_list(bundle)
    if not listed.paths:
        return ()
    sources = [
        RpmSource(rpm.filename, partial(bundle.open, rpm), rpm.sha256, nevra)
        for rpm, nevra in zip(bundle.manifest.within("rpms"), listed.nevras)
    ]
    return trusted_rpms(sources, keys=listed.key, fingerprints=listed.fingerprints, zstd=zstd)


def dangling_notes(links: Iterable[Dangling]) -> tuple[str, ...]:
    """What an operator should know of links that lead nowhere; one sentence each."""
    return tuple(
        f"the toolkit's link {link} leads nowhere"
        + (f": add {link.package!r} to {_table(link.package)}" if link.package else "")
        for link in links
    )


def _table(package: str) -> str:
    """Where ``NAME.toml`` asks for it: names of RPMs end in ``-X-Y``, keys of NVIDIA's list have no dash."""
    return "[rpms].packages" if "-" in package else "[redist].components"

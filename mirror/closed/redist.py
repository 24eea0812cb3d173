"""The bundle's component archives, as sources of the CUDA toolkit: the reading of ``meta/redist.json``.

What an archive may hold is ``mirror.core.redist``'s, unpacking ``mirror.closed.toolkit``'s.

Rules: which archive is which component comes from the signed list; how many bytes it may unpack to, and its digest, from the
signed manifest.

Example::

    unpack_toolchain(read_archives(bundle), root, bundle.manifest.target)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from mirror.closed.preflight import unpacked_limit
from mirror.core.fields import Fields, strict_json
from mirror.core.names import Sha256Hex, sha256_hex
from mirror.core.reader import Bundle
from mirror.core.redist import RedistSource

LIST = "meta/redist.json"
_MAX_BYTES = 4 << 20


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


def read_archives(bundle: Bundle) -> tuple[RedistSource, ...]:
    """The component archives of a bundle; none when it carries none.

    Raises:
        InvalidDocument: when the list is missing, or does not list exactly the bundle's archives.
        DigestMismatch: when it has changed since the bundle was verified.
    """
    carried = bundle.manifest.within("redist")
    if not carried:
        return ()
    artifact = bundle.manifest.find(LIST)
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
            unpacked_limit(archive),
        )
        for archive, (component, version) in zip(carried, listed.components)
    )

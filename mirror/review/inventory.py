"""What a bundle holds, as a reviewer sees it: counts, sizes, origins, what was built here.

An inventory is made from a manifest whose signature has been checked; whether the bytes behind it are intact is
``Bundle.verify``'s to say, and ``complete`` tells whether that was done. How it is shown is the CLI's.

Example::

    with open_bundle(path) as bundle:
        take_inventory(bundle, root, complete=True).to_dict()
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirror.core.manifest import DIRECTORIES, Artifact, Manifest
from mirror.core.progress import SILENT, Progress
from mirror.core.reader import Bundle
from mirror.core.root import Root

BUILT = "built"


@dataclass(frozen=True)
class Inventory:
    """A signed bundle's contents.

    Attributes:
        manifest: the trusted manifest.
        manifest_sha256: names this bundle's contents in one word.
        signers: by role, the names of the keys whose signatures counted.
        complete: whether every byte was checked, or only the signature.
    """

    manifest: Manifest
    manifest_sha256: str
    signers: Mapping[str, tuple[str, ...]]
    complete: bool

    @property
    def locked(self) -> str:
        """The time of locking, ISO 8601 in UTC."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.manifest.sequence))

    def sizes(self) -> dict[str, tuple[int, int]]:
        """For each directory that is not empty: how many artifacts, and their bytes."""
        groups = {directory: self.manifest.within(directory) for directory in DIRECTORIES}
        return {name: (len(group), sum(item.size for item in group)) for name, group in groups.items() if group}

    def built(self) -> tuple[Artifact, ...]:
        """What was built on the connected machine; the rest came from elsewhere as it is."""
        return tuple(artifact for artifact in self.manifest.artifacts if artifact.origin == BUILT)

    def to_dict(self) -> dict[str, Any]:
        """The same for machines."""
        manifest = self.manifest
        return {
            "name": manifest.name,
            "sequence": manifest.sequence,
            "locked": self.locked,
            "target": manifest.target.to_dict(),
            "tool": manifest.tool,
            "manifest_sha256": self.manifest_sha256,
            "signers": {role: list(names) for role, names in self.signers.items()},
            "verified": "every byte" if self.complete else "signature",
            "bytes": manifest.total_bytes,
            "unpacked_bytes": sum(artifact.unpacked_size for artifact in manifest.artifacts),
            "directories": {name: {"count": count, "bytes": size} for name, (count, size) in self.sizes().items()},
            "imports": list(manifest.imports),
            "built_here": [artifact.path for artifact in self.built()],
            "artifacts": [artifact.to_dict() for artifact in manifest.artifacts],
        }


def take_inventory(bundle: Bundle, root: Root, complete: bool, progress: Progress = SILENT) -> Inventory:
    """Check a bundle and say what it holds.

    Args:
        root: the trusted root; nothing is said of a bundle that it does not vouch for.
        complete: check every byte too, not only the signature.

    Raises:
        MirrorError: as ``Bundle.trust`` and ``Bundle.verify`` do.
    """
    manifest = bundle.trust(root)
    if complete:
        bundle.verify(progress)
    signers = bundle.signers.by_role if bundle.signers else {}
    return Inventory(manifest, bundle.digest, signers, complete)

"""What a bundle holds, as a reviewer sees it: counts, sizes, origins, what was built here.

An inventory is made from a manifest whose signature has been checked; whether the bytes behind it are intact is
``Bundle.verify``'s to say, and ``complete`` tells whether that was done. How it is shown is the CLI's.

Example::

    take_inventory(bundle.trust(root), signers, complete=True).to_dict()
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from mirror.core.manifest import DIRECTORIES, Artifact, Manifest

BUILT = "built"


@dataclass(frozen=True)
class Inventory:
    """A signed bundle's contents.

    Attributes:
        manifest: the trusted manifest.
        manifest_sha256: names this bundle's contents in one word.
        signers: fingerprints of the keys whose signatures counted, as OpenSSH prints them.
        complete: whether every byte was checked, or only the signature.
    """

    manifest: Manifest
    manifest_sha256: str
    signers: tuple[str, ...]
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
            "signers": list(self.signers),
            "verified": "every byte" if self.complete else "signature",
            "bytes": manifest.total_bytes,
            "unpacked_bytes": sum(artifact.unpacked_size for artifact in manifest.artifacts),
            "directories": {name: {"count": count, "bytes": size} for name, (count, size) in self.sizes().items()},
            "imports": list(manifest.imports),
            "built_here": [artifact.path for artifact in self.built()],
            "artifacts": [artifact.to_dict() for artifact in manifest.artifacts],
        }

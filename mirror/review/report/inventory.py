"""What a bundle holds, as a reviewer sees it: counts, sizes, origins, what was built here.

An inventory is made from a manifest whose signature has been checked; ``Bundle.verify`` checks whether the bytes behind it are
intact, and ``complete`` tells whether that was done. The CLI shows it.

Example::

    with open_bundle(path) as bundle:
        take_inventory(bundle, root, complete=True).to_dict()
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirror.core.bundle.manifest import BUILT, Artifact, Manifest
from mirror.core.bundle.reader import Bundle
from mirror.core.progress import SILENT, Progress
from mirror.core.trust.quorum import Tally, unmet
from mirror.core.trust.root import Root
from mirror.core.trust.sidecars import REJECTED, Statement, named_otherwise
from mirror.core.trust.verdict import REVIEW
from mirror.core.words import utc


@dataclass(frozen=True)
class Inventory:
    """A signed bundle's contents.

    Attributes:
        manifest: the trusted manifest.
        manifest_sha256: names this bundle's contents in one word.
        tallies: who has signed, by role, and how many must.
        complete: whether every byte was checked, or only the signature.
        statements: what people said of it, beside it: ``(name, statement)``, oldest first.
        ignored: what lies beside it and counts for nothing: a sentence each.
    """

    manifest: Manifest
    manifest_sha256: str
    tallies: tuple[Tally, ...]
    complete: bool
    statements: tuple[tuple[str, Statement], ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def signers(self) -> Mapping[str, tuple[str, ...]]:
        """By role, the names of the keys whose signatures counted."""
        return {one.role: one.signed for one in self.tallies}

    @property
    def missing(self) -> tuple[Tally, ...]:
        """Roles of which too few have signed."""
        return unmet(self.tallies)

    @property
    def refusals(self) -> tuple[tuple[str, Statement], ...]:
        """Of those who have refused it and have not approved since: ``(name, statement)``."""
        return tuple((who, said) for who, said in dict(self.statements).items() if said.decision == REJECTED)

    @property
    def refusing(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(who for who, _ in self.refusals)

    @property
    def locked(self) -> str:
        """The time of locking, ISO 8601 in UTC."""
        return utc(self.manifest.sequence)

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
            "signatures": {one.role: one.to_dict() for one in self.tallies},
            "missing": [str(one) for one in self.missing],
            "statements": [
                {"who": who, "decision": one.decision, "at": one.at, "note": one.note} for who, one in self.statements
            ],
            "ignored": list(self.ignored),
            "verified": "every byte" if self.complete else "signature",
            "bytes": manifest.total_bytes,
            "unpacked_bytes": manifest.installed_bytes,
            "directories": {name: {"count": count, "bytes": size} for name, (count, size) in manifest.sizes().items()},
            "imports": list(manifest.imports),
            "built_here": [artifact.path for artifact in self.built()],
            "artifacts": [artifact.to_dict() for artifact in manifest.artifacts],
        }


def take_inventory(bundle: Bundle, root: Root, complete: bool, progress: Progress = SILENT) -> Inventory:
    """Check a bundle and say what it holds.

    Args:
        root: the trusted root; nothing is said of a bundle that none of its builders signed. Signatures may be missing: it is
            for those who are still to sign.
        complete: check every byte too, not only the signature.

    Raises:
        MirrorError: as ``Bundle.trust`` and ``Bundle.verify`` do.
    """
    manifest = bundle.trust(root, required=REVIEW)
    if complete:
        bundle.verify(progress)
    assert bundle.signers and bundle.root, "the manifest was trusted"
    named = {key.public: key.name for _, role in bundle.root.roles() for key in role.keys}
    said = [(named[one.signer], one.statement) for one in bundle.sidecars.statements if one.signer in named]
    beside = [(one.path, one.signer) for one in bundle.sidecars.approvals]
    beside += [(one.path, one.signer) for one in bundle.sidecars.statements]
    strangers = [
        f"{path.name}: its signer, {signer.fingerprint}, is not named by the root"
        for path, signer in beside
        if signer not in named
    ]
    unnamed = named_otherwise(bundle.path, bundle.manifest_bytes) if unmet(bundle.signers.tallies) else ()
    return Inventory(
        manifest,
        bundle.digest,
        bundle.signers.tallies,
        complete,
        statements=tuple(sorted(said, key=lambda one: (one[1].at, one[1].decision == REJECTED))),
        ignored=(*bundle.sidecars.ignored, *strangers, *unnamed),
    )

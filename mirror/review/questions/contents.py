"""What a reviewer compares: a bundle's manifest with its dossier and signers, or a manifest alone, extracted from one.

Example::

    contents = read_contents(Path("bundle.tar"), root)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mirror.core.advisories import known as advisories
from mirror.core.advisories.known import Advisories
from mirror.core.bundle import dossier as dossiers
from mirror.core.bundle.dossier import Dossier, FileFacts
from mirror.core.bundle.manifest import MAX_BYTES, Manifest
from mirror.core.bundle.reader import Bundle, open_bundle
from mirror.core.bundle.volumes.opened import open_file
from mirror.core.errors import reading
from mirror.core.trust.chain import check_chain
from mirror.core.trust.quorum import NotTrustedNow, ThresholdNotMet, UnknownSigner
from mirror.core.trust.root import Root
from mirror.core.trust.verdict import REVIEW


@dataclass(frozen=True)
class Contents:
    """One side of a comparison.

    Attributes:
        label: the file's name.
        manifest: of a bundle that is trusted; of a manifest's file, as it stands there.
        dossier: what is known of the artifacts; None where the bundle carries none, and for a manifest alone.
        signers: by role, the names of those who signed; None for a manifest alone, whose signature nobody can check.
        root: the last that travels in it; None where none does, and for a manifest alone.
    """

    label: str
    manifest: Manifest
    dossier: Dossier | None = None
    signers: Mapping[str, tuple[str, ...]] | None = field(default=None)
    root: Root | None = None

    def facts(self, path: str) -> FileFacts | None:
        return self.dossier.file(path) if self.dossier else None


_BY_MANIFEST = (
    "To compare all the same, take the manifest out of it (tar xf FILE MANIFEST.json) and name that: it is compared as it is, "
    "whoever signed it."
)


def read_contents(path: Path, root: Root, volumes: Iterable[Path] = ()) -> Contents:
    """Read a bundle, or a ``MANIFEST.json`` that was taken out of one.

    Args:
        volumes: directories in which volumes of it may lie.

    Raises:
        Unreadable: when it cannot be read.
        NotTrustedNow: when today's root does not trust who signed it.
        MirrorError: as ``Bundle.trust``, ``Manifest.parse`` and ``Dossier.parse``.
    """
    volumes = tuple(volumes)
    if _first_byte(path, volumes) == b"{":
        with open(path, "rb") as stream:
            return Contents(path.name, Manifest.parse(stream.read(MAX_BYTES + 1)))
    with open_bundle(path, volumes) as bundle:
        try:
            manifest = bundle.trust(root, required=REVIEW)
        except (UnknownSigner, ThresholdNotMet) as exc:
            raise NotTrustedNow(str(path), str(exc), _BY_MANIFEST) from exc
        signers = bundle.signers.by_role if bundle.signers else None
        return Contents(bundle.path.name, manifest, dossier_of(bundle), signers, last_root_of(bundle))


def last_root_of(bundle: Bundle) -> Root | None:
    """The newest root that a trusted bundle brings, by which its maker signed; None where it brings none."""
    return check_chain(bundle.root_documents)[-1] if bundle.root_documents else None


def dossier_of(bundle: Bundle) -> Dossier | None:
    """The dossier of a trusted bundle; None where it carries none. Raises as ``Bundle.read`` and ``Dossier.parse``."""
    carried = bundle.manifest.find(dossiers.PATH)
    return Dossier.parse(bundle.read(carried)) if carried else None


def advisories_of(bundle: Bundle) -> Advisories | None:
    """The vulnerabilities that were known when a trusted bundle was made; None where it carries none. Raises likewise."""
    carried = bundle.manifest.find(advisories.PATH)
    return Advisories.parse(bundle.read(carried)) if carried else None


def _first_byte(path: Path, volumes: Iterable[Path]) -> bytes:
    with reading(path, below=True), open_file(path, volumes) as file:
        return file.read_at(1, 0)

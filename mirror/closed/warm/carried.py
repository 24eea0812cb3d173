"""A carried layer's file: verified as every bundle is, then read.

``mirror.closed.warm.packing`` writes it; ``mirror.closed.warm.layer`` puts it into a generation.

Rules: the signatures come first, then every digest, then the refusals beside it; only then is a word of it believed. The tar of
files holds exactly those that the signed document names, in its order, each with its size and digest; nothing else.

Example::

    with open_layer(Path("h100.warm.tar"), store) as carried:
        for member, pieces in carried.files(): ...
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mirror.closed.warm.document import CACHES, DOCUMENT, MAX_BYTES, TOP, Layer, Member
from mirror.core.archives.tarstream import BadArchive, TarStream
from mirror.core.bundle.manifest import Manifest
from mirror.core.bundle.reader import Bundle, DigestMismatch, open_bundle
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Progress
from mirror.core.trust.quorum import Signers
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import check_refusals


class NotALayer(MirrorError):
    """A bundle was given where a layer of compiled kernels was meant, or the other way round."""

    ref = "not-a-layer"
    exit_code = FAMILIES["install"]
    hint = (
        "'mirror install' takes bundles of a stack; 'mirror cache add' takes layers, which 'mirror cache pack' makes."
    )
    message = "{path} is {found}, not {wanted}"

    path: str
    found: str
    wanted: str


def is_layer(manifest: Manifest) -> bool:
    """Whether a bundle is a layer of compiled kernels."""
    return manifest.find(DOCUMENT) is not None


def refuse_layer(path: Path, manifest: Manifest) -> None:
    """For those who want a stack.

    Raises:
        NotALayer: when it is a layer.
    """
    if is_layer(manifest):
        raise NotALayer(str(path), f"a layer of compiled kernels for {manifest.name}", "a stack to install")


class Carried:
    """A verified layer, open.

    Attributes:
        layer: what it says of itself.
        signers: who signed it.
    """

    def __init__(self, bundle: Bundle, layer: Layer, signers: Signers) -> None:
        self._bundle, self.layer, self.signers = bundle, layer, signers

    def files(self) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """Each file and its bytes, which must be read to their end before the next.

        Raises:
            BadArchive: when the tar does not hold what the document names.
            DigestMismatch: after the last piece of a file that has another digest.
        """
        artifact = self._bundle.manifest.find(CACHES)
        assert artifact is not None, "open_layer has seen it"
        expected = iter(self.layer.files)
        with self._bundle.open(artifact) as stream:
            tar = TarStream(stream, CACHES, artifact.size)
            for found in tar:
                member = next(expected, None)
                if member is None:
                    raise BadArchive(CACHES, f"{found.path!r} is not named in {DOCUMENT}")
                if (
                    found.path != member.path
                    or not stat.S_ISREG(found.mode)
                    or found.original
                    or found.size != member.size
                ):
                    raise BadArchive(
                        CACHES, f"{member.path!r} of {member.size} bytes should be where {found.path!r} is"
                    )
                yield member, _checked(member, tar)
            missing = next(expected, None)
            if missing or (self.layer.files and tar.top != TOP):
                raise BadArchive(CACHES, f"{missing.path if missing else TOP!r} is missing")

    def check(self, progress: Progress = SILENT) -> None:
        """Read all files once. Raises as ``files``."""
        with progress.task("check", self.layer.size) as advance:
            for _, pieces in self.files():
                for piece in pieces:
                    advance(len(piece))


def _checked(member: Member, tar: TarStream) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for piece in tar.content():
        digest.update(piece)
        yield piece
    actual = Sha256Hex(digest.hexdigest())
    if actual != member.sha256:
        raise DigestMismatch(member.path, member.sha256, actual)


@contextmanager
def open_layer(
    path: Path, store: TrustStore, required: Sequence[str] = ("builder", "approver"), progress: Progress = SILENT
) -> Iterator[Carried]:
    """Open a layer's file and verify all of it.

    Args:
        required: whose thresholds must be met; ``REVIEW`` for those who look at it before all have signed.

    Raises:
        NotALayer: when it is another bundle.
        BundleRejected: when somebody whom the root names has refused it.
        MirrorError: as ``Bundle.trust`` and ``Bundle.verify`` do.
    """
    with open_bundle(path) as bundle:
        root = store.load_root()
        manifest = bundle.trust(root, required)
        if required:
            check_refusals(bundle.sidecars, bundle.root or root)
        document, caches = manifest.find(DOCUMENT), manifest.find(CACHES)
        if document is None or caches is None:
            raise NotALayer(str(path), f"a bundle of {manifest.name}", "a layer of compiled kernels")
        bundle.verify(progress)
        if document.size > MAX_BYTES:
            raise InvalidDocument("Layer", "", f"it has {document.size} bytes, more than the {MAX_BYTES} allowed")
        layer = Layer.parse(bundle.read(document))
        if layer.key.stack != manifest.name:
            raise InvalidDocument("Layer", "key.stack", f"expected {manifest.name!r}, got {layer.key.stack!r}")
        assert bundle.signers is not None, "the manifest was trusted"
        yield Carried(bundle, layer, bundle.signers)

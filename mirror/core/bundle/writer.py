"""Writing a bundle: one pass that reads each source, checks its digest, and writes the canonical tar.

The bytes are a function of the manifest, its signatures and the root chain (``mirror.core.bundle.layout``). The manifest is
made and signed before: every digest is known, and a source that has changed since is refused as it is read. The builder writes
bundles of stacks so, ``mirror.closed.warm.packing`` those of compiled kernels.

Example::

    pack(manifest, manifest_bytes, signatures, roots, sources, Path("bundle.tar"))
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Union

from mirror.core.bundle import layout
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.errors import MirrorError
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.system.durable import replacing

Source = Union[Path, bytes]
"""Where an artifact's bytes come from: a file of the store, or bytes that mirror made."""

_CHUNK = 1 << 20


class SourceChanged(MirrorError):
    """A file of the store is no longer what was fetched or built."""

    ref = "source-changed"
    exit_code = 79
    hint = "Something else writes into mirror's cache, or the disk is failing. Remove the file and run again."
    message = "{path}: sha256 is {actual} now, it was {expected} when it was fetched or built"

    path: str
    expected: Sha256Hex
    actual: Sha256Hex


class NoSpaceForBundle(MirrorError):
    """The output's disk has less room than the bundle takes."""

    ref = "no-space-for-bundle"
    exit_code = 78
    hint = "Free space there, or name a file on another disk with -o."
    message = "the bundle takes {needed} bytes, {directory} has {free} free"

    directory: str
    needed: int
    free: int


def pack(
    manifest: Manifest,
    manifest_bytes: bytes,
    signatures: Sequence[bytes],
    roots: Sequence[tuple[bytes, bytes]],
    sources: Mapping[str, Source],
    output: Path,
    progress: Progress = SILENT,
) -> Sha256Hex:
    """Write a bundle; it has its name only when it is whole.

    Args:
        manifest: what ``manifest_bytes`` encodes.
        signatures: armored sshsig blocks over ``manifest_bytes``.
        roots: ``(root.json, its signatures)`` for versions 1, 2, ...
        sources: by artifact path.

    Returns:
        The sha256 of the whole file.

    Raises:
        SourceChanged: when a source's bytes are not the manifest's.
        NoSpaceForBundle: before anything is written.
        Unwritable: when the output's directory or disk refuses.
    """
    _check_space(manifest, output)
    with replacing(output) as stream, progress.task("pack", manifest.total_bytes) as advance:
        tar = _Hashing(stream)
        tar.write(head(manifest_bytes, signatures, roots))
        for artifact in manifest.artifacts:
            _copy(tar, artifact, sources[artifact.path], advance)
        tar.write(layout.END)
    return Sha256Hex(tar.digest.hexdigest())


def head(manifest_bytes: bytes, signatures: Sequence[bytes], roots: Sequence[tuple[bytes, bytes]]) -> bytes:
    """With what a bundle begins: the manifest, its signatures, the root chain. See ``pack``."""
    members = [(layout.MANIFEST, manifest_bytes)]
    members += [(layout.signature_name(number), signature) for number, signature in enumerate(signatures, 1)]
    for version, documents in enumerate(roots, 1):
        members += zip(layout.root_names(version), documents)
    return b"".join(layout.header(name, len(data)) + data + layout.padding(len(data)) for name, data in members)


class _Hashing:
    """A file being written, and the digest of what was written."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._stream.write(data)
        self.digest.update(data)


def _check_space(manifest: Manifest, output: Path) -> None:
    needed = sum(layout.member_bytes(artifact.size) for artifact in manifest.artifacts) + (1 << 20)
    if output.parent.is_dir():
        free = shutil.disk_usage(output.parent).free
        if free < needed:
            raise NoSpaceForBundle(str(output.absolute().parent), needed, free)


def _copy(tar: _Hashing, artifact: Artifact, source: Source, advance: Advance) -> None:
    tar.write(layout.header(artifact.path, artifact.size))
    digest, left = hashlib.sha256(), artifact.size
    with closing(io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")) as stream:
        # One byte more is asked for than is expected, so that a source that has grown is noticed too.
        while chunk := stream.read(min(_CHUNK, left + 1)):
            digest.update(chunk)
            left -= len(chunk)
            if left < 0:
                break
            tar.write(chunk)
            advance(len(chunk))
    actual = Sha256Hex(digest.hexdigest())
    if left or actual != artifact.sha256:
        raise SourceChanged(artifact.path if isinstance(source, bytes) else str(source), artifact.sha256, actual)
    tar.write(layout.padding(artifact.size))

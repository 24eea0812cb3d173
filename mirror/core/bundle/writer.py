"""Writing a bundle: the canonical tar, whose bytes are a function of the manifest, its signatures and the root chain
(``mirror.core.bundle.layout``). The manifest is made and signed before: every digest is known.

Two ways lead to the same bytes. ``pack`` reads each source, checks its digest as it goes by, and gives the digest of what it
wrote: ``mirror.closed.warm.packing`` writes the bundles of compiled kernels so. ``write`` looks at no byte, and lets the system
copy: it is for a caller who reads the file back (``Bundle.verify_whole``), which finds every byte that is not the manifest's,
whether it was the source or the copy that went wrong; ``changed_source`` then tells which. The builder writes stacks so, for
hashing gigabytes before they are written, as they are written and as they are read back takes three times as long, and proves
no more than the last of them.

Rules: a source of another size than the manifest's is refused as it is copied, by either.

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
from mirror.core.errors import MirrorError, Unreadable
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.system.copying import copied
from mirror.core.system.durable import replacing, sha256_of

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
        tar.write(layout.head(manifest_bytes, signatures, roots))
        for artifact in manifest.artifacts:
            _copy(tar, artifact, sources[artifact.path], advance)
        tar.write(layout.END)
    return Sha256Hex(tar.digest.hexdigest())


def write(
    manifest: Manifest, beginning: bytes, sources: Mapping[str, Source], output: Path, progress: Progress = SILENT
) -> None:
    """Write a bundle that is to be read back: of its sources nothing but the size was looked at.

    Args:
        beginning: ``layout.head`` of the manifest's bytes.

    Raises:
        SourceChanged: when a source has another size than the manifest says. Unreadable: when it has, and then has not.
        NoSpaceForBundle, Unwritable: as ``pack``.
    """
    _check_space(manifest, output)
    with replacing(output) as stream, progress.task("pack", manifest.total_bytes) as advance:
        stream.write(beginning)
        for artifact in manifest.artifacts:
            stream.write(layout.header(artifact.path, artifact.size))
            _transfer(stream, artifact, sources[artifact.path], advance)
            stream.write(layout.padding(artifact.size))
        stream.write(layout.END)


def _transfer(stream: BinaryIO, artifact: Artifact, source: Source, advance: Advance) -> None:
    if isinstance(source, bytes):
        stream.write(source)
        advance(len(source))
        return
    stream.flush()
    with source.open("rb", buffering=0) as file:
        size = copied(file.fileno(), stream.fileno(), artifact.size, advance)
        if size < artifact.size or file.read(1):
            raise changed_source(artifact, source) or Unreadable(str(source), "it changes while it is read")


def changed_source(artifact: Artifact, source: Source) -> SourceChanged | None:
    """What is wrong with a source that is read once more; None when it is what the manifest says.

    Raises:
        OSError: when it cannot be read.
    """
    with closing(io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")) as stream:
        actual = sha256_of(stream)
    return None if actual == artifact.sha256 else _changed(artifact, source, actual)


def _changed(artifact: Artifact, source: Source, actual: Sha256Hex) -> SourceChanged:
    return SourceChanged(artifact.path if isinstance(source, bytes) else str(source), artifact.sha256, actual)


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
        raise _changed(artifact, source, actual)
    tar.write(layout.padding(artifact.size))

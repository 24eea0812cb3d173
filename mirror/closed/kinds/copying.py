"""Copying one artifact out of a bundle to where it belongs, its digest checked on the way.

Each kind's own module knows where that is.

Rules: the file may have changed since the bundle was verified, so what is written is hashed as it is read; a copy that is not
the signed one is removed; nothing that exists is written to, and no link is followed in its place.

Example::

    copy_artifact(bundle, artifact, generation / artifact.path)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from mirror.core.bundle.manifest import Artifact
from mirror.core.bundle.reader import Bundle, DigestMismatch
from mirror.core.errors import Unreadable, place_of
from mirror.core.names import Sha256Hex
from mirror.core.progress import Advance

_CHUNK = 1 << 20


def copy_artifact(bundle: Bundle, artifact: Artifact, path: Path, advance: Advance = lambda _: None) -> Path:
    """Write an artifact's bytes to a new file of mode 0644, lessened by the umask; directories above it are made.

    Args:
        bundle: verified, and open.
        advance: is told of the bytes.

    Returns:
        ``path``.

    Raises:
        DigestMismatch: when the bytes are not the signed ones.
        Unreadable: when the bundle cannot be read.
        OSError: when the file exists, or the disk refuses; the caller knows what was to be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        with open(descriptor, "wb") as target:
            for piece in pieces_of(bundle, artifact):
                target.write(piece)
                advance(len(piece))
    except BaseException:
        path.unlink()
        raise
    return path


def pieces_of(bundle: Bundle, artifact: Artifact) -> Iterator[bytes]:
    """An artifact's bytes; whoever takes them believes them only when the last was taken.

    Raises:
        DigestMismatch: after the last piece, when the bytes are not the signed ones.
        Unreadable: when the bundle cannot be read.
    """
    digest = hashlib.sha256()
    with bundle.open(artifact) as source:
        while True:
            try:
                piece = source.read(_CHUNK)
            except OSError as exc:
                raise Unreadable(place_of(exc, bundle.path), f"{exc.strerror or exc} (in {artifact.path})") from exc
            if not piece:
                break
            digest.update(piece)
            yield piece
    actual = Sha256Hex(digest.hexdigest())
    if actual != artifact.sha256:
        raise DigestMismatch(artifact.path, artifact.sha256, actual, str(bundle.path))

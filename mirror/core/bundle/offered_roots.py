"""Roots that are offered for trust: their bytes and signatures, out of a bundle or a file of its own. Nothing is trusted here.

Whether to believe it is left to ``TrustStore.add_chain``, which wants its fingerprint.

Example::

    store.add_chain(read_offered_roots(Path("bundle.tar")), confirmed_fingerprint=fingerprint)
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mirror.core.bundle.reader import open_bundle
from mirror.core.bundle.volumes.opened import open_file
from mirror.core.errors import InvalidDocument, Unreadable, place_of
from mirror.core.trust.chain import Documents
from mirror.core.trust.root import MAX_ROOT_BYTES


def read_offered_roots(path: Path, volumes: Iterable[Path] = ()) -> Documents:
    """The chain of roots that a bundle carries, or ``NAME.json`` with ``NAME.sig`` beside it.

    Args:
        volumes: directories in which volumes of a bundle may lie.

    Returns:
        Documents and their signatures, for ``TrustStore.add_chain``.

    Raises:
        Unreadable: when the file, or the signatures beside a document, cannot be read.
        BadLayout: when it is neither a root document nor a bundle.
        InvalidDocument: when the bundle carries no root.
    """
    volumes = tuple(volumes)
    if _first_byte(path, volumes) == b"{":
        return ((_read(path), _read(path.with_suffix(".sig"))),)
    with open_bundle(path, volumes) as bundle:
        if not bundle.root_documents:
            raise InvalidDocument("Bundle", "ROOT/1.json", "missing")
        return bundle.root_documents


def _first_byte(path: Path, volumes: Iterable[Path]) -> bytes:
    try:
        with open_file(path, volumes) as file:
            return file.read_at(1, 0)
    except OSError as exc:
        raise Unreadable(place_of(exc, path), exc.strerror or str(exc)) from exc


def _read(path: Path) -> bytes:
    """A document; one byte more than allowed is enough for the parser to refuse it."""
    try:
        with open(path, "rb") as stream:
            return stream.read(MAX_ROOT_BYTES + 1)
    except OSError as exc:
        raise Unreadable(str(path), exc.strerror or str(exc)) from exc

"""Roots that are offered for trust: their bytes and signatures, out of a bundle or a file of its own. Nothing is trusted here.

Whether to believe it is left to ``TrustStore.add_chain``, which wants its fingerprint.

Example::

    store.add_chain(read_offered_roots(Path("bundle.tar")), confirmed_fingerprint=fingerprint)
"""

from __future__ import annotations

from pathlib import Path

from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.trust.chain import Documents
from mirror.core.trust.root import MAX_ROOT_BYTES


def read_offered_roots(path: Path) -> Documents:
    """The chain of roots that a bundle carries, or ``NAME.json`` with ``NAME.sig`` beside it.

    Returns:
        Documents and their signatures, for ``TrustStore.add_chain``.

    Raises:
        Unreadable: when the file, or the signatures beside a document, cannot be read.
        BadLayout: when it is neither a root document nor a bundle.
        InvalidDocument: when the bundle carries no root.
    """
    if _read(path, 1) == b"{":
        return ((_read(path), _read(path.with_suffix(".sig"))),)
    with open_bundle(path) as bundle:
        if not bundle.root_documents:
            raise InvalidDocument("Bundle", "ROOT/1.json", "missing")
        return bundle.root_documents


def _read(path: Path, size: int = MAX_ROOT_BYTES + 1) -> bytes:
    """At most ``size`` bytes; one more than allowed is enough for the parser to refuse them all."""
    try:
        with open(path, "rb") as stream:
            return stream.read(size)
    except OSError as exc:
        raise Unreadable(str(path), exc.strerror or str(exc)) from exc

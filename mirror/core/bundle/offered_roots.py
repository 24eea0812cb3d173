"""Roots that are offered for trust: their bytes and signatures, out of a bundle or a file of its own. Nothing is trusted here.

Whether to believe it is left to ``TrustStore.add_chain``, which wants its fingerprint.

Example::

    store.add_chain(read_offered_roots(Path("bundle.tar")), confirmed_fingerprint=fingerprint)
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from mirror.core.bundle.reader import open_bundle
from mirror.core.bundle.volumes.opened import open_file
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError, reading
from mirror.core.system.durable import read_file
from mirror.core.system.filekinds import KEYS, PUBLIC_KEY, kind_of_file
from mirror.core.trust.chain import Documents
from mirror.core.trust.root import MAX_ROOT_BYTES, ROLES


class KeyNotRoot(MirrorError):
    """A key was offered where a root was to be.

    Attributes:
        path: the key's file.
        kind: one of ``KEYS``, in words.
    """

    ref = "key-not-root"
    exit_code = FAMILIES["trust"]
    hint = (
        "Name the bundle, or the root's own file (roots/N.json of the store of whoever holds the root keys, with N.sig beside "
        "it)."
    )
    message = "{path} is {kind}, and no root that says whose keys count"

    path: str
    kind: str

    def __post_init__(self) -> None:
        if self.kind == PUBLIC_KEY:
            self.hint = (
                f"To have the next root name it, on the connected machine: `mirror trust add {shlex.quote(self.path)} --role "
                f"{'|'.join(reversed(ROLES))}`. To trust a root: {self.hint[0].lower()}{self.hint[1:]}"
            )
        else:
            self.hint += " A private key is never carried: where this one left its machine, make another."


def read_offered_roots(path: Path, volumes: Iterable[Path] = ()) -> Documents:
    """The chain of roots that a bundle carries, or ``NAME.json`` with ``NAME.sig`` beside it.

    Args:
        volumes: directories in which volumes of a bundle may lie.

    Returns:
        Documents and their signatures, for ``TrustStore.add_chain``.

    Raises:
        Unreadable: when the file, or the signatures beside a document, cannot be read.
        KeyNotRoot: when it is a key.
        BadLayout: when it is neither a root document nor a bundle.
        InvalidDocument: when the bundle carries no root.
    """
    volumes = tuple(volumes)
    with reading(path, below=True), open_file(path, volumes) as file:
        first = file.read_at(min(file.size, 64), 0)
    if first.startswith(b"{"):
        return ((read_file(path, MAX_ROOT_BYTES), read_file(path.with_suffix(".sig"), MAX_ROOT_BYTES)),)
    if (kind := kind_of_file(first)) in KEYS:
        raise KeyNotRoot(str(path), kind)
    with open_bundle(path, volumes) as bundle:
        if not bundle.root_documents:
            raise InvalidDocument("Bundle", "ROOT/1.json", "missing")
        return bundle.root_documents

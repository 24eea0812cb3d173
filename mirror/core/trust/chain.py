"""The chain of roots: each next one is signed by the one before and by itself, so trust in the first is trust in the last.

It checks documents; ``mirror.core.trust.truststore`` keeps them, ``mirror.core.bundle.reader`` finds them in a bundle.

Rules (TUF specification 5.3.4 to 5.3.7; SECURITY.md T10): the next version is greater by exactly one; the threshold of the
root role of version N and that of version N+1 have both signed version N+1; signatures over a successor are checked by N
before it is parsed; a version has one document, so another of the same number is a fork and refused. That an older root has
expired does not matter to its successor: only the newest is used.

Example::

    roots = check_chain(documents)
    newest = continued(trusted, bundle.root_documents)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Tuple

from mirror.core.errors import MirrorError
from mirror.core.names import Sha256Hex
from mirror.core.signatures import sshsig
from mirror.core.trust.quorum import check_quorum
from mirror.core.trust.root import NAMESPACE, Root

MAX_ROOTS = 256


Documents = Tuple[Tuple[bytes, bytes], ...]
"""``(root.json, its signatures)`` of versions 1, 2, ...; the signatures are armored sshsig blocks, one after another."""


class BrokenChain(MirrorError):
    """A root does not follow the one before it."""

    ref = "root-chain-broken"
    exit_code = 114
    hint = "Roots are trusted one after another: get the ones between, or a bundle that carries them all."
    message = "root version {expected} comes next, version {found} was offered"

    expected: int
    found: int


class RootForked(MirrorError):
    """Two different roots claim one version."""

    ref = "root-forked"
    exit_code = 115
    hint = (
        "Somebody signed two different roots: use neither until the holders of the root keys say which one is right, and "
        "compare `mirror trust show` on both machines."
    )
    message = (
        "root version {version} is {trusted:grouped} here, another version {version} was offered: {offered:grouped}"
    )

    version: int
    trusted: Sha256Hex
    offered: Sha256Hex


def fingerprint(document: bytes) -> Sha256Hex:
    """What a root document is called; of a document in the one encoding, equal to ``Root.fingerprint``."""
    return Sha256Hex(hashlib.sha256(document).hexdigest())


def check_root(document: bytes, signatures: bytes) -> Root:
    """Parse a root whose bytes are the ones that the user confirmed, and check that it signed itself.

    Args:
        document: ``root.json``.
        signatures: armored sshsig blocks, one after another.

    Raises:
        InvalidDocument, NotSigned, UnacceptableSignature, SignatureMismatch, UnknownSigner, ThresholdNotMet: in this order.
    """
    # (1) It is a root, by all the rules of one.
    root = Root.parse(document)
    # (2) Its own root role signed it, so whoever made it held those keys.
    check_quorum("root", document, sshsig.split(signatures), NAMESPACE, root, ("root",))
    return root


def check_successor(before: Root, document: bytes, signatures: bytes) -> Root:
    """Check that a document is the root that follows ``before``.

    Raises:
        NotSigned, UnacceptableSignature, SignatureMismatch, UnknownSigner, ThresholdNotMet: by the keys of ``before``.
        InvalidDocument: it is no root. BrokenChain: it is not the next version.
        ThresholdNotMet: by its own keys.
    """
    # (1) Those whom we trust say that this comes next. TUF 5.3.4, first half: before a byte of it is parsed.
    check_quorum("root", document, sshsig.split(signatures), NAMESPACE, before, ("root",))
    # (2) It is a root that its own holders signed too: keys that nobody holds cannot be handed the role. Second half.
    root = check_root(document, signatures)
    # (3) Exactly one step: none skipped, none replayed. TUF 5.3.5.
    if root.version != before.version + 1:
        raise BrokenChain(before.version + 1, root.version)
    return root


def check_chain(documents: Sequence[tuple[bytes, bytes]]) -> tuple[Root, ...]:
    """Check a chain of at least one, from its first root on, which the caller has confirmed or is about to.

    Raises:
        InvalidDocument: one of them is no root.
        BrokenChain: the first is not version 1, or one is not the next of the one before.
        NotSigned, UnacceptableSignature, SignatureMismatch, UnknownSigner, ThresholdNotMet: one is not signed by enough of its
            own root role's keys, or of those of the root before it.
    """
    first, *rest = documents
    roots = [check_root(*first)]
    if roots[0].version != 1:
        raise BrokenChain(1, roots[0].version)
    for document, signatures in rest:
        roots.append(check_successor(roots[-1], document, signatures))
    return tuple(roots)


def continued(trusted: Root, documents: Sequence[tuple[bytes, bytes]]) -> Root:
    """The newest root that a chain proves to somebody who trusts one of its roots.

    A chain that ends before ``trusted``, or has another root in its place, proves nothing new: ``trusted`` stays the judge.

    Raises:
        InvalidDocument, BrokenChain, NotSigned, UnacceptableSignature, SignatureMismatch, UnknownSigner, ThresholdNotMet: one
            that comes after ``trusted`` does not follow from the one before it (``check_successor``).
    """
    if is_forked(trusted, documents):
        return trusted
    newest = trusted
    for document, signatures in documents[trusted.version :]:
        newest = check_successor(newest, document, signatures)
    return newest


def is_forked(trusted: Root, documents: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a chain has another root than ``trusted`` in its place."""
    at = trusted.version - 1
    return len(documents) > at and fingerprint(documents[at][0]) != trusted.fingerprint

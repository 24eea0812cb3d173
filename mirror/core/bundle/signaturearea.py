"""The part of a bundle that no digest in the manifest covers: ``SIG/N.sig``, and ``ROOT/N.sig``. It has one legal form, too.

Whether the signatures are good and enough is left to ``mirror.core.trust``; this module takes them as they claim to be.

Rules, which hold by the chain of roots in the bundle itself, so that a later root changes nothing:
(1) the manifest's signatures are of builders and approvers of its newest root, in the order of their keys' fingerprints;
(2) those of a root are of the holders of the root role in the version before it and in its own, in the order in which these
    name them;
(3) each key's is there once;
(4) which of a root's are there, ``meta/SHA256SUMS`` tells, which is made after them. Those of the manifest are made after
    everything, so none of them can be asked for by name: without one that is not needed, a bundle is what the others alone
    would have made.

Example::

    fault_of_order(bundle.signatures, bundle.root_documents)     # "" for none
    fault_of_sums(bundle.read(sums), bundle.root_documents)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Tuple

from mirror.core.bundle.layout import root_names, signature_name
from mirror.core.signatures import sshsig
from mirror.core.trust.chain import Documents
from mirror.core.trust.root import Key, Root

SUMS = "meta/SHA256SUMS"
"""What ``sha256sum -c`` reads where the tar was unpacked."""


def ordered(blocks: Iterable[bytes], root: Root) -> Tuple[bytes, ...]:
    """A manifest's signatures, of those whom a root lets sign one, in the order of their keys' fingerprints.

    Raises:
        UnacceptableSignature: for what is no signature.
    """
    keys = (*root.builder.keys, *root.approver.keys)
    return _of_holders(blocks, sorted(keys, key=lambda key: key.public.fingerprint))


def ordered_roots(documents: Sequence[tuple[bytes, bytes]]) -> Documents:
    """A chain of roots, which was checked, with each one's signatures in the order of those who may sign it."""
    found: list[tuple[bytes, bytes]] = []
    before: tuple[Key, ...] = ()
    for document, signatures in documents:
        own = Root.parse(document).root.keys
        found.append((document, b"".join(_of_holders(sshsig.split(signatures), (*before, *own)))))
        before = own
    return tuple(found)


def _of_holders(blocks: Iterable[bytes], holders: Iterable[Key]) -> Tuple[bytes, ...]:
    signed = {sshsig.parse(block).public: block for block in blocks}
    keys = dict.fromkeys(key.public for key in holders)
    return tuple(signed[key] for key in keys if key in signed)


def fault_of_order(signatures: Sequence[bytes], documents: Sequence[tuple[bytes, bytes]]) -> str:
    """What is wrong with the signatures of a bundle whose chain of roots was checked; empty when nothing is."""
    legal = ordered_roots(documents)
    for version, (found, wanted) in enumerate(zip(documents, legal), start=1):
        if found != wanted:
            return (
                f"the signatures in {root_names(version)[1]} are not those of the holders of the root keys, each once, in the "
                "order in which the roots name them"
            )
    if documents and ordered(signatures, Root.parse(documents[-1][0])) != tuple(signatures):
        names = f"{signature_name(1)} to {signature_name(len(signatures))}"
        newest = root_names(len(documents))[0]
        return f"{names} are not of builders or approvers of {newest}, each once, in the order of their fingerprints"
    return ""


def root_sums(documents: Sequence[tuple[bytes, bytes]]) -> Tuple[str, ...]:
    """The lines of ``SUMS`` for a chain of roots and its signatures."""
    return tuple(
        f"{hashlib.sha256(data).hexdigest()}  {name}"
        for version, pair in enumerate(documents, start=1)
        for name, data in zip(root_names(version), pair)
    )


def fault_of_sums(sums: bytes, documents: Sequence[tuple[bytes, bytes]]) -> str:
    """Where a chain of roots is not the one that signed checksums name; empty when it is, and when they name none.

    Those of bundles that were made before mirror wrote the roots into them name none.
    """
    named = [line for line in sums.decode("utf-8", "replace").split("\n") if line[64:].startswith("  ROOT/")]
    lines = root_sums(documents)
    if not named or named == list(lines):
        return ""
    strange = next((line for line in lines if line not in named), named[-1])
    return f"{strange[66:]} is not the one that {SUMS} names"

"""OpenPGP signatures over files, as vendors make them over RPM headers and repositories, in the standard library.

``mirror.core.signatures.packets`` parses the bytes; ``mirror.core.signatures.pgpkeys`` finds which of a vendor's keys may sign;
the caller says which fingerprints count, out of a stack or a signed bundle, never out of the repository that offers the key.

Rules:
(1) only a key whose primary fingerprint is pinned counts; other keys in a file are read past;
(2) that key, or the subkey that signed, must be one that might sign when it did;
(3) signatures are over bytes, with SHA-256, SHA-384 or SHA-512.

Example::

    verify(repomd, signature, read_keys(key), ["610C7B14E068A878070DA4E99CD0A493D42D0685"])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mirror.core.errors import MirrorError
from mirror.core.signatures.fingerprints import openpgp_fingerprint
from mirror.core.signatures.packets import HASHES, SIGNATURE, MalformedOpenPgp, SignaturePacket, dearmor, packets
from mirror.core.signatures.pgpkeys import Certificate, Signer, read_keys
from mirror.core.words import grouped

__all__ = ["BadSignature", "MalformedOpenPgp", "UnpinnedKey", "UnusableKey", "pin", "read_keys", "verify"]

MAX_SIGNATURES = 16

_BINARY = 0x00
_FOR_DATA = frozenset({8, 9, 10})


class UnpinnedKey(MirrorError):
    """The signature was made by a key that nobody pinned.

    Attributes:
        found: fingerprints or key ids of the keys that signed.
        pinned: the fingerprints that count.
    """

    ref = "openpgp-key-not-pinned"
    exit_code = 41
    hint = (
        "Compare the fingerprint with the one that the vendor publishes elsewhere. If the vendor changed keys, pin the new "
        "fingerprint in [rpms].fingerprints; if not, do not use this file."
    )

    found: Sequence[str]
    pinned: Sequence[str]

    def __str__(self) -> str:
        found = ", ".join(map(grouped, self.found))
        signed = f"signed by {found}" if found else "not signed in a way that is read here"
        return f"{signed}; the pinned key is {' or '.join(map(grouped, self.pinned)) or 'none'}"


class BadSignature(MirrorError):
    """A pinned key's signature does not fit the bytes."""

    ref = "openpgp-signature-bad"
    exit_code = 42
    hint = "The file was changed after it was signed, or belongs to another signature. Get both again from the vendor."
    message = "the signature by {fingerprint:grouped} is not good: {problem}"

    fingerprint: str
    problem: str


class UnusableKey(MirrorError):
    """The signature was made by a pinned key that may not make it: revoked, expired, not for signing."""

    ref = "openpgp-key-unusable"
    exit_code = 43
    hint = "Ask the vendor which key signs now, and pin its fingerprint."
    message = "the pinned key {fingerprint:grouped} may not sign this: {problem}"

    fingerprint: str
    problem: str


def verify(data: bytes, signature: bytes, keys: Sequence[Certificate], fingerprints: Iterable[str]) -> str:
    """Check a detached signature; several may stand in one file, of which one good one by a pinned key is enough.

    Args:
        data: the signed bytes.
        signature: armored or binary.
        keys: as ``read_keys`` gives them; need not be trusted.
        fingerprints: the pinned ones, 40 hex digits each, as people write them.

    Returns:
        The pinned fingerprint of the key that signed.

    Raises:
        UnpinnedKey: when no pinned key signed.
        UnusableKey: when one did that may not.
        BadSignature: when one did, but not these bytes.
        MalformedOpenPgp: when the signature, or a pin, cannot be read.
    """
    pinned = [pin(text) for text in fingerprints]
    # Key ids can be made to collide: the pinned key's is looked at first.
    known = sorted(keys, key=lambda certificate: certificate.fingerprint not in pinned)
    failure: MirrorError | None = None
    issuers = []
    for number, (tag, body) in enumerate(packets(dearmor(signature, "SIGNATURE")), 1):
        parsed = SignaturePacket.parse(body) if tag == SIGNATURE and number <= MAX_SIGNATURES else None
        if parsed is None:
            continue
        owner, signer = _signer(parsed, known)
        if owner not in pinned or signer is None:
            issuers.append(owner or parsed.issuer or "an unnamed key")
            continue
        failure = _judge(parsed, data, owner, signer)
        if failure is None:
            return owner
    raise failure or UnpinnedKey(issuers, pinned)


def pin(text: str) -> str:
    """A fingerprint as it is compared: 40 capital hex digits.

    Raises:
        MalformedOpenPgp: for anything else, key ids among them: those can be forged.
    """
    try:
        return openpgp_fingerprint(text)
    except ValueError as exc:
        raise MalformedOpenPgp(str(exc)) from exc


def _signer(signature: SignaturePacket, keys: Sequence[Certificate]) -> tuple[str, Signer | None]:
    for certificate in keys:
        signer = certificate.find(signature.issuer)
        if signer is not None:
            return certificate.fingerprint, signer
    return "", None


def _judge(signature: SignaturePacket, data: bytes, owner: str, signer: Signer) -> MirrorError | None:
    """What is wrong with a signature by a pinned key; None when nothing is."""
    problem = signer.problem(signature.created)
    if problem:
        return UnusableKey(owner, problem)
    if signature.kind != _BINARY:
        return BadSignature(owner, f"it is of type {signature.kind:#04x}, not one over a file's bytes")
    if signature.hash_algorithm not in _FOR_DATA:
        name = HASHES.get(signature.hash_algorithm, f"hash algorithm {signature.hash_algorithm}")
        return BadSignature(owner, f"it uses {name}; SHA-256 or better is needed")
    if not signer.key.has_signed(signature, data, _FOR_DATA):
        return BadSignature(owner, "it does not fit the bytes")
    return None

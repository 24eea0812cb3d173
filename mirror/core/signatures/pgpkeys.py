"""Public keys of OpenPGP version 4: their fingerprint, what they have signed, and which of them may sign.

``mirror.core.signatures.packets`` parses the wire format; ``mirror.core.signatures.openpgp`` checks signatures over files, and
which fingerprints count.

Rules:
(1) a subkey counts only with a binding signature of the primary that lets it sign and a signature of its own that agrees
    to be bound (CVE-2021-3521);
(2) a revoked key never counts; a key with an end counts for signatures that were made before it. The host's clock is not asked:
    closed hosts have none to trust, and a signature does not rot;
(3) what a key says of itself may be signed with SHA-1, as NVIDIA's keys of 2022 do: such a statement needs no collision
    resistance, and the fingerprint that pins the key is a SHA-1 itself;
(4) RSA with PKCS #1 v1.5, compared as a whole, never parsed; Ed25519 in both forms that OpenPGP gives it.

Example::

    certificate, = read_keys(armored)
    certificate.find("9CD0A493D42D0685").problem(made=1_760_000_000)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mirror.core.signatures import ed25519
from mirror.core.signatures.packets import (
    HASHES,
    PUBLIC_KEY,
    PUBLIC_SUBKEY,
    SIGNATURE,
    USER_ID,
    Cursor,
    MalformedOpenPgp,
    SignaturePacket,
    dearmor,
    packets,
)

_RSA, _RSA_SIGN, _EDDSA, _ED25519 = 1, 3, 22, 27
_ED25519_OID = bytes.fromhex("092b06010401da470f01")
_SUBKEY_BINDING, _PRIMARY_BINDING, _DIRECT = 0x18, 0x19, 0x1F
_KEY_REVOCATION, _SUBKEY_REVOCATION, _USER_ID_REVOCATION = 0x20, 0x28, 0x30
_USER_ID_CERTIFICATIONS = frozenset({0x10, 0x11, 0x12, 0x13})
_MAY_SIGN = 0x02

_FOR_KEYS = frozenset(HASHES)

_RSA_BITS = range(2048, 8193)
_DIGEST_INFO = {
    8: bytes.fromhex("3031300d060960864801650304020105000420"),
    9: bytes.fromhex("3041300d060960864801650304020205000430"),
    10: bytes.fromhex("3051300d060960864801650304020305000440"),
    2: bytes.fromhex("3021300906052b0e03021a05000414"),
}
"""What stands before a digest inside an RSA signature (RFC 8017 section 9.2)."""


@dataclass(frozen=True)
class PublicKey:
    """One key, primary or sub, of a kind that can sign.

    Attributes:
        created: seconds since 1970 UTC.
        body: its packet's body, which the fingerprint covers.
        rsa: modulus and exponent; zeros for another algorithm.
        ed25519: 32 bytes; empty for another algorithm.
    """

    created: int
    body: bytes
    rsa: tuple[int, int] = (0, 0)
    ed25519: bytes = b""

    @classmethod
    def parse(cls, body: bytes) -> PublicKey | None:
        """Read a version 4 key; None for other versions and for algorithms that are not ours.

        Raises:
            MalformedOpenPgp: when it is cut short, or is an RSA key of a size or exponent that nobody uses.
        """
        cursor = Cursor(body)
        if cursor.number(1) != 4:
            return None
        created, algorithm = cursor.number(4), cursor.number(1)
        if algorithm in (_RSA, _RSA_SIGN):
            modulus, exponent = cursor.mpi(), cursor.mpi()
            cursor.end()
            if modulus.bit_length() not in _RSA_BITS or exponent < 3 or exponent.bit_length() > 32 or not exponent & 1:
                raise MalformedOpenPgp(f"an RSA key of {modulus.bit_length()} bits with exponent {exponent}")
            return cls(created, body, rsa=(modulus, exponent))
        if algorithm == _ED25519:
            return cls(created, body, ed25519=cursor.take(32))
        if algorithm == _EDDSA and cursor.take(len(_ED25519_OID)) == _ED25519_OID:
            point = cursor.mpi().to_bytes(33, "big")
            return cls(created, body, ed25519=point[1:]) if point[:1] == b"\x40" else None
        return None

    @property
    def hashed_form(self) -> bytes:
        """What stands for the key in a fingerprint or a signature over it."""
        return b"\x99" + len(self.body).to_bytes(2, "big") + self.body

    @property
    def fingerprint(self) -> str:
        """40 capital hex digits. SHA-1 is what OpenPGP version 4 defines; second preimages are what would matter here."""
        return hashlib.sha1(self.hashed_form, usedforsecurity=False).hexdigest().upper()

    def has_signed(self, signature: SignaturePacket, data: bytes, allowed: frozenset[int]) -> bool:
        """Whether the signature is this key's over ``data``, with one of the ``allowed`` hashes."""
        digest = signature.digest(data, allowed)
        if digest is None:
            return False
        cursor = Cursor(signature.values)
        try:
            if self.rsa[0] and signature.algorithm in (_RSA, _RSA_SIGN):
                value = cursor.mpi()
                cursor.end()
                return self._opens(value, _DIGEST_INFO[signature.hash_algorithm] + digest)
            if self.ed25519 and signature.algorithm in (_EDDSA, _ED25519):
                raw = cursor.take(64) if signature.algorithm == _ED25519 else _joined(cursor.mpi(), cursor.mpi())
                cursor.end()
                return ed25519.verify(self.ed25519, digest, raw)
        except MalformedOpenPgp:
            return False
        return False

    def _opens(self, value: int, encoded: bytes) -> bool:
        """RSA with PKCS #1 v1.5: the one padded form is built and compared, so nothing in it is parsed."""
        modulus, exponent = self.rsa
        size = (modulus.bit_length() + 7) // 8
        padded = b"\x00\x01" + b"\xff" * (size - len(encoded) - 3) + b"\x00" + encoded
        return value < modulus and pow(value, exponent, modulus) == int.from_bytes(padded, "big")


def _joined(r: int, s: int) -> bytes:
    """An EdDSA signature out of its two numbers."""
    if max(r, s).bit_length() > 256:
        raise MalformedOpenPgp("an EdDSA number of more than 32 bytes")
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass(frozen=True)
class Signer:
    """A key that may make signatures for a certificate, or may not any more.

    Attributes:
        key: the primary itself or a subkey of it.
        expires: seconds since 1970 UTC; None for never.
        refusal: why it may not sign at all; empty when it may.
    """

    key: PublicKey
    expires: int | None = None
    refusal: str = ""

    def problem(self, made: int) -> str:
        """Why a signature of that time does not count; empty when it does."""
        if self.refusal:
            return self.refusal
        if made < self.key.created:
            return "the signature claims a time before the key was made"
        return "the key had expired when the signature was made" if self.expires and made >= self.expires else ""


@dataclass(frozen=True)
class Certificate:
    """A primary key: its fingerprint, which is what is pinned, and who signs for it: itself first, then its subkeys."""

    fingerprint: str
    signers: tuple[Signer, ...]

    def find(self, issuer: str) -> Signer | None:
        """The key that a signature names by fingerprint or by its last 16 digits; of several copies, one that may sign."""
        named = [signer for signer in self.signers if issuer and signer.key.fingerprint.endswith(issuer)]
        return min(named, key=lambda signer: bool(signer.refusal), default=None)


def read_keys(data: bytes | str) -> tuple[Certificate, ...]:
    """Read public keys, armored or binary; keys of other versions and algorithms are left out.

    Raises:
        MalformedOpenPgp: when the file cannot be read.
    """
    raw = data.encode("utf-8") if isinstance(data, str) else data
    groups: list[list[tuple[int, bytes]]] = []
    for tag, body in packets(dearmor(raw, "PUBLIC KEY BLOCK")):
        if tag == PUBLIC_KEY:
            groups.append([])
        elif not groups:
            raise MalformedOpenPgp(f"it begins with a packet of tag {tag}, not with a public key")
        groups[-1].append((tag, body))
    certificates = (_certificate(group) for group in groups)
    return tuple(certificate for certificate in certificates if certificate is not None)


def _certificate(group: Sequence[tuple[int, bytes]]) -> Certificate | None:
    """Judge a primary key, its user ids and its subkeys, each with the signatures that follow it."""
    primary = PublicKey.parse(group[0][1])
    if primary is None:
        return None
    parts: list[tuple[int, bytes, list[SignaturePacket]]] = []
    for tag, body in group:
        if tag != SIGNATURE:
            parts.append((tag, body, []))
            continue
        signature = _lenient(body)
        if signature is not None:
            parts[-1][2].append(signature)
    first = _primary_signer(primary, parts)
    subkeys = [(PublicKey.parse(body), signatures) for tag, body, signatures in parts if tag == PUBLIC_SUBKEY]
    others = [_subkey_signer(first, key, signatures) for key, signatures in subkeys if key is not None]
    return Certificate(primary.fingerprint, (first, *others))


def _lenient(body: bytes) -> SignaturePacket | None:
    """A signature on a key; one that cannot be read proves nothing, as strangers may add theirs to any key."""
    try:
        return SignaturePacket.parse(body)
    except MalformedOpenPgp:
        return None


def _made_by(
    key: PublicKey, signatures: Iterable[SignaturePacket], kinds: Iterable[int], data: bytes
) -> list[SignaturePacket]:
    """The version 4 signatures of these kinds that ``key`` made over ``data``, the newest first."""
    wanted = frozenset(kinds)
    good = [
        signature
        for signature in signatures
        if signature.version == 4 and signature.kind in wanted and key.has_signed(signature, data, _FOR_KEYS)
    ]
    return sorted(good, key=lambda signature: -signature.created)


def _primary_signer(primary: PublicKey, parts: Sequence[tuple[int, bytes, list[SignaturePacket]]]) -> Signer:
    own = primary.hashed_form
    if _made_by(primary, parts[0][2], (_KEY_REVOCATION,), own):
        return Signer(primary, refusal="it is revoked")
    statements = _made_by(primary, parts[0][2], (_DIRECT,), own)
    for tag, body, signatures in parts:
        if tag == USER_ID:
            data = own + b"\xb4" + len(body).to_bytes(4, "big") + body
            if not _made_by(primary, signatures, (_USER_ID_REVOCATION,), data):
                statements += _made_by(primary, signatures, _USER_ID_CERTIFICATIONS, data)
    if not statements:
        return Signer(primary, refusal="it carries no signature of its own")
    newest = max(statements, key=lambda statement: statement.created)
    flags = newest.flags if newest.flags is not None else _MAY_SIGN  # keys older than flags may sign (RFC 4880)
    return Signer(primary, _end(primary, newest), "" if flags & _MAY_SIGN else "it is not for signing files")


def _subkey_signer(primary: Signer, key: PublicKey, signatures: Sequence[SignaturePacket]) -> Signer:
    both = primary.key.hashed_form + key.hashed_form
    if primary.refusal and "not for signing" not in primary.refusal:
        return Signer(key, refusal=f"its primary key cannot be used: {primary.refusal}")
    if _made_by(primary.key, signatures, (_SUBKEY_REVOCATION,), both):
        return Signer(key, refusal="the subkey is revoked")
    bindings = _made_by(primary.key, signatures, (_SUBKEY_BINDING,), both)
    if not bindings:
        return Signer(key, refusal="the subkey is not bound to it")
    if not (bindings[0].flags or 0) & _MAY_SIGN:
        return Signer(key, refusal="the subkey is not for signing files")
    embedded = _lenient(bindings[0].embedded) if bindings[0].embedded else None
    if embedded is None or not _made_by(key, (embedded,), (_PRIMARY_BINDING,), both):
        return Signer(key, refusal="the subkey has not agreed to be bound to it")
    ends = [end for end in (primary.expires, _end(key, bindings[0])) if end is not None]
    return Signer(key, min(ends, default=None))


def _end(key: PublicKey, statement: SignaturePacket) -> int | None:
    return key.created + statement.key_seconds if statement.key_seconds else None

"""Making OpenPGP version 4 keys and signatures, byte for byte the same each time (RFC 4880, RFC 9580).

Only what signing RPMs needs: RSA and Ed25519 keys without passphrase, SHA-512, detached signatures, one user id. Checking
signatures is ``mirror.core.signatures.openpgp``'s, which shares no code with this on purpose: each is a test of the other.

Rules: times are given, never taken from a clock; no salt, no random padding.

Example::

    key = RsaKey(private_key, created=1_700_000_000)
    armor("PUBLIC KEY BLOCK", key.certificate(b"demo <demo@example.org>"))
    key.sign(b"data", created=1_700_000_000)
"""

from __future__ import annotations

import base64
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

SIGNATURE, PUBLIC_KEY, USER_ID, PUBLIC_SUBKEY = 2, 6, 13, 14
"""Packet tags."""

BINARY, POSITIVE_CERTIFICATION, SUBKEY_BINDING, PRIMARY_BINDING, KEY_REVOCATION, SUBKEY_REVOCATION = (
    0x00,
    0x13,
    0x18,
    0x19,
    0x20,
    0x28,
)
"""Signature types."""

_SHA512 = 10
_ED25519_OID = bytes.fromhex("092b06010401da470f01")


def packet(tag: int, body: bytes) -> bytes:
    """A packet in the new format with the shortest length."""
    size = len(body)
    if size < 192:
        length = bytes([size])
    elif size < 8384:
        length = bytes([((size - 192) >> 8) + 192, (size - 192) & 0xFF])
    else:
        length = b"\xff" + size.to_bytes(4, "big")
    return bytes([0xC0 | tag]) + length + body


def mpi(number: int) -> bytes:
    """A multiprecision integer."""
    return number.bit_length().to_bytes(2, "big") + number.to_bytes((number.bit_length() + 7) // 8, "big")


def subpacket(kind: int, body: bytes) -> bytes:
    """A signature subpacket of less than 191 bytes."""
    return bytes([len(body) + 1, kind]) + body


def armor(kind: str, data: bytes) -> bytes:
    """ASCII armor with its CRC-24 checksum, as gpg writes it. ``kind`` is ``"SIGNATURE"`` or ``"PUBLIC KEY BLOCK"``."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    text = base64.b64encode(data).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    check = base64.b64encode(crc.to_bytes(3, "big")).decode()
    return "\n".join([f"-----BEGIN PGP {kind}-----", "", *lines, f"={check}", f"-----END PGP {kind}-----", ""]).encode()


class SigningKey(ABC):
    """A key pair that signs.

    Attributes:
        created: seconds since 1970 UTC; part of the fingerprint.
    """

    algorithm: int

    def __init__(self, created: int) -> None:
        self.created = created

    @abstractmethod
    def material(self) -> bytes:
        """The algorithm's part of the public key packet."""

    @abstractmethod
    def raw_sign(self, data: bytes) -> bytes:
        """The algorithm's part of a signature packet, over the SHA-512 of ``data``."""

    @property
    def body(self) -> bytes:
        """The public key packet's body."""
        return b"\x04" + self.created.to_bytes(4, "big") + bytes([self.algorithm]) + self.material()

    @property
    def hashed_form(self) -> bytes:
        """What stands for the key in a fingerprint or a signature over it."""
        return b"\x99" + len(self.body).to_bytes(2, "big") + self.body

    @property
    def fingerprint(self) -> str:
        return hashlib.sha1(self.hashed_form, usedforsecurity=False).hexdigest().upper()

    def sign(
        self,
        data: bytes,
        created: int,
        kind: int = BINARY,
        hashed: Sequence[bytes] = (),
        unhashed: Sequence[bytes] = (),
    ) -> bytes:
        """A signature packet over ``data``.

        Args:
            data: what is signed; for a signature over keys, their ``hashed_form``.
            created: the time that the signature claims.
            kind: signature type.
            hashed: more subpackets that the signature covers.
            unhashed: more subpackets that it does not.
        """
        issuer = bytes.fromhex(self.fingerprint)
        signed = subpacket(2, created.to_bytes(4, "big")) + subpacket(33, b"\x04" + issuer) + b"".join(hashed)
        loose = subpacket(16, issuer[-8:]) + b"".join(unhashed)
        head = bytes([4, kind, self.algorithm, _SHA512]) + len(signed).to_bytes(2, "big") + signed
        whole = data + head + b"\x04\xff" + len(head).to_bytes(4, "big")
        body = head + len(loose).to_bytes(2, "big") + loose + hashlib.sha512(whole).digest()[:2] + self.raw_sign(whole)
        return packet(SIGNATURE, body)

    def certificate(self, user_id: bytes, hashed: Sequence[bytes] = ()) -> bytes:
        """The public key with one user id, self-signed as a signing key at the time of its making."""
        statement = self.hashed_form + b"\xb4" + len(user_id).to_bytes(4, "big") + user_id
        own = self.sign(statement, self.created, POSITIVE_CERTIFICATION, (subpacket(27, b"\x03"), *hashed))
        return packet(PUBLIC_KEY, self.body) + packet(USER_ID, user_id) + own


class RsaKey(SigningKey):
    """RSA with PKCS #1 v1.5 padding, as NVIDIA's key."""

    algorithm = 1

    def __init__(self, private: rsa.RSAPrivateKey, created: int) -> None:
        super().__init__(created)
        self.private = private

    def material(self) -> bytes:
        numbers = self.private.public_key().public_numbers()
        return mpi(numbers.n) + mpi(numbers.e)

    def raw_sign(self, data: bytes) -> bytes:
        return mpi(int.from_bytes(self.private.sign(data, padding.PKCS1v15(), hashes.SHA512()), "big"))


class Ed25519Key(SigningKey):
    """Ed25519 in its first OpenPGP form (EdDSA, algorithm 22), which gpg makes."""

    algorithm = 22

    def __init__(self, private: ed25519.Ed25519PrivateKey, created: int) -> None:
        super().__init__(created)
        self.private = private

    def material(self) -> bytes:
        return _ED25519_OID + mpi(int.from_bytes(b"\x40" + self.private.public_key().public_bytes_raw(), "big"))

    def raw_sign(self, data: bytes) -> bytes:
        signature = self.private.sign(hashlib.sha512(data).digest())
        return mpi(int.from_bytes(signature[:32], "big")) + mpi(int.from_bytes(signature[32:], "big"))

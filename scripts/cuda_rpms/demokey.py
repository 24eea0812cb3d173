"""The demonstration repository's signing key. IT PROTECTS NOTHING.

The private key is computed from the constants below, which anyone can read: whoever runs this script can sign as this
key. That is its purpose. It lets a lock made on one machine pin, by digest, RPMs made on another, and it lets the
checking of signatures and pinned fingerprints run for real. Never pin it in a stack that is meant for use.

RSA with 4,096 bits, as NVIDIA's. The two primes are the outputs of SHAKE-256 over a fixed text plus a small offset that was
found once by search.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric import rsa

from .openpgp import RsaKey, armor

SEED = b"mirror demonstration repository: this key is public and protects nothing"
CREATED = 1_759_276_800
"""2025-10-01 UTC: the time that everything made here carries, for what is made must not depend on when."""

USER_ID = b"mirror demonstration repository (public key pair, protects nothing) <demo@example.invalid>"
FINGERPRINT = "D6ABEDFE6D3E4021F7D7296D6309737A04018495"

_PUBLIC_EXPONENT = 65_537
_OFFSETS = {b"p": 706, b"q": 1720}


def _prime(label: bytes) -> int:
    drawn = int.from_bytes(hashlib.shake_256(SEED + label).digest(256), "big")
    return (drawn | 3 << 2046 | 1) + 2 * _OFFSETS[label]


def demo_key() -> RsaKey:
    """The same key pair on every machine."""
    p, q = _prime(b"p"), _prime(b"q")
    d = pow(_PUBLIC_EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(_PUBLIC_EXPONENT, p * q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return RsaKey(numbers.private_key(), CREATED)


def public_key() -> bytes:
    """The armored public key, as a repository offers it in ``repodata/repomd.xml.key``."""
    return armor("PUBLIC KEY BLOCK", demo_key().certificate(USER_ID))

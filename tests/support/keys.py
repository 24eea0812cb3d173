"""Keys and roots for tests: real ones, the same in every run.

Example::

    store = trust_store(tmp_path)          # trusts a root whose builder is "builder"
    signature = sign_manifest(manifest_bytes)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mirror.connected.signing.signers import Signer
from mirror.core.trust.root import MANIFEST_NAMESPACE, Key, Role, Root
from mirror.core.trust.root import NAMESPACE as ROOT_NAMESPACE
from mirror.core.trust.truststore import TrustStore


def private_key(name: str) -> Ed25519PrivateKey:
    """The private key of a person of this name."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"test key of {name}".encode()).digest())


def signer(name: str) -> Signer:
    """A person who can sign. Names that no root lists are strangers."""
    return Signer.from_private(private_key(name))


def key(name: str) -> Key:
    return Key(name, signer(name).public)


def role(*names: str, threshold: int = 1) -> Role:
    return Role(tuple(key(name) for name in names), threshold)


def make_root(
    root: Role | None = None,
    builder: Role | None = None,
    approver: Role | None = None,
    version: int = 1,
    expires: int | None = None,
) -> Root:
    """A root; by default as `mirror trust init` makes it, held by "root" and "builder"."""
    return Root(version, root or role("root"), builder or role("builder"), approver or Role((), 0), expires)


def sign_root(root: Root, names: Sequence[str] = ("root",)) -> tuple[bytes, bytes]:
    """A root document and its signatures, as a bundle carries them."""
    document = root.encode()
    return document, b"".join(signer(name).sign(document, ROOT_NAMESPACE) for name in names)


def sign_manifest(manifest_bytes: bytes, name: str = "builder") -> bytes:
    """A signature file, as ``SIG/1.sig`` holds it."""
    return signer(name).sign(manifest_bytes, MANIFEST_NAMESPACE)


def trust_store(directory: Path, root: Root | None = None) -> TrustStore:
    """A store that trusts a root signed by "root"."""
    store, trusted = TrustStore(directory), root or make_root()
    store.add_root(*sign_root(trusted), trusted.fingerprint)
    return store


def write_private_key(path: Path, name: str = "builder", passphrase: bytes = b"") -> Path:
    """A person's private key as a file in OpenSSH's format."""
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    path.write_bytes(
        private_key(name).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, lock)
    )
    path.chmod(0o600)
    return path

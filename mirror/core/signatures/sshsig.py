"""OpenSSH detached signatures (PROTOCOL.sshsig): what signs a manifest, and the public keys that made it.

It holds public keys, the wire format and verification. Making signatures is left to ``mirror.connected.signing.signers`` or to
``ssh-keygen -Y sign``; whose signature counts is left to ``mirror.core.trust.verdict``.

Rules, stricter than ssh-keygen's: key type ``ssh-ed25519`` and hash ``sha512`` only; nothing reserved, nothing trailing; the
armor is the one that ssh-keygen writes (LF, lines of 70), so a signature has one spelling; the caller names the namespace,
never the file. A ``PublicKey`` of small order cannot be made.

Example::

    public = verify(manifest_bytes, armored, "mirror-manifest@v1")
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from mirror.core.errors import MirrorError
from mirror.core.signatures import ed25519

MAX_SIGNATURE_BYTES = 8 << 10
_BEGIN = b"-----BEGIN SSH SIGNATURE-----\n"
_END = b"-----END SSH SIGNATURE-----\n"
_LINE = 70  # ssh-keygen's sshbuf_dtob64; the 76 of PROTOCOL.sshsig is a SHOULD that nobody follows
_MAGIC = b"SSHSIG"
_VERSION = b"\0\0\0\1"
_TYPE = b"ssh-ed25519"
_HASH = b"sha512"


class UnacceptableSignature(MirrorError):
    """Bytes that are no sshsig signature of the one kind that mirror accepts."""

    ref = "unacceptable-signature"
    exit_code = 31
    hint = "Sign with `mirror bundle` or `ssh-keygen -Y sign` and a plain ed25519 key; copy signature files as binary."
    message = "not an acceptable signature: {problem}"

    problem: str


class SignatureMismatch(MirrorError):
    """A well-formed signature that its key did not make over these bytes.

    Attributes:
        signer: the fingerprint of the key that the signature names.
    """

    ref = "signature-mismatch"
    exit_code = 32
    hint = (
        "The file or its signature was damaged or altered. Copy it again; if it persists, ask its maker for a new one."
    )
    message = "the signature by {signer} is not over these bytes"

    signer: str


@dataclass(frozen=True)
class PublicKey:
    """An ed25519 public key. Two keys are the same when their bytes are; names and comments count for nothing.

    Attributes:
        raw: the 32 bytes of RFC 8032.

    Raises:
        ValueError: for bytes that are no canonical point, or one of small order.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if not ed25519.is_usable_key(self.raw):
            raise ValueError(f"expected a usable ed25519 key, got {self.raw[:64].hex() or 'nothing'}")

    @classmethod
    def from_openssh(cls, text: str) -> PublicKey:
        """Parse ``ssh-ed25519 AAAA...``: two words, no comment, no options.

        Raises:
            ValueError: for anything else, other key types and certificates included.
        """
        try:
            kind, encoded = text.split(" ")
            blob = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            raise ValueError(f"expected 'ssh-ed25519 AAAA...', got {text[:80]!r}") from None
        if kind != _TYPE.decode():
            raise ValueError(f"expected a key of type ssh-ed25519, got {kind[:60]!r}")
        key = cls.from_blob(blob)
        if key.openssh() != text:
            raise ValueError(f"expected {key.openssh()!r}, got another spelling of it")
        return key

    @classmethod
    def from_blob(cls, blob: bytes) -> PublicKey:
        """Parse the wire format: the key type and the key, each a string. Raises ValueError: for anything else."""
        fields = from_strings(blob)
        if len(fields) != 2 or fields[0] != _TYPE:
            kind = repr(fields[0][:40])[1:] if fields else ""
            raise ValueError(f"expected an ssh-ed25519 key, got {kind}" if fields else "the key is empty")
        return cls(fields[1])

    @property
    def blob(self) -> bytes:
        """The wire format of RFC 8709 section 4."""
        return to_strings(_TYPE, self.raw)

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` shows it: ``SHA256:`` and 43 letters."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    def openssh(self) -> str:
        """``ssh-ed25519 AAAA...``, without a comment."""
        return f"{_TYPE.decode()} {base64.b64encode(self.blob).decode()}"


@dataclass(frozen=True)
class Signature:
    """What a signature file claims; nothing is verified yet.

    Attributes:
        public: the key that it says made it.
        namespace: the use that it says it was made for.
        raw: the 64 bytes of RFC 8032.
    """

    public: PublicKey
    namespace: bytes
    raw: bytes

    def armored(self) -> bytes:
        """The signature file, byte for byte as ``ssh-keygen -Y sign`` writes it."""
        fields = to_strings(self.public.blob, self.namespace, b"", _HASH, to_strings(_TYPE, self.raw))
        text = base64.b64encode(_MAGIC + _VERSION + fields)
        lines = [text[start : start + _LINE] + b"\n" for start in range(0, len(text), _LINE)]
        return b"".join([_BEGIN, *lines, _END])


def parse(armored: bytes) -> Signature:
    """Parse one signature file. Verifies nothing.

    Raises:
        UnacceptableSignature: unless it is exactly what ``Signature.armored`` writes.
    """
    try:
        signature = _parse(armored)
    except ValueError as exc:
        raise UnacceptableSignature(str(exc)) from exc
    # One comparison settles CRLF, other line lengths, base64's spare bits and text around the block.
    if signature.armored() != armored:
        raise UnacceptableSignature(
            "its armor is not the one that ssh-keygen writes (line ends or line lengths differ)"
        )
    return signature


def _parse(armored: bytes) -> Signature:
    if len(armored) > MAX_SIGNATURE_BYTES:
        raise ValueError(f"it has {len(armored)} bytes, the limit is {MAX_SIGNATURE_BYTES}")
    lines = armored.split()
    if lines[:3] + lines[-3:] != (_BEGIN + _END).split():
        raise ValueError("expected one block between BEGIN and END SSH SIGNATURE lines")
    blob = base64.b64decode(b"".join(lines[3:-3]), validate=True)
    if blob[:10] != _MAGIC + _VERSION:
        raise ValueError("it does not begin as an sshsig of version 1")
    fields = from_strings(blob[10:])
    if len(fields) != 5:
        raise ValueError(f"expected 5 fields, got {len(fields)}")
    key, namespace, reserved, digest, signature = fields
    if reserved:
        raise ValueError("its reserved field is not empty")
    public = PublicKey.from_blob(key)
    if digest != _HASH:
        raise ValueError(f"expected hash sha512, got {digest[:40]!r}")
    parts = from_strings(signature)
    if len(parts) != 2 or parts[0] != _TYPE or len(parts[1]) != ed25519.SIGNATURE_BYTES:
        raise ValueError(f"expected 64 bytes by ssh-ed25519, got {signature[:40]!r}")
    return Signature(public, namespace, parts[1])


def split(data: bytes) -> tuple[bytes, ...]:
    """Cut a file of signatures, one after another, into single ones; each is judged by ``parse``.

    Raises:
        UnacceptableSignature: when something follows the last.
    """
    *blocks, rest = data.split(_END)
    if rest:
        raise UnacceptableSignature("expected nothing after the last END SSH SIGNATURE line")
    return tuple(block + _END for block in blocks)


def signed_data(message: bytes, namespace: bytes) -> bytes:
    """What a key signs for ``message`` (PROTOCOL.sshsig section 3)."""
    return _MAGIC + to_strings(namespace, b"", _HASH, hashlib.sha512(message).digest())


def verify(message: bytes, armored: bytes, namespace: str) -> PublicKey:
    """Check a signature file over the exact bytes of a message.

    Returns:
        The key that made it. The caller decides whether that key is trusted.

    Raises:
        UnacceptableSignature: when it is no signature of our kind, or was made for another namespace.
        SignatureMismatch: when the key did not sign these bytes.
    """
    signature = parse(armored)
    if signature.namespace != namespace.encode():
        found = signature.namespace[:60].decode("utf-8", "replace")
        raise UnacceptableSignature(f"it was made for namespace {found!r}, expected {namespace!r}")
    if not ed25519.verify(signature.public.raw, signed_data(message, signature.namespace), signature.raw):
        raise SignatureMismatch(signature.public.fingerprint)
    return signature.public


def to_strings(*parts: bytes) -> bytes:
    """Encode strings as SSH does: each after its length in four bytes (RFC 4251 section 5)."""
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def from_strings(data: bytes) -> tuple[bytes, ...]:
    """Inverse of ``to_strings``. Raises ValueError: when a length does not fit the data."""
    parts = []
    while data:
        part, data = take_string(data)
        parts.append(part)
    return tuple(parts)


def take_string(data: bytes) -> tuple[bytes, bytes]:
    """The first of SSH's strings, and what follows it. Raises ValueError: when its length does not fit the data."""
    end = 4 + int.from_bytes(data[:4], "big")
    if not 4 <= end <= len(data):
        raise ValueError(f"a field of {end - 4} bytes is cut short")
    return data[4:end], data[end:]

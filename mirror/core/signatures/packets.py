"""OpenPGP's wire format: ASCII armor, packets, numbers, and what a signature packet says (RFC 4880, RFC 9580).

Parses only, and trusts nothing: ``mirror.core.signatures.openpgp`` decides whether a signature is good, and which key it needs.

Rules: every length is checked before it is used; partial and indeterminate lengths, which only streams need, are refused;
a number has no leading zero bits; input has a cap. Packets of a version that we do not know are passed over, for keys hold
such on purpose; what is cut short or contradicts itself is refused.

Example::

    for tag, body in packets(dearmor(data, "SIGNATURE")): ...
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mirror.core.errors import MirrorError

SIGNATURE, PUBLIC_KEY, USER_ID, PUBLIC_SUBKEY, USER_ATTRIBUTE = 2, 6, 13, 14, 17
"""Packet tags (RFC 9580 section 5)."""

MAX_BYTES = 1 << 20
MAX_PACKETS = 2000

CREATED, SIGNATURE_EXPIRES, KEY_EXPIRES, ISSUER, KEY_FLAGS, EMBEDDED, ISSUER_FINGERPRINT = 2, 3, 9, 16, 27, 32, 33
"""Signature subpackets that change what a signature means to us (RFC 9580 section 5.2.3.7)."""

_UNDERSTOOD = frozenset({CREATED, KEY_EXPIRES, ISSUER, KEY_FLAGS, EMBEDDED, ISSUER_FINGERPRINT})
_HARMLESS = frozenset({11, 21, 22, 23, 24, 25, 26, 28, 29, 30, 34, 35, 39})
"""Preferences, reasons, addresses: they may be marked critical without changing what is signed."""

_ARMOR = re.compile(
    rb"\s*-----BEGIN PGP (?P<kind>[A-Z ]+)-----\r?\n(?P<headers>(?:[A-Za-z]+: [^\r\n]*\r?\n)*)[ \t]*\r?\n"
    rb"(?P<body>(?:[A-Za-z0-9+/]+={0,2}[ \t]*\r?\n)+)(?:=(?P<crc>[A-Za-z0-9+/]{4})[ \t]*\r?\n)?"
    rb"-----END PGP (?P=kind)-----\s*"
)


class MalformedOpenPgp(MirrorError):
    """A key or a signature cannot be read."""

    ref = "openpgp-malformed"
    exit_code = 40
    hint = "The key or signature file is damaged, or is no OpenPGP file. Get it again from its publisher."
    message = "not a readable OpenPGP key or signature: {problem}"

    problem: str


def dearmor(data: bytes, kind: str) -> bytes:
    """The bytes inside the armor, or ``data`` itself when it is binary.

    Args:
        kind: ``"SIGNATURE"`` or ``"PUBLIC KEY BLOCK"``. Blocks of that kind may follow each other.

    Raises:
        MalformedOpenPgp: for broken armor, another kind, or a wrong checksum.
    """
    if len(data) > MAX_BYTES:
        raise MalformedOpenPgp(f"it has {len(data)} bytes, more than the {MAX_BYTES} allowed")
    if data[:1] >= b"\x80":  # the first bit of a packet; no ASCII text has it
        return data
    out, at = b"", 0
    while at < len(data):
        match = _ARMOR.match(data, at)
        if match is None:
            raise MalformedOpenPgp("broken ASCII armor")
        if match["kind"] != kind.encode():
            raise MalformedOpenPgp(f"expected a {kind}, got a {match['kind'].decode()}")
        out, at = out + _decoded(match), match.end()
    if not out:
        raise MalformedOpenPgp("it is empty")
    return out


def _decoded(match: re.Match[bytes]) -> bytes:
    try:
        block = base64.b64decode(b"".join(match["body"].split()), validate=True)
    except binascii.Error as exc:
        raise MalformedOpenPgp(f"broken base64: {exc}") from exc
    if match["crc"] is not None and base64.b64decode(match["crc"]) != _crc24(block):
        raise MalformedOpenPgp("the armor's checksum does not match its content")
    return block


def _crc24(data: bytes) -> bytes:
    """A guard against damage, not against people (RFC 9580 section 6.1)."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return (crc & 0xFFFFFF).to_bytes(3, "big")


class Cursor:
    """Bytes that are taken from the front.

    Each method raises ``MalformedOpenPgp`` when there are not enough.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise MalformedOpenPgp(f"{count} bytes announced, {len(self._data) - self._at} there")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, width: int) -> int:
        """A big-endian number of ``width`` bytes."""
        return int.from_bytes(self.take(width), "big")

    def mpi(self) -> int:
        """A multiprecision integer: its bits are counted, and the first is 1."""
        bits = self.number(2)
        value = int.from_bytes(self.take((bits + 7) // 8), "big")
        if value.bit_length() != bits:
            raise MalformedOpenPgp(f"a number of {value.bit_length()} bits says that it has {bits}")
        return value

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        if self:
            raise MalformedOpenPgp(f"{len(self._data) - self._at} bytes too many in a packet")


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and body of each packet, in order.

    Raises:
        MalformedOpenPgp: when one is cut short, has a length of the streaming kinds, or there are too many.
    """
    cursor = Cursor(data)
    for _ in range(MAX_PACKETS):
        if not cursor:
            return
        first = cursor.number(1)
        if not first & 0x80:
            raise MalformedOpenPgp(f"no packet begins with byte {first:#04x}")
        if first & 0x40:
            yield first & 0x3F, cursor.take(_length(cursor))
        elif first & 3 == 3:
            raise MalformedOpenPgp("a packet without a length")
        else:
            yield first >> 2 & 0xF, cursor.take(cursor.number(1 << (first & 3)))
    raise MalformedOpenPgp(f"more than {MAX_PACKETS} packets")


def _length(cursor: Cursor, subpacket: bool = False) -> int:
    first = cursor.number(1)
    if first < 192:
        return first
    if first == 255:
        return cursor.number(4)
    if first < 224 or subpacket:  # RFC 9580 section 5.2.3.7: subpackets have no partial lengths
        return ((first - 192) << 8) + cursor.number(1) + 192
    raise MalformedOpenPgp("a packet of partial lengths")


@dataclass(frozen=True)
class SignaturePacket:
    """What a signature packet says; nothing of it is proven.

    Attributes:
        kind: signature type; 0 for a signature over bytes.
        algorithm: public-key algorithm.
        hash_algorithm: by number.
        created: seconds since 1970 UTC; what a version 4 signature leaves out is 0.
        issuer: fingerprint in capitals (40 digits) or, in old signatures, its last 16 digits; may be empty.
        trailer: what is hashed after the signed bytes.
        left: the first two bytes that the hash must have.
        values: the algorithm's part, not parsed.
        flags: key flags; None when the signature says nothing of them.
        key_seconds: life of the key after its creation; 0 for ever.
        embedded: body of a signature within the signature; empty for none.
    """

    version: int
    kind: int
    algorithm: int
    hash_algorithm: int
    created: int
    issuer: str
    trailer: bytes
    left: bytes
    values: bytes = field(repr=False)
    flags: int | None = None
    key_seconds: int = 0
    embedded: bytes = b""

    @classmethod
    def parse(cls, body: bytes) -> SignaturePacket | None:
        """Read a signature packet's body; None for a version other than 3 and 4.

        Raises:
            MalformedOpenPgp: when it is cut short, or has a critical subpacket that we do not understand.
        """
        cursor = Cursor(body)
        version = cursor.number(1)
        if version == 3:
            return cls._parse_v3(cursor)
        return cls._parse_v4(cursor) if version == 4 else None

    @classmethod
    def _parse_v3(cls, cursor: Cursor) -> SignaturePacket:
        if cursor.number(1) != 5:
            raise MalformedOpenPgp("a version 3 signature that hashes other than five bytes")
        trailer = cursor.take(5)
        issuer = cursor.take(8).hex().upper()
        algorithm, hash_algorithm, left = cursor.number(1), cursor.number(1), cursor.take(2)
        created = int.from_bytes(trailer[1:], "big")
        return cls(3, trailer[0], algorithm, hash_algorithm, created, issuer, trailer, left, cursor.rest())

    @classmethod
    def _parse_v4(cls, cursor: Cursor) -> SignaturePacket:
        head = cursor.take(5)
        hashed, loose = cursor.take(int.from_bytes(head[3:], "big")), cursor.take(cursor.number(2))
        says, hints = _subpackets(hashed), _subpackets(loose)
        signed = b"\x04" + head + hashed
        issuer = says.get(ISSUER_FINGERPRINT) or hints.get(ISSUER_FINGERPRINT) or b""
        # A fingerprint is preceded by its key's version. An issuer is only a hint: the key itself decides.
        name = issuer[1:] if issuer[:1] == b"\x04" else says.get(ISSUER) or hints.get(ISSUER) or b""
        flags = says.get(KEY_FLAGS)
        return cls(
            version=4,
            kind=head[0],
            algorithm=head[1],
            hash_algorithm=head[2],
            created=int.from_bytes(says.get(CREATED, b""), "big"),
            issuer=name.hex().upper(),
            trailer=signed + b"\x04\xff" + len(signed).to_bytes(4, "big"),
            left=cursor.take(2),
            values=cursor.rest(),
            flags=None if flags is None else int.from_bytes(flags[:1], "big"),
            key_seconds=int.from_bytes(says.get(KEY_EXPIRES, b""), "big"),
            # The embedded signature proves itself, so it may stand where nothing covers it.
            embedded=says.get(EMBEDDED) or hints.get(EMBEDDED) or b"",
        )

    def digest(self, data: bytes, allowed: frozenset[int]) -> bytes | None:
        """The digest that is signed, over ``data`` and the trailer; None when it cannot be this signature's."""
        if self.hash_algorithm not in allowed:
            return None
        hashed = hashlib.new(HASHES[self.hash_algorithm], data, usedforsecurity=self.hash_algorithm != _SHA1)
        hashed.update(self.trailer)
        return hashed.digest() if hashed.digest()[:2] == self.left else None


_SHA1 = 2
HASHES = {_SHA1: "sha1", 8: "sha256", 9: "sha384", 10: "sha512"}
"""Hash algorithms by number. Which are allowed for what, ``mirror.core.signatures.openpgp`` says."""


def _subpackets(data: bytes) -> dict[int, bytes]:
    """Subpackets by kind, the last of a kind. A critical one must be understood (RFC 9580 section 5.2.3.7)."""
    cursor, found = Cursor(data), {}
    while cursor:
        inner = Cursor(cursor.take(_length(cursor, subpacket=True)))
        first = inner.number(1)
        kind = first & 0x7F
        if first & 0x80 and kind not in _UNDERSTOOD and kind not in _HARMLESS:
            raise MalformedOpenPgp(f"a critical part of kind {kind} that is not understood here")
        found[kind] = inner.rest()
    return found

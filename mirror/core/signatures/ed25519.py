"""Ed25519 signature verification (RFC 8032), strict, in the standard library.

It holds the curve, the point decoder and one equation. Signing is left to ``cryptography``, ssh-keygen or an agent:
Python's integers are not constant-time, so no secret may ever come near this module. What is signed, and by whom, is
left to ``mirror.core.signatures.sshsig`` and ``mirror.core.trust.verdict``.

Rules, where common verifiers are lax (SECURITY.md section 0): S is below the group order, so a signature has one
spelling; A is canonical, on the curve and not of small order, for such a key "signs" messages that nobody signed; R is
compared as bytes, so a non-canonical R never matches. The equation is the one without cofactor: S·B = R + h·A.

Example::

    if not verify(public, message, signature):
        raise BadSignature(fingerprint, "it is not over these bytes")
"""

from __future__ import annotations

import hashlib
from typing import Optional, Tuple

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_1 = pow(2, (_P - 1) // 4, _P)

_Point = Tuple[int, int, int, int]
"""Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, xy = T/Z (RFC 8032 section 5.1.4)."""

_ZERO: _Point = (0, 1, 1, 0)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is the one that ``public``'s owner makes for ``message``. Bad lengths are a plain False."""
    point = _decode(public)
    if point is None or len(signature) != SIGNATURE_BYTES or _is_small(point):
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= _ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    h = int.from_bytes(digest, "little") % _ORDER
    # R is recomputed and compared as bytes; the bytes we encode are canonical, so R's must be too.
    return _encode(_sum_of_multiples(s, _BASE, h, _negate(point))) == signature[:32]


def is_usable_key(public: bytes) -> bool:
    """Whether a public key may be trusted at all: 32 canonical bytes of a curve point that is not of small order."""
    point = _decode(public)
    return point is not None and not _is_small(point)


def _decode(data: bytes) -> Optional[_Point]:
    """The point with this encoding; None when it is not the canonical encoding of a point (RFC 8032 section 5.1.3)."""
    if len(data) != KEY_BYTES:
        return None
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= _P:
        return None
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(x_squared, (_P + 3) // 8, _P)
    if x * x % _P != x_squared:
        x = x * _SQRT_MINUS_1 % _P
    if x * x % _P != x_squared or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _encode(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _add(p: _Point, q: _Point) -> _Point:
    """RFC 8032 section 5.1.4; complete: it also holds for p = q and for the neutral element."""
    x1, y1, z1, t1 = p
    x2, y2, z2, t2 = q
    a = (y1 - x1) * (y2 - x2) % _P
    b = (y1 + x1) * (y2 + x2) % _P
    c = 2 * t1 * t2 * _D % _P
    d = 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(p: _Point) -> _Point:
    """``_add(p, p)`` with fewer multiplications (RFC 8032 section 5.1.4)."""
    x1, y1, z1, _ = p
    a = x1 * x1 % _P
    b = y1 * y1 % _P
    c = 2 * z1 * z1 % _P
    h = a + b
    e = h - (x1 + y1) ** 2 % _P
    g = a - b
    f = c + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _negate(p: _Point) -> _Point:
    x, y, z, t = p
    return -x % _P, y, z, -t % _P


def _is_small(p: _Point) -> bool:
    """Whether the point's order divides the cofactor 8."""
    x, y, z, _ = _double(_double(_double(p)))
    return x == 0 and y == z


def _sum_of_multiples(s: int, p: _Point, h: int, q: _Point) -> _Point:
    """s·p + h·q with one run of doublings, two bits of each scalar at a time (Shamir's trick)."""
    table = [_ZERO, p, _double(p), _add(_double(p), p)]
    for _ in range(3):
        table += [_add(entry, q) for entry in table[-4:]]
    total = _ZERO
    for shift in range(252, -1, -2):
        total = _double(_double(total))
        index = (h >> shift & 3) << 2 | s >> shift & 3
        if index:
            total = _add(total, table[index])
    return total


def _base() -> _Point:
    """The generator: y = 4/5, x even (RFC 8032 section 5.1)."""
    point = _decode((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    assert point is not None
    return point


_BASE = _base()

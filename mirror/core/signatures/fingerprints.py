"""Fingerprints as people write them down, read aloud and type them: of a root (its sha256), and of an OpenPGP key.

Rules: shown in groups of four; taken in either case, with blanks, colons or hyphens between groups, and with ``0x`` before
them; kept, compared and printed for machines in one plain form. A key id is no fingerprint: it can be forged.

Example::

    >>> openpgp_fingerprint("610c7b14:e068a878:070da4e9:9cd0a493:d42d0685")
    '610C7B14E068A878070DA4E99CD0A493D42D0685'
"""

from __future__ import annotations

import re

from mirror.core.names import Sha256Hex, sha256_hex

_BETWEEN = re.compile(r"[\s:-]+")


def root_fingerprint(text: str) -> Sha256Hex:
    """A root's fingerprint, 64 lower-case hex digits. Raises ValueError: for anything else, with what it looks like."""
    digits = _digits(text).lower()
    try:
        return sha256_hex(digits)
    except ValueError:
        if text.strip().upper().startswith("SHA256:"):
            found = f"an ssh key's fingerprint, {text.strip()!r}: a key is not the root that names it"
        elif _is_hex(digits):
            short = "; put quotes round it when there are blanks in it" if len(digits) < 64 else ""
            found = f"{len(digits)} of them, {text.strip()!r}{short}"
        else:
            found = repr(text)
        raise ValueError(f"expected the root's fingerprint, 64 hex digits, got {found}") from None


def openpgp_fingerprint(text: str) -> str:
    """The fingerprint of an OpenPGP key of version 4, 40 upper-case hex digits.

    Raises:
        ValueError: for anything else, the fingerprints of other versions among them, for no such key can be used here.
    """
    digits = _digits(text).upper()
    if len(digits) == 40 and _is_hex(digits):
        return digits
    if not _is_hex(digits):
        found = repr(text)
    elif len(digits) == 64:
        found = "64: that is a key of version 5 or 6, and mirror checks signatures by keys of version 4 only"
    elif len(digits) in (8, 16):
        found = f"the key id {text.strip()!r}: it can be forged, so it pins nothing"
    else:
        found = f"{len(digits)} of them, {text.strip()!r}"
    raise ValueError(f"expected the fingerprint of an OpenPGP key, 40 hex digits, got {found}")


def _digits(text: str) -> str:
    digits = _BETWEEN.sub("", text)
    return digits[2:] if digits[:2].lower() == "0x" else digits


def _is_hex(text: str) -> bool:
    return re.fullmatch("[0-9A-Fa-f]+", text, re.ASCII) is not None

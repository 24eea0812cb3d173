"""What a file is, by its first bytes: for whoever named one where another was expected. Nothing of it is trusted.

Example::

    kind_of_file(Path("bundle.tar").read_bytes())     # "a bundle"
"""

from __future__ import annotations

import re

HEAD = 512
"""Bytes that are looked at: a tar's first header."""

TAR, DELTA = "a tar", "a delta"
PRIVATE_KEY, PUBLIC_KEY = KEYS = ("a private key", "a public key")
"""Of whatever format."""

_KINDS = (
    (re.compile(rb"MANIFEST\.json\0"), "a bundle"),
    (re.compile(rb"mirror-delta/"), DELTA),
    (re.compile(rb"# mirror-volumes/"), "the index of a bundle's volumes"),
    (re.compile(rb".{257}ustar", re.DOTALL), TAR),
    (re.compile(rb"PK\x03\x04"), "a zip file, as wheels are"),
    (re.compile(rb"#![^\n]*python[^\n]*\nPK\x03\x04"), "a Python program in one file"),
    (re.compile(rb"\x1f\x8b"), "a gzip file (.gz, .tgz)"),
    (re.compile(rb"BZh[1-9]"), "a bzip2 file (.bz2)"),
    (re.compile(rb"\xfd7zXZ\0"), "an xz file (.xz)"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "a zstd file (.zst)"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7z file"),
    (re.compile(rb"\xed\xab\xee\xdb"), "an RPM"),
    (re.compile(rb"\x7fELF"), "a program or library (ELF)"),
    (re.compile(rb"-----BEGIN [^\n]*PRIVATE KEY-----"), PRIVATE_KEY),
    (re.compile(rb"(?:sk-)?(?:ssh|ecdsa)-[\w@.-]+ AAAA"), PUBLIC_KEY),
)


def kind_of_file(data: bytes) -> str:
    """What a file is that begins so, with its article; empty for text of some kind, and for what is not known."""
    return next((kind for pattern, kind in _KINDS if pattern.match(data)), "")

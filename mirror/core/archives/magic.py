"""What a binary file is, by its first bytes.

It holds words for messages; nothing is decided by them but whether a file can be what it was taken for.

Example::

    >>> binary_kind(b"PK\\x03\\x04")
    'a zip file, as wheels are'
"""

from __future__ import annotations

HEAD = 512
"""Bytes that are looked at: a tar's first header."""

_KINDS = {
    b"\x1f\x8b": "a gzip file (.gz, .tgz)",
    b"BZh": "a bzip2 file (.bz2)",
    b"\xfd7zXZ\0": "an xz file (.xz)",
    b"\x28\xb5\x2f\xfd": "a zstd file (.zst)",
    b"PK\x03\x04": "a zip file, as wheels are",
    b"7z\xbc\xaf\x27\x1c": "a 7z file",
    b"\xed\xab\xee\xdb": "an RPM",
    b"\x7fELF": "a program or library (ELF)",
}


def is_tar(head: bytes) -> bool:
    """Whether the first header is one of POSIX's or GNU's."""
    return head[257:262] == b"ustar"


def binary_kind(head: bytes) -> str:
    """What it is, in words; empty when that is not known."""
    return "a tar" if is_tar(head) else next((kind for magic, kind in _KINDS.items() if head.startswith(magic)), "")

"""The bundle's byte layout: one uncompressed tar with one legal encoding.

A member's header is a function of its name and size alone, so writer and reader both compute it and the reader compares
bytes: a flipped bit, a link, a pax record or a second spelling of the same header cannot exist. Members are, in order,
``MANIFEST.json``, ``SIG/1.sig``.., ``ROOT/1.json``, ``ROOT/1.sig``.., then the manifest's artifacts; after each its zero
padding, and at the end two zero blocks and nothing more.

This module does no I/O and trusts nothing; ``mirror.core.bundle.reader`` reads files, ``mirror.core.bundle.writer``
writes them.

Example::

    >>> header("MANIFEST.json", 12)[:13]
    b'MANIFEST.json'
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional, Tuple

from mirror.core.errors import MirrorError
from mirror.core.system.filekinds import TAR, kind_of_file

BLOCK = 512
END = bytes(2 * BLOCK)
"""End of archive (POSIX.1-1988 ustar): two zero blocks."""

MANIFEST = "MANIFEST.json"

MAX_OCTAL = 8 * 2**30 - 1
"""A ustar size field holds 11 octal digits."""

MTIME = 315_532_800
"""1980-01-01T00:00:00Z, the oldest time that zip can hold too; GNU tar warns about older ones."""


class BadLayout(MirrorError):
    """The file is not the one tar that its manifest describes: truncated, altered, or not a bundle at all."""

    ref = "bad-layout"
    exit_code = 13
    hint = "The copy is damaged or was altered. Copy the bundle again; if it persists, ask its maker for a new one."
    message = "{bundle} is not an intact bundle: {problem} (at byte {offset})"

    problem: str
    offset: int
    bundle: str

    def __post_init__(self) -> None:
        if self.offset == 0:
            self.hint = (
                "Is this the right file? A bundle is an uncompressed tar: one that was compressed on its way is unpacked first "
                "(gunzip, unxz, unzip). If it is a bundle, its copy is damaged: copy it again."
            )


def header(name: str, size: int) -> bytes:
    """The ustar header of a regular file: type 0, mode 0644, uid and gid 0, no owner names, one mtime.

    Args:
        name: at most 100 bytes of ASCII; or longer, with a last part of at most 100 and at most 155 before it.
        size: bytes. Below 8 GiB 11 octal digits; from there on in base 256, as GNU tar, libarchive and Python write it.
    """
    prefix, short = b"", name.encode("ascii")
    if len(short) > 100:
        prefix, _, short = short.rpartition(b"/")
    fields = (
        short.ljust(100, b"\0"),
        b"0000644\0",
        b"0000000\0",
        b"0000000\0",
        b"%011o\0" % size if size <= MAX_OCTAL else b"\x80" + size.to_bytes(11, "big"),
        b"%011o\0" % MTIME,
        b" " * 8,  # the checksum counts its own field as blanks
        b"0".ljust(101, b"\0"),
        b"ustar\x0000".ljust(72, b"\0"),
        b"0000000\x000000000\0",
        prefix.ljust(167, b"\0"),
    )
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padding(size: int) -> bytes:
    """The zeros that fill a member's last block."""
    return bytes(-size % BLOCK)


def member_bytes(size: int) -> int:
    """What a member of ``size`` bytes takes in the tar: header, data, padding."""
    return BLOCK + size + -size % BLOCK


def signature_name(number: int) -> str:
    return f"SIG/{number}.sig"


def root_names(version: int) -> tuple[str, str]:
    """The names of a root document and of its signatures."""
    return f"ROOT/{version}.json", f"ROOT/{version}.sig"


def head(manifest_bytes: bytes, signatures: Iterable[bytes], roots: Iterable[tuple[bytes, bytes]]) -> bytes:
    """With what a bundle begins: the manifest, its signatures, the root chain.

    Args:
        signatures: armored sshsig blocks over ``manifest_bytes``.
        roots: ``(root.json, its signatures)`` for versions 1, 2, ...
    """
    members = [(MANIFEST, manifest_bytes)]
    members += [(signature_name(number), signature) for number, signature in enumerate(signatures, 1)]
    for version, documents in enumerate(roots, 1):
        members += zip(root_names(version), documents)
    return b"".join(header(name, len(data)) + data + padding(len(data)) for name, data in members)


def read_size(block: bytes, name: str, offset: int, limit: int, bundle: str) -> int:
    """The size of a member whose name is known but whose size is not (those before the manifest is trusted).

    Args:
        bundle: the file's path, for messages.

    Raises:
        BadLayout: unless the block is exactly the canonical header of ``name`` with a size of 1 to ``limit`` bytes.
    """
    member = read_member(block)
    if member and member[0] == name:
        if not 0 < member[1] <= limit:
            raise BadLayout(f"{name} has {member[1]} bytes, the limit is {limit}", offset, bundle)
        return member[1]
    kind = file_kind(block) if offset == 0 else ""
    if kind:
        raise BadLayout(kind, offset, bundle)
    raise BadLayout(f"expected the header of {name}, found {shown_name(block)}", offset, bundle)


def read_member(block: bytes) -> Optional[Tuple[str, int]]:
    """Name and size in a header that nobody has signed; None unless it is the canonical header of them."""
    name, digits = b"/".join(filter(None, (block[345:500].rstrip(b"\0"), block[:100].rstrip(b"\0")))), block[124:135]
    is_wide = block[124:125] == b"\x80"
    if not name.isascii() or not (is_wide or (digits.isdigit() and not digits.strip(b"01234567"))):
        return None
    member = name.decode("ascii"), int.from_bytes(block[125:136], "big") if is_wide else int(digits, 8)
    return member if block == header(*member) else None


_TEXTS = {
    b"#!": "a program or script",
    b"-----BEGIN SSH SIGNATURE": "a signature; name the bundle that it lies beside",
    b"{": "a JSON document",
    b"<": "a page of HTML or XML, such as a server's answer in place of the file",
}


def file_kind(block: bytes) -> str:
    """What a file that is no bundle is, by its first bytes, in words; empty when that is not known."""
    if block.startswith(MANIFEST.encode()):
        return ""
    expected, kind = f"expected the header of {MANIFEST}", kind_of_file(block)
    if kind == TAR:
        return f"it is another tar: {expected}, found {shown_name(block)}"
    zeros = "a file that begins with nothing but zeros" if block and not block.strip(b"\0") else ""
    text = next((kind for start, kind in _TEXTS.items() if block.startswith(start)), "")
    kind = zeros or text or kind
    return f"it is {kind}: {expected}" if kind else ""


def shown_name(block: bytes) -> str:
    """The name in a header that nobody has checked, for messages."""
    return repr(block[:100].rstrip(b"\0")[:40])

"""RPM packages: whose they are and what they hold, without rpm.

A package is a lead (ignored), a signature header, a main header and a compressed archive. This module reads the headers and
verifies the signer; ``mirror.core.toolkit.payload`` reads the archive, ``mirror.core.toolkit.toolchain`` unpacks it into a
tree.

Rules, in order:
(1) lengths are judged before anything is read: a header of 16 MiB at most, a signature header of 8 MiB;
(2) a signature over the main header by a pinned key is found and good; MD5 digests, SHA-1 digests and signatures over header
    and payload together are not looked at;
(3) only then is the main header parsed: entries inside the store, no tag twice, file lists of one length, plain paths;
(4) the signed header must vouch for the archive: by its digest, or, in packages older than that, by a SHA-256 of each
    file. A header signature alone proves nothing about the archive (rpm's issue 1672).
Scriptlets are named, never run.

Example::

    with open(path, "rb") as stream:
        rpm = read_rpm(stream, path.name, read_keys(key), fingerprints)   # stream is now at the archive
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from mirror.core.errors import MirrorError
from mirror.core.signatures import openpgp
from mirror.core.signatures.pgpkeys import Certificate
from mirror.core.toolkit.package import PackageFile
from mirror.core.toolkit.rpmheader import Header, MalformedRpm, Reader

LEAD_BYTES = 96
MAX_HEADER_BYTES = 16 << 20
"""The largest seen, of a package with 20,000 files, takes 3 MiB; what nobody signed yet is held in memory up to here."""
MAX_SIGNATURE_HEADER_BYTES = 8 << 20

GHOST = 1 << 6
"""File flag: owned by the package, not in its archive."""

DIGESTS = {8: "sha256", 9: "sha384", 10: "sha512"}
"""Digest algorithms that are accepted, by their OpenPGP numbers."""

_DSA_HEADER, _RSA_HEADER, _OPENPGP = 267, 268, 278
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH = 1000, 1001, 1002, 1003, 1022
_FILE_SIZES, _LONG_FILE_SIZES, _MODES, _FILE_DIGESTS, _LINKS, _FLAGS = 1028, 5008, 1030, 1035, 1036, 1037
_INODES = 1096
_DIRECTORY_INDEXES, _BASE_NAMES, _DIRECTORY_NAMES, _OLD_FILE_NAMES = 1116, 1117, 1118, 1027
_FILE_DIGEST_ALGORITHM = 5011
_PAYLOAD_FORMAT, _PAYLOAD_COMPRESSOR, _PAYLOAD_DIGEST, _PAYLOAD_DIGEST_ALGORITHM = 1124, 1125, 5092, 5093
_SOURCE_PACKAGE = 1106
_SCRIPTLETS = {
    1023: "pre", 1024: "post", 1025: "preun", 1026: "postun", 1065: "triggers", 1079: "verify", 1151: "pretrans",
    1152: "posttrans", 5066: "file triggers", 5076: "transaction file triggers",
}  # fmt: skip

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~^-]*", re.ASCII)


class RpmNotTrusted(MirrorError):
    """A package carries no good header signature by a pinned key."""

    ref = "rpm-not-trusted"
    exit_code = 45
    hint = (
        "Take the package from its vendor's own repository. Pin another fingerprint in [rpms].fingerprints only if the vendor "
        "publishes it elsewhere."
    )
    message = "{name}: {problem}"

    name: str
    problem: str


@dataclass(frozen=True)
class Rpm:
    """A package whose header a pinned key has signed.

    Attributes:
        label: name of the file, for messages.
        fingerprint: of the pinned key.
        epoch: 0 when there is none.
        files: in the header's order.
        digest_algorithm: of the files' digests, as ``hashlib`` names it.
        payload_offset: where the archive begins in the file.
        compressor: of the archive.
        payload_digest: algorithm and hex digest of the compressed archive; None in old packages.
        scriptlets: kinds of programs that rpm would have run.
    """

    label: str
    fingerprint: str
    name: str
    epoch: int
    version: str
    release: str
    arch: str
    files: tuple[PackageFile, ...]
    digest_algorithm: str
    payload_offset: int
    compressor: str
    payload_digest: tuple[str, str] | None
    scriptlets: tuple[str, ...]

    @property
    def nevra(self) -> str:
        epoch = f"{self.epoch}:" if self.epoch else ""
        return f"{self.name}-{epoch}{self.version}-{self.release}.{self.arch}"


def read_rpm(stream: BinaryIO, label: str, keys: Sequence[Certificate], fingerprints: Iterable[str]) -> Rpm:
    """Read and judge a package's headers.

    Args:
        stream: at the package's first byte; it is left at the archive's.
        label: the file's name, for messages.
        keys: as ``openpgp.read_keys`` gives them.
        fingerprints: the pinned ones.

    Raises:
        MalformedRpm: when it breaks the format.
        RpmNotTrusted: when no pinned key has signed the header, or the header does not vouch for the archive.
    """
    reader = Reader(stream, label)
    lead = reader.take(LEAD_BYTES)
    if lead[:4] != b"\xed\xab\xee\xdb" or lead[6:8] != b"\x00\x00":
        reader.refuse("it does not begin as a binary package does")
    signatures = Header(reader.header(MAX_SIGNATURE_HEADER_BYTES), label)
    reader.take(-reader.offset % 8)
    raw = reader.header(MAX_HEADER_BYTES)
    fingerprint = _trusted(raw, signatures, label, keys, tuple(fingerprints))
    return _parse(Header(raw, label), label, fingerprint, reader.offset)


def _trusted(
    raw: bytes, signatures: Header, label: str, keys: Sequence[Certificate], fingerprints: tuple[str, ...]
) -> str:
    """Rule 2: the fingerprint of the pinned key that signed the header."""
    found = [signatures.blob(tag) for tag in (_RSA_HEADER, _DSA_HEADER) if tag in signatures]
    try:
        found += [base64.b64decode(text, validate=True) for text in signatures.texts(_OPENPGP)]
    except binascii.Error as exc:
        raise MalformedRpm(label, f"a signature is no base64: {exc}") from exc
    if not found:
        raise RpmNotTrusted(label, "its header carries no OpenPGP signature")
    failures = []
    for signature in found:
        try:
            return openpgp.verify(raw, signature, keys, fingerprints)
        except MirrorError as exc:
            failures.append(exc)
    # A pinned key's own failure says more than a stranger's signature beside it.
    worst = next((failure for failure in failures if not isinstance(failure, openpgp.UnpinnedKey)), failures[0])
    raise RpmNotTrusted(label, str(worst)) from worst


def _parse(header: Header, label: str, fingerprint: str, offset: int) -> Rpm:
    """Rules 3 and 4, on a header whose signature is good."""
    if _SOURCE_PACKAGE in header:
        raise MalformedRpm(label, "it is a source package")
    payload_format = header.text(_PAYLOAD_FORMAT, "cpio")
    if payload_format != "cpio":
        raise MalformedRpm(label, f"its archive is of format {payload_format!r}, not cpio")
    name, version, release, arch = (_word(header, tag) for tag in (_NAME, _VERSION, _RELEASE, _ARCH))
    digests = header.texts(_PAYLOAD_DIGEST)
    algorithm = _algorithm(header, _PAYLOAD_DIGEST_ALGORITHM, 8) if digests else ""
    files = _files(header)
    file_algorithm = _algorithm(header, _FILE_DIGEST_ALGORITHM, 1) if files else "sha256"
    return Rpm(
        label=label,
        fingerprint=fingerprint,
        name=name,
        epoch=header.number(_EPOCH, 0),
        version=version,
        release=release,
        arch=arch,
        files=files,
        digest_algorithm=file_algorithm,
        payload_offset=offset,
        compressor=header.text(_PAYLOAD_COMPRESSOR, "none"),  # rpmbuild leaves it out for w.ufdio
        payload_digest=(algorithm, digests[0].lower()) if digests else None,
        scriptlets=tuple(kind for tag, kind in _SCRIPTLETS.items() if tag in header),
    )


def _word(header: Header, tag: int) -> str:
    """Name, version, release or architecture: they become file names."""
    text = header.text(tag)
    if not _WORD.fullmatch(text):
        header.refuse(f"tag {tag} is {text!r}")
    return text


def _algorithm(header: Header, tag: int, default: int) -> str:
    number = header.number(tag, default)
    if number not in DIGESTS:
        raise RpmNotTrusted(header.label, f"its digests are of algorithm {number}; SHA-256 or better is needed")
    return DIGESTS[number]


def _files(header: Header) -> tuple[PackageFile, ...]:
    if _OLD_FILE_NAMES in header:
        header.refuse("its file names are in the form of rpm 3")
    names = header.texts(_BASE_NAMES)
    directories = header.texts(_DIRECTORY_NAMES)
    columns = (
        header.numbers(_DIRECTORY_INDEXES),
        header.numbers(_MODES),
        header.numbers(_LONG_FILE_SIZES) or header.numbers(_FILE_SIZES),
        header.texts(_FILE_DIGESTS),
        header.texts(_LINKS),
        header.numbers(_FLAGS),
        header.numbers(_INODES) or (0,) * len(names),
    )
    if any(len(column) != len(names) for column in columns):
        header.refuse(
            f"its file lists are of lengths {len(names)}, {', '.join(str(len(column)) for column in columns)}"
        )
    files = []
    for name, index, mode, size, digest, link, flags, inode in zip(names, *columns):
        if index >= len(directories):
            header.refuse(f"a file in directory {index} of {len(directories)}")
        path = _plain_path(header, directories[index], name)
        files.append(PackageFile(path, mode, size, digest.lower(), link, bool(flags & GHOST), inode))
    if len({file.path for file in files}) != len(files):
        header.refuse("it lists a path twice")
    return tuple(files)


def _plain_path(header: Header, directory: str, name: str) -> str:
    path = directory + name
    parts = path.split("/")[1:]
    if not path.startswith("/") or not path.isprintable() or any(part in ("", ".", "..") for part in parts):
        header.refuse(f"it holds the path {path!r}")
    return path

"""A package's archive: its digest checked, decompressed, and compared with the signed header, file by file.

``mirror.core.toolkit.rpm`` reads headers, ``mirror.core.archives.cpio`` the archive's members;
``mirror.core.toolkit.toolchain`` writes files.

Rules:
(1) where the header names the compressed archive's digest, all of it is hashed before the first byte is decompressed;
(2) memory is bounded: an xz dictionary of 96 MiB at most, a zstd window of 128 MiB, and never more content than the header
    announces;
(3) the stream is one stream, with nothing after it;
(4) the archive holds exactly the header's files, each with its mode, size, target and digest; of a set of hard links the last
    carries the content.

Decompressors are the standard library's. zstd is among them from Python 3.14 on; before that the caller brings one
(``mirror.core.archives.zstdframe``).

Example::

    check_payload(rpm, stream)
    for found in contents(rpm, stream): ...
"""

from __future__ import annotations

import hashlib
import importlib
import stat
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, NoReturn

from mirror.core.archives.cpio import Archive, Entry, MalformedPayload
from mirror.core.archives.decompress import Decompressed
from mirror.core.archives.zstdframe import ModuleDecompressor, OneFrame, Zstd
from mirror.core.errors import MirrorError
from mirror.core.toolkit.package import Content, PackageFile
from mirror.core.toolkit.rpm import Rpm

_PIECE = 1 << 20


class PayloadMismatch(MirrorError):
    """A package's archive, or a file in it, has another digest than the signed header names.

    Attributes:
        name: of the package's file.
        what: the archive, or the file's path.
        expected: hex digest in the header.
        actual: hex digest of the bytes.
    """

    ref = "rpm-digest-mismatch"
    exit_code = 46
    hint = "The package was damaged or altered after it was signed. Get it again from its publisher."
    message = "{name}: {what} has digest {actual}, the signed header says {expected}"

    name: str
    what: str
    expected: str
    actual: str


class PayloadUnsupported(MirrorError):
    """Nothing on this machine decompresses the archive.

    Attributes:
        name: of the package's file.
        compressor: as the header names it.
        tried: what was looked for, where more than this Python's standard library was.
    """

    ref = "rpm-payload-unsupported"
    exit_code = 47
    hint = (
        "For zstd: put a 'zstd' program on PATH, run mirror with Python 3.14 or newer, or make the bundle again with a mirror "
        "that carries a decompressor (tool/backports_zstd-*.whl); where wheels are built, 'pip install backports.zstd'."
    )
    message = "{name}: its archive is compressed with {compressor}, which nothing here can read{tried: (%s)}"

    name: str
    compressor: str
    tried: str = ""


def check_payload(rpm: Rpm, stream: BinaryIO) -> None:
    """Hash the compressed archive, at whose first byte ``stream`` is, and compare (rule 1).

    Packages of old rpms name no such digest. Their files' digests, in the signed header, are judged as they are unpacked.

    Raises:
        PayloadMismatch: when it differs.
    """
    if rpm.payload_digest is None:
        return
    algorithm, expected = rpm.payload_digest
    digest = hashlib.new(algorithm)
    for block in iter(lambda: stream.read(_PIECE), b""):
        digest.update(block)
    if digest.hexdigest() != expected:
        raise PayloadMismatch(rpm.label, "its archive", expected, digest.hexdigest())


def contents(rpm: Rpm, stream: BinaryIO, zstd: Zstd | None = None) -> Iterator[Content]:
    """The package's files in the archive's order.

    Args:
        stream: at the archive's first byte.
        zstd: makes a decompressor where the standard library has none.

    Raises:
        PayloadUnsupported, MalformedPayload, PayloadMismatch: as the rules say.
    """
    with closing(_Unpacked(rpm, stream, zstd)) as unpacked:
        groups = _hard_links(rpm)
        archive = Archive(unpacked.read, _stored_sizes(rpm, groups), rpm.label)
        missing = {file.path: file for file in rpm.files if not file.ghost}
        waiting: dict[int, list[PackageFile]] = {}
        for entry in archive:
            file = _described(rpm, archive, entry, missing)
            del missing[file.path]
            links, inode = entry.links, entry.inode
            if entry.index is not None:
                links, inode = len(groups.get(file.inode, ())), file.inode
            size = _stored_size(file)
            if links > 1 and not entry.size and size:
                waiting.setdefault(inode, []).append(file)
                continue
            if entry.size != size:
                raise archive.refuse(f"{file.path} has {entry.size} bytes, the signed header says {size}")
            also = tuple(waiting.pop(inode, ())) if links > 1 else ()
            if any(other.digest != file.digest for other in also):
                raise archive.refuse(f"{file.path} has hard links with other contents in the signed header")
            if stat.S_ISLNK(file.mode):
                target = b"".join(archive.content())
                if target != file.link.encode("utf-8"):
                    raise archive.refuse(f"{file.path} leads to {target!r}, the signed header says {file.link!r}")
            yield Content(file, also, _judged(rpm, file, archive.content()))
        lost = [*missing, *(file.path for files in waiting.values() for file in files)]
        if lost:
            raise archive.refuse(f"{len(lost)} files of the signed header are not in it, the first is {min(lost)}")
        unpacked.end()


def _hard_links(rpm: Rpm) -> dict[int, list[int]]:
    """Places in the file list of the regular files of each inode, as far as the header knows."""
    groups: dict[int, list[int]] = {}
    for index, file in enumerate(rpm.files):
        if stat.S_ISREG(file.mode) and file.inode:
            groups.setdefault(file.inode, []).append(index)
    return groups


def _stored_sizes(rpm: Rpm, groups: dict[int, list[int]]) -> list[int]:
    """Bytes that an archive without names holds of each file: of hard links, all of them at the last (rule 4)."""
    sizes = [_stored_size(file) for file in rpm.files]
    for indexes in groups.values():
        for index in indexes[:-1]:
            sizes[index] = 0
    return sizes


def _stored_size(file: PackageFile) -> int:
    """Bytes that the archive holds of a file; the header gives directories a size too."""
    if stat.S_ISLNK(file.mode):
        return len(file.link.encode("utf-8"))
    return file.size if stat.S_ISREG(file.mode) else 0


def _described(rpm: Rpm, archive: Archive, entry: Entry, missing: dict[str, PackageFile]) -> PackageFile:
    """The header's file that an entry is."""
    path = rpm.files[entry.index].path if entry.index is not None else entry.name[entry.name.startswith(".") :]
    file = missing.get(path)
    if file is None:
        raise archive.refuse(f"{entry.name or path!r} is in it twice, or not in the signed header")
    if entry.index is None and entry.mode != file.mode:
        raise archive.refuse(f"{path} has mode {entry.mode:o}, the signed header says {file.mode:o}")
    return file


def _judged(rpm: Rpm, file: PackageFile, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if not stat.S_ISREG(file.mode):
        yield from pieces
        return
    digest = hashlib.new(rpm.digest_algorithm)
    for piece in pieces:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != file.digest:
        raise PayloadMismatch(rpm.label, file.path, file.digest, digest.hexdigest())


def _zstd(given: Zstd | None) -> OneFrame:
    try:
        return OneFrame(ModuleDecompressor(importlib.import_module("compression.zstd")))  # from Python 3.14 on
    except ImportError:
        if given is None:
            raise LookupError from None
    return OneFrame(given())


class _Unpacked(Decompressed):
    """The decompressed archive as a stream."""

    def __init__(self, rpm: Rpm, stream: BinaryIO, zstd: Zstd | None) -> None:
        self._label = rpm.label
        try:
            self._frame = _zstd(zstd) if rpm.compressor == "zstd" else None
            super().__init__(stream, self._malformed, rpm.compressor, self._frame)
        except LookupError as exc:
            tried = "" if isinstance(exc, KeyError) else str(exc)
            raise PayloadUnsupported(rpm.label, rpm.compressor, tried) from exc

    def _malformed(self, problem: str) -> NoReturn:
        raise MalformedPayload(self._label, problem)

    def close(self) -> None:
        if self._frame is not None:
            self._frame.close()

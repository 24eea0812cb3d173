"""What is inside the files that a toolchain or an interpreter comes in: RPMs, component archives, a Python's tar.

``mirror.core.toolkit.rpmsource``, ``mirror.core.toolkit.redist`` and ``mirror.core.archives.tarstream`` judge them; this module
reads what they hand on, and of an RPM the words of its header besides.

Rules: whatever they refuse is refused here too; every file is read to its end, so that it is held to its digest.

Example::

    read_package(trusted_rpm.judge(), scratch).scripts     # ("nvcc", "ptxas", ...)
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from mirror.connected.contents.inside import Contents, web_address, words
from mirror.connected.contents.licences import MAX_TEXT_BYTES, is_licence_file, licence_of, text_of
from mirror.core.archives.pieces import head_of
from mirror.core.archives.tarstream import TarStream
from mirror.core.binaries.native import NativeTally
from mirror.core.toolkit.package import Package, PackageFile
from mirror.core.toolkit.redist import MAX_UNPACKED_BYTES
from mirror.core.toolkit.rpm import LEAD_BYTES, MAX_HEADER_BYTES, MAX_SIGNATURE_HEADER_BYTES
from mirror.core.toolkit.rpmheader import Header, Reader
from mirror.core.toolkit.rpmsource import RpmPackage

_SUMMARY, _LICENCE, _URL, _PROVIDES, _REQUIRES = 1004, 1014, 1020, 1047, 1049
_TO_PATH = re.compile(r"/usr/local/cuda-[0-9.]+/bin/([^/]+)")
"""What ``env.sh`` puts on the PATH."""

_SETUID = stat.S_ISUID | stat.S_ISGID


def read_rpm_contents(package: RpmPackage, path: Path, scratch: Path) -> Contents:
    """Read an RPM through.

    Args:
        package: the file at ``path``, judged.

    Raises:
        MirrorError: as ``RpmPackage.contents`` does.
    """
    header = _header(path)
    said = licence_of("", header.text(_LICENCE, ""))
    return replace(
        read_package(package, scratch),
        summary=words(header.text(_SUMMARY, "")),
        homepage=web_address(header.text(_URL, "")),
        licence=said.expression,
        licence_stated=words(said.stated),
        needs=tuple(dict.fromkeys(header.texts(_REQUIRES))),
        offers=tuple(dict.fromkeys((*header.texts(_PROVIDES), *(file.path for file in package.files)))),
        signer=package.rpm.fingerprint,
    )


def _header(path: Path) -> Header:
    """The main header of an RPM that was judged before."""
    with path.open("rb") as stream:
        reader = Reader(stream, path.name)
        reader.take(LEAD_BYTES)
        reader.header(MAX_SIGNATURE_HEADER_BYTES)
        reader.take(-reader.offset % 8)
        return Header(reader.header(MAX_HEADER_BYTES), path.name)


def read_package(package: Package, scratch: Path) -> Contents:
    """Read a package of a toolchain through. Raises as ``Package.contents`` does."""
    files = ((content.file, content.pieces) for content in package.contents())
    found = _read(files, scratch)
    programs = (match[1] for file in package.files if _is_program(file) and (match := _TO_PATH.fullmatch(file.path)))
    setuid = (file.path for file in package.files if stat.S_ISREG(file.mode) and file.mode & _SETUID)
    return replace(
        found, scripts=tuple(sorted(programs)), setuid=tuple(sorted(setuid)), scriptlets=tuple(package.scriptlets)
    )


def _is_program(file: PackageFile) -> bool:
    return stat.S_ISLNK(file.mode) or bool(stat.S_ISREG(file.mode) and file.mode & 0o111)


def read_interpreter(path: Path, scratch: Path) -> Contents:
    """Read a Python's archive through.

    Raises:
        BadArchive: when it holds what the closed side would refuse.
    """
    setuid = []

    def files(tar: TarStream) -> Iterator[tuple[PackageFile, Iterator[bytes]]]:
        for member in tar:
            if stat.S_ISREG(member.mode) and not member.original:
                if member.mode & _SETUID:
                    setuid.append(member.path)
                yield PackageFile(member.path, member.mode, member.size), tar.content()

    with path.open("rb") as stream:
        found = _read(files(TarStream(stream, path.name, MAX_UNPACKED_BYTES)), scratch)
    return replace(found, setuid=tuple(sorted(setuid)))


def _read(files: Iterable[tuple[PackageFile, Iterator[bytes]]], scratch: Path) -> Contents:
    tally, texts = NativeTally(), {}
    for file, pieces in files:
        if is_licence_file(file.path) and stat.S_ISREG(file.mode):
            texts[file.path] = text_of(head_of(pieces, MAX_TEXT_BYTES), file.size)
        elif stat.S_ISREG(file.mode):
            tally.add_pieces(pieces, file.path, scratch)
        for _ in pieces:
            pass  # to its end: only then is its digest judged
    return Contents(texts=tuple(sorted(texts.items())), native=tally.native())

"""What is inside the files that a toolchain or an interpreter comes in: RPMs, component archives, a Python's tar.

``mirror.core.toolkit.rpmsource``, ``mirror.core.toolkit.redist`` and ``mirror.core.archives.tarstream`` judge them; this module
reads what they hand on, and of an RPM the words of its header besides.

Rules: whatever they refuse is refused here too; every file is read to its end, so that it is held to its digest; of a compiled
file the headers are kept as it goes by, and only one whose headers lie elsewhere is copied, when the archive is read again.

Example::

    read_package(trusted_rpm.judge(), scratch).scripts     # ("nvcc", "ptxas", ...)
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from mirror.connected.contents.inside import Contents, web_address, words
from mirror.connected.contents.licences import MAX_TEXT_BYTES, is_licence_file, licence_of, text_of
from mirror.core.archives.pieces import head_of
from mirror.core.archives.tarstream import TarStream
from mirror.core.binaries.elf import MAGIC
from mirror.core.binaries.native import NativeTally
from mirror.core.binaries.passing import Passing
from mirror.core.toolkit.package import Package, PackageFile
from mirror.core.toolkit.redist import MAX_UNPACKED_BYTES
from mirror.core.toolkit.rpm import LEAD_BYTES, MAX_HEADER_BYTES, MAX_SIGNATURE_HEADER_BYTES
from mirror.core.toolkit.rpmheader import Header, Reader

_SUMMARY, _LICENCE, _URL, _PROVIDES, _REQUIRES = 1004, 1014, 1020, 1047, 1049
_TO_PATH = re.compile(r"/usr/local/cuda-[0-9.]+/bin/([^/]+)")
"""What ``env.sh`` puts on the PATH."""

_SETUID = stat.S_ISUID | stat.S_ISGID


def read_rpm_contents(package: Package, path: Path, scratch: Path) -> Contents:
    """Read an RPM through.

    Args:
        package: the file at ``path``, judged.

    Raises:
        MirrorError: as ``Package.contents`` does.
    """
    return of_rpm(package, path, read_package(package, scratch))


def of_rpm(package: Package, path: Path, found: Contents) -> Contents:
    """What was found in an RPM's files, with what its header says besides."""
    header = _header(path)
    said = licence_of("", header.text(_LICENCE, ""))
    return replace(
        found,
        summary=words(header.text(_SUMMARY, "")),
        homepage=web_address(header.text(_URL, "")),
        licence=said.expression,
        licence_stated=words(said.stated),
        needs=tuple(dict.fromkeys(header.texts(_REQUIRES))),
        offers=tuple(dict.fromkeys((*header.texts(_PROVIDES), *(file.path for file in package.files)))),
        signer=package.signer,
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
    return of_package(package, _read(lambda: ((one.file, one.pieces) for one in package.contents()), scratch))


def of_package(package: Package, found: Contents) -> Contents:
    """What was found in a package's files, with what it says of them."""
    programs = (match[1] for file in package.files if _is_program(file) and (match := _TO_PATH.fullmatch(file.path)))
    setuid = (file.path for file in package.files if stat.S_ISREG(file.mode) and file.mode & _SETUID)
    return replace(
        found, scripts=tuple(sorted(programs)), setuid=tuple(sorted(setuid)), scriptlets=tuple(package.scriptlets)
    )


def _is_program(file: PackageFile) -> bool:
    return stat.S_ISLNK(file.mode) or bool(stat.S_ISREG(file.mode) and file.mode & 0o111)


def read_interpreter(path: Path, scratch: Path) -> Contents:
    """Read a Python's archive through. Raises BadArchive when it holds what the closed side would refuse."""
    setuid: set[str] = set()

    def files() -> Iterator[tuple[PackageFile, Iterator[bytes]]]:
        with path.open("rb") as stream:
            tar = TarStream(stream, path.name, MAX_UNPACKED_BYTES)
            for member in tar:
                if stat.S_ISREG(member.mode) and not member.original:
                    if member.mode & _SETUID:
                        setuid.add(member.path)
                    yield PackageFile(member.path, member.mode, member.size), tar.content()

    return replace(_read(files, scratch), setuid=tuple(sorted(setuid)))


class Reading:
    """What is found in an archive's files while somebody reads them.

    Attributes:
        missed: compiled files whose headers lie where nothing is kept.
    """

    def __init__(self) -> None:
        self._tally, self._texts = NativeTally(), dict[str, str]()
        self.missed: set[str] = set()

    def through(self, file: PackageFile, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The same pieces; what is in them is known once they were read to their end."""
        if not stat.S_ISREG(file.mode):
            yield from pieces
        elif is_licence_file(file.path):
            yield from self._licence(file, pieces)
        else:
            yield from self._compiled(file, pieces)

    def _licence(self, file: PackageFile, pieces: Iterator[bytes]) -> Iterator[bytes]:
        text = b""
        for piece in pieces:
            text += piece[: max(0, MAX_TEXT_BYTES - len(text))]
            yield piece
        self._texts[file.path] = text_of(text, file.size)

    def _compiled(self, file: PackageFile, pieces: Iterator[bytes]) -> Iterator[bytes]:
        head = head_of(pieces, len(MAGIC))
        if not head.startswith(MAGIC):
            yield from chain([head], pieces)
            return
        passing = Passing()
        for piece in chain([head], pieces):
            passing.feed(piece)
            yield piece
        if not self._tally.add_passing(passing, file.path):
            self.missed.add(file.path)

    def copy(self, file: PackageFile, pieces: Iterator[bytes], scratch: Path) -> None:
        """Take in one that was missed, written to a temporary file if it is large."""
        self._tally.add_pieces(pieces, file.path, scratch)

    def contents(self) -> Contents:
        """What was found so far."""
        return Contents(texts=tuple(sorted(self._texts.items())), native=self._tally.native())


def _read(files: Callable[[], Iterable[tuple[PackageFile, Iterator[bytes]]]], scratch: Path) -> Contents:
    """Read an archive once, and once more where headers were missed."""
    reading = Reading()
    for file, pieces in files():
        for _ in reading.through(file, pieces):
            pass  # to its end: only then is its digest judged
    if reading.missed:
        for file, pieces in files():
            if file.path in reading.missed:
                reading.copy(file, pieces, scratch)
            for _ in pieces:
                pass
    return reading.contents()

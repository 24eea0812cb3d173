"""A package of a CUDA toolchain: files with paths, modes and digests, whose contents can be streamed.

What kind of file it came in is not told here: ``mirror.core.toolkit.rpmsource`` makes packages of RPMs.
``mirror.core.toolkit.tree`` plans what goes where in the tree, ``mirror.core.toolkit.toolchain`` writes it; both know packages
by these words only.

Rules for whoever makes a package of another kind of file:
(1) ``judge`` proves whose it is and what it holds before it returns: nothing is written before every source was judged;
(2) paths are those below ``/usr/local/cuda-X.Y`` on a host where the vendor's packages are installed, also where the file
    itself names them otherwise;
(3) ``contents`` reads the file again and hands on exactly the files that were judged, each held to its digest.

Example::

    package = source.judge()
    for found in package.contents(): ...
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Callable, Protocol

from mirror.core.errors import reading
from mirror.core.names import Sha256Hex
from mirror.core.system.crew import may_go_on

NO_ARCH = "noarch"
"""The architecture of a package that any machine can use."""

_BLOCK = 1 << 20


@dataclass(frozen=True)
class PackageFile:
    """A file, directory or link that a package owns.

    Attributes:
        path: absolute, without ``.``, ``..`` or empty parts.
        mode: type and permission bits, as in ``st_mode``.
        size: bytes.
        digest: hex, by the package's algorithm; empty for what is no regular file.
        link: target of a symbolic link.
        ghost: owned by the package, but not in it.
        inode: the same for hard links to one file; 0 when the package does not say.
    """

    path: str
    mode: int
    size: int = 0
    digest: str = ""
    link: str = ""
    ghost: bool = False
    inode: int = 0


@dataclass(frozen=True)
class Content:
    """A file of a package, met in its archive.

    Attributes:
        file: as the package describes it.
        also: other names of the same content (hard links).
        pieces: the content of a regular file, to be read to its end: only then is its digest judged.
    """

    file: PackageFile
    also: tuple[PackageFile, ...]
    pieces: Iterator[bytes]


@dataclass(frozen=True)
class Package:
    """A package that was judged: what its vendor or the signed manifest vouches for.

    Attributes:
        name: what a stack would ask for, ``"cuda-nvcc-13-0"``.
        nevra: name, version and architecture: ``"cuda-nvcc-13-0-13.0.88-1.x86_64"``.
        arch: as ``uname -m`` prints it, or ``NO_ARCH``.
        sha256: of the whole file.
        files: everything that it owns.
        contents: gives the files again, with their bytes; may be called from any thread, and raises ``MirrorError`` when they
            are not the ones that were judged.
        scriptlets: kinds of programs that an installer would have run.
        signer: fingerprint of the pinned key that signed it; empty where nobody signs such packages.
    """

    name: str
    nevra: str
    arch: str
    sha256: Sha256Hex
    files: tuple[PackageFile, ...]
    contents: Callable[[], Iterator[Content]]
    scriptlets: tuple[str, ...] = ()
    signer: str = ""

    @property
    def unpacked_size(self) -> int:
        """Bytes of all files, each hard link counted: what the signed manifest allows."""
        return sum(file.size for file in self.files)


class PackageSource(Protocol):
    """A file that is said to be a package."""

    def judge(self) -> Package:
        """Prove whose it is and what it holds; may be called from any thread.

        Raises:
            MirrorError: when it is not to be trusted, or not what was chosen.
        """


def opened(path: Path) -> BinaryIO:
    """A package's file, at its first byte. Raises Unreadable."""
    with reading(path):
        return open(path, "rb")


class Hashing(io.RawIOBase):
    """A stream that hashes what is read through it, so that the bytes that were judged are the bytes that were hashed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._digest = stream, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants its own Buffer protocol
        may_go_on()
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._digest.update(data)
        return len(data)

    def sha256(self) -> Sha256Hex:
        """Of the whole stream: what nobody has read yet is read now."""
        for block in iter(lambda: self._stream.read(_BLOCK), b""):
            may_go_on()
            self._digest.update(block)
        return Sha256Hex(self._digest.hexdigest())

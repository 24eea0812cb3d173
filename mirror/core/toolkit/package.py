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

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from mirror.core.names import Sha256Hex

NO_ARCH = "noarch"
"""The architecture of a package that any machine can use."""


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


class Package(Protocol):
    """A package that was judged: what its vendor or the signed manifest vouches for."""

    @property
    def name(self) -> str:
        """What a stack would ask for, ``"cuda-nvcc-13-0"``."""

    @property
    def nevra(self) -> str:
        """Name, version and architecture: ``"cuda-nvcc-13-0-13.0.88-1.x86_64"``."""

    @property
    def arch(self) -> str:
        """As ``uname -m`` prints it, or ``NO_ARCH``."""

    @property
    def sha256(self) -> Sha256Hex:
        """Of the whole file."""

    @property
    def files(self) -> tuple[PackageFile, ...]:
        """Everything that it owns."""

    @property
    def scriptlets(self) -> tuple[str, ...]:
        """Kinds of programs that an installer would have run."""

    def contents(self) -> Iterator[Content]:
        """The files again, with their bytes; may be called from any thread.

        Raises:
            MirrorError: when they are not the ones that were judged.
        """


class PackageSource(Protocol):
    """A file that is said to be a package."""

    def judge(self) -> Package:
        """Prove whose it is and what it holds; may be called from any thread.

        Raises:
            MirrorError: when it is not to be trusted, or not what was chosen.
        """

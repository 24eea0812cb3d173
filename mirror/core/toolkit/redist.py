"""NVIDIA's component archives (``cuda_nvcc-linux-x86_64-12.6.85-archive.tar.xz``) as the packages of a toolchain.

They hold what RPMs hold, in a plainer layout: ``include`` and ``lib`` in place of ``targets/<triplet>/include`` and ``lib``
(CUDA.md A9). This module says where each file belongs and hands it on behind the words of ``mirror.core.toolkit.package``;
``mirror.core.archives.tarstream`` decides which members an archive may have, ``mirror.core.toolkit.tree`` plans the tree.

Nobody signs these archives: the digest counts, which the signed manifest (or the lock) names, and nothing else vouches.

Rules:
(1) an archive's digest is compared before the first byte is decompressed;
(2) it is read to its end, every file hashed, before anything is written; at the second reading each file is held to that;
(3) ``include`` and ``lib`` move below ``targets/<triplet>``, and links with them; what lies at the archive's own top, its
    licence, goes below ``share/licenses``; ``pkg-config``, whose files name another prefix, is listed and not written.

Example::

    source = RedistSource(path.name, partial(opened, path), digest, "cuda_nvcc", "12.6.85", target)
    unpack_toolchain([source], root, target)
"""

from __future__ import annotations

import hashlib
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Callable

from mirror.core.archives.decompress import Readable
from mirror.core.archives.tarstream import Member, TarStream
from mirror.core.bundle.reader import DigestMismatch
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from mirror.core.toolkit.package import Content, Hashing, Package, PackageFile, opened

MAX_UNPACKED_BYTES = 16 << 30
"""The most that an archive may unpack to where nobody has measured it yet; libcublas, the largest, has about 1.5 GB."""


@dataclass(frozen=True)
class RedistSource:
    """A component archive that is said to be one: a ``PackageSource``.

    Attributes:
        label: its file name, for messages.
        open: opens it at its first byte; called three times, from any thread.
        sha256: of the whole file, from the signed manifest or from a lock.
        component: its key in the JSON, ``"cuda_nvcc"``.
        version: the component's.
        target: what it is unpacked for; says the CUDA release and the architecture.
        limit_bytes: the most that its files may hold together.
    """

    label: str
    open: Callable[[], BinaryIO]
    sha256: Sha256Hex
    component: str
    version: str
    target: Target
    limit_bytes: int = MAX_UNPACKED_BYTES

    @classmethod
    def of_file(cls, path: Path, sha256: Sha256Hex, component: str, version: str, target: Target) -> RedistSource:
        """An archive that is a file of its own."""
        return cls(path.name, partial(opened, path), sha256, component, version, target)

    def judge(self) -> Package:
        """Rules 1 and 2.

        Raises:
            DigestMismatch: when its bytes are not those of ``sha256``.
            BadArchive: when it holds what it must not, or cannot be read.
        """
        with self.open() as stream:
            self._hold(Hashing(stream))
        judged = _Judged(self)
        with self.open() as stream:
            hashing = Hashing(stream)
            tar = self._tar(hashing)
            for member in tar:
                hashed = hashlib.sha256()
                for piece in tar.content():
                    hashed.update(piece)
                judged.add(tar, member, hashed.hexdigest())
            self._hold(hashing)  # what was read now, too: the file may have changed since
        arch, files = self.target.arch, tuple(judged.files.values())
        nevra = f"{self.component}-{self.version}.{arch}"
        return Package(self.component, nevra, arch, self.sha256, files, partial(self._contents, judged))

    def _contents(self, judged: _Judged) -> Iterator[Content]:
        """The files again (rule 2). Raises BadArchive: when they are not the ones that were judged."""
        unseen = set(judged.members)
        with self.open() as stream:
            tar = self._tar(stream)
            for member in tar:
                if member.path and member != judged.members.get(member.path):
                    tar.refuse(f"{member.path} has changed since it was judged")
                unseen.discard(member.path)
                if stat.S_ISREG(member.mode) and not member.original:
                    file = judged.files[member.path]
                    yield Content(file, tuple(judged.also.get(member.path, ())), _held(tar, file))
            if unseen:
                tar.refuse(f"{min(unseen)} is not in it any more")

    def _tar(self, stream: Readable) -> TarStream:
        return TarStream(stream, self.label, self.limit_bytes, "xz")

    def _hold(self, hashing: Hashing) -> None:
        actual = hashing.sha256()
        if actual != self.sha256:
            raise DigestMismatch(self.label, self.sha256, actual)


class _Judged:
    """What has been met of an archive at its first reading, and where it belongs.

    Attributes:
        members: what it holds, by path in the archive.
        files: the same as files of a package.
        also: further names of a file (hard links), by the first one's path in the archive.
    """

    def __init__(self, source: RedistSource) -> None:
        self._source = source
        self._home = f"/usr/local/cuda-{source.target.cuda}"
        self._taken: set[str] = set()
        self.members: dict[str, Member] = {}
        self.files: dict[str, PackageFile] = {}
        self.also: dict[str, list[PackageFile]] = {}

    def add(self, tar: TarStream, member: Member, digest: str) -> None:
        if not member.path:
            return
        path = self._place(member.path, stat.S_ISREG(member.mode))
        if path in self._taken and not stat.S_ISDIR(member.mode):
            tar.refuse(f"two members belong at {path}, {member.path!r} is the second")
        if member.original:
            digest = self.files[member.original].digest
        elif not stat.S_ISREG(member.mode):
            digest = ""
        link = self._link(member, path) if member.link else ""
        file = self.files[member.path] = PackageFile(path, member.mode, member.size, digest, link)
        self.members[member.path] = member
        self._taken.add(path)
        if member.original:
            self.also.setdefault(member.original, []).append(file)

    def _place(self, path: str, is_file: bool) -> str:
        """Where NVIDIA's RPM packages have a member (rule 3)."""
        top, _, rest = path.partition("/")
        if top in ("include", "lib"):
            return f"{self._home}/targets/{self._source.target.cuda_targets}/{path}"
        if top == "pkg-config":
            return f"/usr/share/pkgconfig/{rest}".rstrip("/")
        if is_file and not rest:
            return f"{self._home}/share/licenses/{self._source.component}/{path}"
        return f"{self._home}/{path}"

    def _link(self, member: Member, place: str) -> str:
        """A link's target as seen from where the link goes; both of them move by rule 3."""
        end = posixpath.normpath(posixpath.join(posixpath.dirname(member.path), member.link))
        known = self.members.get(end)
        there = self._home if end == "." else self._place(end, known is not None and stat.S_ISREG(known.mode))
        return posixpath.relpath(there, posixpath.dirname(place))


def _held(tar: TarStream, file: PackageFile) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for piece in tar.content():
        digest.update(piece)
        yield piece
    if digest.hexdigest() != file.digest:
        tar.refuse(f"{file.path} has changed since it was judged")

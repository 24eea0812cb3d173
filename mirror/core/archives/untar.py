"""Unpacking a tar that came from elsewhere: the interpreter's ``install_only`` archive.

``mirror.core.archives.tarstream`` judges each member just before it is written here. The caller has checked before that the
archive is the signed one.

Rules: files are created anew and never through a link, because all symbolic links are made last; a hard link becomes a copy;
modes keep their execute bit and nothing else.

Example::

    unpack_tar(archive, generation / "python", limit_bytes=500 << 20)
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from mirror.core.archives.tarstream import BadArchive, Member, TarStream

__all__ = ["BadArchive", "unpack_tar"]

_CHUNK = 1 << 20


def unpack_tar(archive: Path, root: Path, limit_bytes: int) -> None:
    """Unpack a tar (plain, gzip, bzip2 or xz) below ``root``, which is created.

    The one top directory of the archive is left out: ``python/bin/python3.11`` becomes ``root/bin/python3.11``.

    Args:
        limit_bytes: the most that all of its files may hold together.

    Raises:
        BadArchive: at the first member that is not allowed; the caller removes what was written until then.
    """
    links: list[Member] = []
    root.mkdir()
    with archive.open("rb") as stream:
        tar = TarStream(stream, archive.name, limit_bytes)
        for member in tar:
            if stat.S_ISLNK(member.mode):
                links.append(member)
            elif stat.S_ISDIR(member.mode):
                (root / member.path).mkdir(parents=True, exist_ok=True)
            else:
                _write(tar, member, root)
    for member in links:  # last of all, so that nothing was ever written through one
        path = root / member.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(member.link)


def _write(tar: TarStream, member: Member, root: Path) -> None:
    path = root / member.path
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o755 if member.mode & 0o100 else 0o644), "wb") as target:
        if member.original:
            # A copy: two names of one file would let a write through one change the other.
            with (root / member.original).open("rb") as source:
                shutil.copyfileobj(source, target, _CHUNK)
        for piece in tar.content():
            target.write(piece)

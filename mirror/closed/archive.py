"""Unpacking a tar that came from elsewhere: the interpreter's ``install_only`` archive.

``tarfile`` is used to read headers and data, never to write: its filters let crafted archives out of the target on
every Python from 3.9 to 3.13 (SECURITY.md finding 4). Whether the archive is the signed one is the caller's to
check, before.

Rules: each member is judged just before it is written; only files, directories and links that stay inside; no name
twice; files are created anew and never through a link, because all symbolic links are made last; modes keep their
execute bit and nothing else.

Example::

    unpack_tar(archive, generation / "python", limit_bytes=500 << 20)
"""

from __future__ import annotations

import os
import posixpath
import shutil
import tarfile
import zlib
from pathlib import Path

from mirror.core.errors import MirrorError

_CHUNK = 1 << 20
_MAX_MEMBERS = 200_000


class BadArchive(MirrorError):
    """An archive holds something that must not be unpacked, or cannot be read.

    Attributes:
        archive: its name.
        problem: which member, and what is wrong with it.
    """

    ref = "bad-archive"
    exit_code = 95
    hint = "Ask the bundle's maker for one with another archive; nothing of this one was kept."

    def __init__(self, archive: str, problem: str) -> None:
        super().__init__(archive, problem)
        self.archive, self.problem = archive, problem

    def __str__(self) -> str:
        return f"{self.archive} cannot be unpacked: {self.problem}"


def unpack_tar(archive: Path, root: Path, limit_bytes: int) -> None:
    """Unpack a tar (plain, gzip, bzip2 or xz) below ``root``, which is created.

    A single top directory in the archive is left out: ``python/bin/python3.11`` becomes ``root/bin/python3.11``.

    Args:
        limit_bytes: the most that all of its files may hold together.

    Raises:
        BadArchive: at the first member that is not allowed; what was written until then is the caller's to remove.
    """
    unpacking = _Unpacking(archive.name, root, limit_bytes)
    try:
        with tarfile.open(archive, "r:*") as tar:
            for count, member in enumerate(tar, 1):
                if count > _MAX_MEMBERS:
                    unpacking.refuse(f"it has more than {_MAX_MEMBERS} members")
                unpacking.add(tar, member)
    except (tarfile.TarError, EOFError, zlib.error, ValueError) as exc:
        raise BadArchive(archive.name, f"it is damaged ({exc})") from exc
    except OSError as exc:
        if exc.filename is not None:
            raise
        raise BadArchive(archive.name, f"it is damaged ({exc})") from exc  # gzip and lzma report so
    unpacking.make_links()


class _Unpacking:
    """What has been written so far, and which links are still to be made."""

    def __init__(self, archive: str, root: Path, limit_bytes: int) -> None:
        self._archive, self._root, self._left = archive, root, limit_bytes
        self._kinds: dict[str, bytes] = {}
        self._links: list[tuple[str, str]] = []
        self._top: str | None = None
        root.mkdir()

    def refuse(self, problem: str) -> None:
        raise BadArchive(self._archive, problem)

    def add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = self._inside(member.name, member.name)
        if not name:
            return
        if member.isdir():
            self._make_directory(name)
            return
        if name in self._kinds:
            self.refuse(f"{member.name!r} occurs twice")
        self._make_directory(posixpath.dirname(name))
        if member.isreg():
            self._write(tar, member, name)
        elif member.islnk():
            self._copy(self._inside(member.linkname, member.name), name)
        elif member.issym():
            self._note_link(member, name)
        else:
            self.refuse(f"{member.name!r} is neither a file, a directory nor a link")
        self._kinds[name] = member.type

    def _inside(self, path: str, member: str) -> str:
        """``path`` without the archive's top directory; refused unless it is a plain relative path."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if path.startswith("/") or ".." in parts or "\0" in path or not parts:
            self.refuse(f"{member!r} names a place outside ({path!r})")
        if self._top is None:
            self._top = parts[0]
        if parts[0] != self._top:
            self.refuse(f"{member!r} is not below the one top directory {self._top!r}")
        return "/".join(parts[1:])

    def _make_directory(self, name: str) -> None:
        parts = name.split("/") if name else []
        for depth in range(1, len(parts) + 1):
            place = "/".join(parts[:depth])
            if self._kinds.setdefault(place, tarfile.DIRTYPE) != tarfile.DIRTYPE:
                self.refuse(f"{place!r} is both a directory and something else")
            (self._root / place).mkdir(exist_ok=True)

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        self._left -= member.size
        if self._left < 0:
            self.refuse("it holds more bytes than its signed size allows")
        source = tar.extractfile(member)
        assert source is not None, "a regular file has data"
        with source, open(self._create(name, bool(member.mode & 0o100)), "wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
            if target.tell() != member.size:
                self.refuse(f"{member.name!r} is cut short")

    def _create(self, name: str, executable: bool) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self._root / name, flags, 0o755 if executable else 0o644)

    def _copy(self, original: str, name: str) -> None:
        """A hard link becomes a copy: two names of one file would let a write through one change the other."""
        if self._kinds.get(original) not in tarfile.REGULAR_TYPES:
            self.refuse(f"{name!r} is a hard link to {original!r}, which is no file before it")
        source = self._root / original
        self._left -= source.stat().st_size
        if self._left < 0:
            self.refuse("it holds more bytes than its signed size allows")
        with source.open("rb") as data, open(self._create(name, os.access(source, os.X_OK)), "wb") as target:
            shutil.copyfileobj(data, target, _CHUNK)

    def _note_link(self, member: tarfile.TarInfo, name: str) -> None:
        if member.linkname.startswith("/") or "\0" in member.linkname:
            self.refuse(f"{member.name!r} is a link to the absolute path {member.linkname!r}")
        if ".." in posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname)).split("/"):
            self.refuse(f"{member.name!r} is a link out of the archive, to {member.linkname!r}")
        self._links.append((name, member.linkname))

    def make_links(self) -> None:
        """Last of all, so that nothing was ever written through one."""
        for name, target in self._links:
            (self._root / name).symlink_to(target)
        inside = os.path.realpath(self._root)
        for name, target in self._links:
            # Judged again on the disk: a chain of links may lead where no single one of them does.
            if os.path.commonpath([inside, os.path.realpath(self._root / name)]) != inside:
                self.refuse(f"{name!r} is a link out of the archive, to {target!r}")

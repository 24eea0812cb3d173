"""Unpacking an sdist: every member judged, the whole tree planned, then written.

What an sdist says of itself is ``mirror.connected.sdists.sdist``'s; building it is ``mirror.connected.building.builder``'s.

Rules (SECURITY.md T18, 19-21, DESIGN.md section 5; ``tarfile`` extracts nothing here): one top directory; plain files,
directories, and links that stay inside it; no name twice; no member below a file or a link; links are made last, so that
nothing is ever written through one. Modes are 0644 or 0755 whatever the archive or the umask says, and every file has one
time, so that equal archives give equal trees.

Example::

    source = unpack_sdist(Path("a-1.0.tar.gz"), Path("work"))
    source.root      # work/a-1.0
"""

from __future__ import annotations

import os
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mirror.connected.sdists.sdist import InvalidSdist

MAX_MEMBERS = 200_000
MAX_BYTES = 8 << 30
"""Caps on what an archive unpacks to (SECURITY.md T8)."""

_OLDEST_EPOCH = 315532800
"""1980-01-01, the first day that a zip archive can name."""


@dataclass(frozen=True)
class Source:
    """An unpacked sdist.

    Attributes:
        root: the directory with ``pyproject.toml``.
        epoch: newest time in the archive, in seconds since 1970 UTC, not before 1980: the build's SOURCE_DATE_EPOCH.
    """

    root: Path
    epoch: int


def unpack_sdist(sdist: Path, directory: Path) -> Source:
    """Unpack into an existing empty directory of ours.

    Raises:
        InvalidSdist: naming the member that breaks a rule; nothing was written then, unless the archive's data is damaged.
        OSError: the disk refuses.
    """
    try:
        with tarfile.open(sdist, "r:gz") as archive:
            members = _planned(archive, sdist.name)
            top = next(iter(members)).parts[0]
            epoch = max(_OLDEST_EPOCH, *(int(member.mtime) for member in members.values()))
            _write(archive, members, directory, epoch, sdist.name)
    except (tarfile.TarError, zlib.error, EOFError, UnicodeError, ValueError) as exc:
        raise InvalidSdist(sdist.name, f"it cannot be unpacked: {exc}") from exc
    return Source(directory / top, epoch)


def _planned(archive: tarfile.TarFile, filename: str) -> dict[PurePosixPath, tarfile.TarInfo]:
    """Judge every member before any is written."""
    members: dict[PurePosixPath, tarfile.TarInfo] = {}
    total = 0
    for member in archive:
        path = _inside(member.name, filename)
        total += member.size
        if len(members) >= MAX_MEMBERS or total > MAX_BYTES:
            raise InvalidSdist(filename, f"it unpacks to more than {MAX_MEMBERS} files or {MAX_BYTES} bytes")
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()) or member.issparse():
            raise InvalidSdist(filename, f"{member.name!r} is neither a file nor a directory nor a link")
        if path in members and not (member.isdir() and members[path].isdir()):
            raise InvalidSdist(filename, f"it holds {member.name!r} twice")
        members[path] = member
    if not members:
        raise InvalidSdist(filename, "it is empty")
    _check_tree(members, filename)
    return members


def _inside(name: str, filename: str) -> PurePosixPath:
    """A member's path below the directory we unpack into."""
    path = PurePosixPath(name)
    plain = name.rstrip("/").removeprefix("./")
    if path.is_absolute() or ".." in path.parts or not path.parts or plain != str(path) or not plain.isprintable():
        raise InvalidSdist(filename, f"the member name {name!r} leads outside or is ambiguous")
    return path


def _check_tree(members: dict[PurePosixPath, tarfile.TarInfo], filename: str) -> None:
    """Hold the rules that concern more than one member."""
    top = next(iter(members)).parts[0]
    for path, member in members.items():
        if path.parts[0] != top:
            raise InvalidSdist(filename, f"it has two top directories, {top!r} and {path.parts[0]!r}")
        if len(path.parts) == 1 and not member.isdir():
            raise InvalidSdist(filename, f"its top {top!r} is no directory")
        for parent in path.parents:
            if parent in members and not members[parent].isdir():
                raise InvalidSdist(filename, f"{member.name!r} lies below {str(parent)!r}, which is no directory")
        if member.issym():
            _check_symlink(path, member, top, filename)
        if member.islnk():
            target = members.get(_inside(member.linkname, filename))
            if target is None or not target.isreg():
                raise InvalidSdist(filename, f"{member.name!r} is a hard link to {member.linkname!r}, no file of it")


def _check_symlink(path: PurePosixPath, member: tarfile.TarInfo, top: str, filename: str) -> None:
    """A symbolic link's target, seen from where it lies, must stay below the top directory."""
    depth = len(path.parts) - 1
    target = PurePosixPath(member.linkname)
    for part in target.parts:
        depth += -1 if part == ".." else 1
        if depth < 1 or target.is_absolute():
            raise InvalidSdist(filename, f"{member.name!r} links to {member.linkname!r}, outside of {top!r}")


def _write(
    archive: tarfile.TarFile,
    members: dict[PurePosixPath, tarfile.TarInfo],
    directory: Path,
    epoch: int,
    filename: str,
) -> None:
    for path, member in members.items():
        if member.isreg() or member.islnk():
            _write_file(archive, member, directory / path, epoch, filename)
        elif member.isdir():
            _make_directory(directory / path)
    for path, member in members.items():
        if member.issym():
            _make_directory((directory / path).parent)
            (directory / path).symlink_to(member.linkname)


def _write_file(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, epoch: int, filename: str) -> None:
    _make_directory(path.parent)
    content = archive.extractfile(member)  # of a hard link: the file that it leads to
    if content is None:
        raise InvalidSdist(filename, f"{member.name!r} has no content")
    with content, open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as out:
        shutil.copyfileobj(content, out, 1 << 20)
        os.fchmod(out.fileno(), 0o755 if member.mode & 0o100 else 0o644)
    os.utime(path, (epoch, epoch))


def _make_directory(path: Path) -> None:
    """Make a directory, and those above it, with a mode that no umask changes."""
    if not path.is_dir():
        _make_directory(path.parent)
        path.mkdir()
        path.chmod(0o755)

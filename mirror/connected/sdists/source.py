"""Unpacking an sdist, or another source archive: every member judged, then all of it written.

``mirror.core.archives.tarstream`` judges the members; ``mirror.connected.sdists.sdist`` reads what an sdist says of itself;
``mirror.connected.building.builder`` builds it.

Rules (SECURITY.md T18, 19-21, DESIGN.md section 5): the archive is read through and judged before anything is written; links
are made last, so that nothing is ever written through one. Modes are 0644 or 0755 whatever the archive or the umask says, and
every file has one time, so that equal archives give equal trees.

Example::

    source = unpack_sdist(Path("a-1.0.tar.gz"), Path("work"))
    source.root      # work/a-1.0
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mirror.connected.sdists.sdist import opened

_OLDEST_EPOCH = 315532800
"""1980-01-01, the first day that a zip archive can name."""


@dataclass(frozen=True)
class Source:
    """An unpacked sdist or archive.

    Attributes:
        root: the directory that all of it is in.
        epoch: newest time in the archive, in seconds since 1970 UTC, not before 1980: the build's SOURCE_DATE_EPOCH.
    """

    root: Path
    epoch: int


def unpack_sdist(sdist: Path, directory: Path) -> Source:
    """Unpack into an existing empty directory of ours.

    Raises:
        InvalidSdist: naming the member that breaks a rule; nothing was written then.
        OSError: the disk refuses.
    """
    return _unpack(sdist, lambda top: directory / top, is_sdist=True)


def unpack_source(archive: Path, directory: Path, strip: int = 1) -> Source:
    """Unpack any source archive into a directory that is made, or is empty; its top directory is left out, or kept.

    Args:
        archive: a tar, perhaps compressed by gzip, bzip2 or xz.
        strip: 1 to leave the archive's top directory out, 0 to keep it.

    Raises:
        InvalidSource: naming the member that breaks a rule; nothing was written then.
        OSError: the disk refuses.
    """
    unpacked = _unpack(archive, lambda top: directory if strip else directory / top, is_sdist=False)
    return Source(directory, unpacked.epoch)


def _unpack(archive: Path, place: Callable[[str], Path], is_sdist: bool) -> Source:
    with opened(archive, is_sdist) as tar:
        epoch = max([_OLDEST_EPOCH, *(member.time for member in tar)])
        root = place(str(tar.top))
    with opened(archive, is_sdist) as tar:
        _make_directory(root)
        links = {}
        for member in tar:
            path = root / member.path
            if stat.S_ISDIR(member.mode):
                _make_directory(path)
            elif stat.S_ISLNK(member.mode):
                links[path] = member.link
            elif member.original:
                _make_directory(path.parent)
                shutil.copy2(root / member.original, path)
            else:
                _write_file(path, tar.content(), 0o755 if member.mode & 0o100 else 0o644, epoch)
    for path, target in links.items():
        _make_directory(path.parent)
        path.symlink_to(target)
    return Source(root, epoch)


def _write_file(path: Path, content: Iterable[bytes], mode: int, epoch: int) -> None:
    _make_directory(path.parent)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as out:
        out.writelines(content)
        os.fchmod(out.fileno(), mode)
    os.utime(path, (epoch, epoch))


def _make_directory(path: Path) -> None:
    """Make a directory, and those above it, with a mode that no umask changes."""
    if not path.is_dir():
        _make_directory(path.parent)
        path.mkdir()
        path.chmod(0o755)

"""Directory trees that mirror has made: removing one, measuring it, and getting one onto the disk.

``mirror.closed.prefix.generations`` decides which trees, and when.

Rules: what is mounted in a tree is no part of it; links are never followed: a tree is removed from the descriptor of the
directory that it is in, and so is each directory of it; few descriptors are open however deep it is; a failed flush is an error
and is never tried again.

Example::

    sync_tree(generation.path)
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from pathlib import Path

from mirror.closed.prefix.usage import mounted_below
from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.system.durable import facts_of, held_open

MARK = "COMPLETE"


class StillMounted(MirrorError):
    """Something is mounted within a directory that is to be removed, and would be emptied with it."""

    ref = "still-mounted"
    exit_code = FAMILIES["install"]
    hint = "Unmount what is there ('umount'), or mount it elsewhere, and run the same command again."
    message = "{place} is not removed, for something is mounted there: {points}"

    place: str
    points: tuple[str, ...]


_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def remove_tree(path: Path) -> None:
    """Remove a directory tree of ours, also one in which directories were made read-only; or a file or a link.

    Raises:
        OSError: when the system refuses; what is left has no mark, and is garbage to the next run.
    """
    with held_open(os.open(path.parent, os.O_PATH | os.O_DIRECTORY)) as directory:
        remove_below(directory, path.name, path)


def remove_below(directory: int, name: str, place: Path) -> None:
    """The same of a name in an open directory.

    Args:
        place: its path.

    Raises:
        StillMounted: before anything is removed, its mark above all.
    """
    try:
        facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if not stat.S_ISDIR(facts.st_mode):
            os.unlink(name, dir_fd=directory)
            return
        if points := mounted_below(place.parent.resolve() / place.name):
            raise StillMounted(str(place), points)
        with held_open(_open(directory, name)) as top:
            _unmark(top)
            _empty(top)
        os.rmdir(name, dir_fd=directory)
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror or str(exc), str(place)) from exc


def _open(directory: int, name: str) -> int:
    """Open a directory to remove what is in it, whatever its permissions are."""
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=directory)
    except PermissionError:
        with held_open(os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)) as closed:
            os.chmod(f"/proc/self/fd/{closed}", stat.S_IRWXU)  # noqa: PTH101 - fchmod(2) takes no such descriptor
        descriptor = os.open(name, _FLAGS, dir_fd=directory)
    if os.fstat(descriptor).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        with contextlib.suppress(PermissionError):  # another's: what is in it may be ours to remove
            os.fchmod(descriptor, stat.S_IRWXU)
    return descriptor


def _unmark(top: int) -> None:
    """The mark goes first: from then on, also after a power loss, this is no installed generation any more."""
    if facts_of(MARK, top):
        os.unlink(MARK, dir_fd=top)
        os.fsync(top)


def _empty(top: int) -> None:
    """Remove all that is below an open directory: down by name, and up again by ``..``, which must be where we came from."""
    current = os.dup(top)
    above: list[tuple[os.stat_result, str, list[str]]] = []
    left = _clear(current)
    try:
        while left or above:
            if left:
                name = left.pop()
                child = _open(current, name)
                above.append((os.fstat(current), name, left))
                left = _clear(child)
            else:
                facts, name, left = above.pop()
                child = os.open("..", _FLAGS, dir_fd=current)
                if not os.path.samestat(os.fstat(child), facts):
                    os.close(child)
                    raise OSError(errno.ESTALE, "it was moved while it was being removed")
                os.rmdir(name, dir_fd=child)
            os.close(current)
            current = child
    finally:
        os.close(current)


def _clear(directory: int) -> list[str]:
    """Remove what is in a directory but for its directories, and give their names."""
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=directory)
    return [name for name, is_directory in found if is_directory]


def sync_tree(path: Path) -> None:
    """Flush the file system of ``path`` to its disk.

    One syncfs(2) takes a fraction of what fsync on each of 50,000 files does. Python does not offer it; where the C
    library does not either, sync(2) flushes all disks.

    Raises:
        OSError: when the kernel could not write some of it; never to be tried again, the pages may be gone.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    with held_open(os.open(path, os.O_RDONLY | os.O_DIRECTORY)) as descriptor:
        if syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))


def disk_usage(path: Path) -> int:
    """Bytes that a tree takes on the disk; a file with two names in it is counted once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for directory, _, names in os.walk(path):
        for name in ["", *names]:
            with contextlib.suppress(OSError):
                facts = os.lstat(os.path.join(directory, name))  # noqa: PTH118 - 50,000 files
                if (facts.st_dev, facts.st_ino) not in seen:
                    seen.add((facts.st_dev, facts.st_ino))
                    total += facts.st_blocks * 512
    return total

"""Directory trees that mirror has made: removing one, measuring it, and getting one onto the disk.

``mirror.closed.prefix.generations`` decides which trees, and when.

Rules: links are never followed; a failed flush is an error and is never tried again.

Example::

    sync_tree(generation.path)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from pathlib import Path

from mirror.core.system.durable import sync_directory


def remove_tree(path: Path) -> None:
    """Remove a directory tree of ours, also one in which directories were made read-only."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    try:
        _unmark(path)
        shutil.rmtree(path)
    except PermissionError:
        for directory, _, _ in os.walk(path):
            Path(directory).chmod(0o700)
        _unmark(path)
        shutil.rmtree(path)


def _unmark(path: Path) -> None:
    """The mark goes first: from then on, also after a power loss, this is no installed generation any more."""
    mark = path / "COMPLETE"
    if mark.exists():
        mark.unlink()
        sync_directory(path)


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
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)


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

"""A claim on a directory: a lock file beside it that its run holds. What nobody holds is a killed run's, and goes.

Rules: the lock is the kernel's (``flock``), so a dead holder's is free; it is a file's, for a network file system tells other
hosts of the locks of files alone. Directory and file go together at the end; so whoever has got a lock looks whether the file
still has its name, for the one before may have removed it, and another have made it anew.

Example::

    sweep(directory.parent)
    with claimed(directory):
        directory.mkdir()
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mirror.core.system.durable import facts_of

_LOCKABLE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def claimed(directory: Path, remove: Callable[[Path], None] = _remove) -> Iterator[None]:
    """Have a directory alone, waiting for whoever has it; it is not there on entering and gone on leaving.

    Args:
        remove: takes a directory away that may not be there.

    Raises:
        OSError: when the lock cannot be made.
    """
    lock = _lock_of(directory)
    while (descriptor := _locked(lock)) is None:
        pass
    try:
        remove(directory)
        yield
    finally:
        _leave(directory, descriptor, remove)


def sweep(top: Path, remove: Callable[[Path], None] = _remove) -> None:
    """Take away what killed runs left in a directory of directories; what cannot be taken stays.

    Raises:
        OSError: when it cannot be listed.
    """
    for directory in sorted({path.with_suffix("") for path in top.iterdir()}):
        lock = _lock_of(directory)
        with suppress(OSError):
            if facts_of(lock) or _is_directory(directory):
                descriptor = _locked(lock, fcntl.LOCK_NB)
                if descriptor is not None:
                    _leave(directory, descriptor, remove)


def _lock_of(directory: Path) -> Path:
    return directory.with_suffix(".lock")


def _is_directory(path: Path) -> bool:
    facts = facts_of(path)
    return facts is not None and stat.S_ISDIR(facts.st_mode)


def _locked(lock: Path, flags: int = 0) -> int | None:
    """The open and locked file; None where it lost its name meanwhile. Raises OSError."""
    descriptor = os.open(lock, _LOCKABLE, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
        named = facts_of(lock)
        if named and os.path.samestat(named, os.fstat(descriptor)):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _leave(directory: Path, descriptor: int, remove: Callable[[Path], None]) -> None:
    """Remove both while the lock is held."""
    try:
        remove(directory)
        _lock_of(directory).unlink(missing_ok=True)
    finally:
        os.close(descriptor)

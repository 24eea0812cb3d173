"""Files that appear whole or not at all.

Writes go to a temporary name in the same directory, are flushed to the disk, and take their final name in one step
(rename(2)); whatever goes wrong, the temporary file is removed. A failed fsync is never tried again: the kernel may
have dropped the pages (SECURITY.md 2.4).

Example::

    with replacing(Path("bundle.tar")) as out:
        out.write(data)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mirror.core.errors import Unwritable
from mirror.core.names import whole_number


@contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Open a file that takes ``path``'s name only when the block ends well.

    Args:
        path: the final name; its directory must exist.
        mode: permission bits, lessened by the umask.

    Raises:
        Unwritable: when the directory or the disk refuses.
    """
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.tmp")
    try:
        _sweep(path)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        try:
            with open(descriptor, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
            sync_directory(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as exc:
        # Only what happened to this file is ours to name; the block's own errors pass through untouched.
        if exc.filename is not None and Path(os.fsdecode(exc.filename)) not in (temporary, path, path.parent):
            raise
        raise Unwritable(str(path), exc.strerror or str(exc)) from exc


_PROCESSES = range(1, 1 << 31)
"""Numbers that a process can have."""


def _sweep(path: Path) -> None:
    """Remove what a killed process left of this file; one that still runs keeps its own."""
    head = f".{path.name[:200]}."
    for stale in path.parent.iterdir() if path.parent.is_dir() else ():
        pid = whole_number(stale.name[len(head) : -len(".tmp")]) or 0
        is_ours = stale.name.startswith(head) and stale.name.endswith(".tmp")
        if is_ours and pid in _PROCESSES and not _is_running(pid):
            stale.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a whole small file. Raises as ``replacing``."""
    with replacing(path, mode) as stream:
        stream.write(data)


def make_private_directory(path: Path) -> None:
    """Make a directory, and those above it that are missing, for this user alone. One that exists stays as it is.

    Raises:
        Unwritable: when the system refuses.
    """
    try:
        for directory in (*reversed(path.parents), path):
            # mkdir(parents=True) would make those above with the umask's mode, which may let a group write.
            if not directory.is_dir():
                directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise Unwritable(str(path), exc.strerror or str(exc)) from exc


def sync_directory(path: Path) -> None:
    """Flush a directory's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

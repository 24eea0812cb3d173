"""Copying bytes from one open file to another inside the kernel: none of them passes through this process. It takes less than
half the processor time of reading and writing them.

Rules: what is copied is what both files' own positions say; a kernel, a file system or a pair of them that cannot do it (two
disks before Linux 5.19, some network file systems, a sandbox) is no error: the bytes are read and written then.

Example::

    copied(source.fileno(), target.fileno(), size_bytes)
"""

from __future__ import annotations

import errno
import os
from typing import Callable

_PIECE = 1 << 20
"""Larger ones take longer: what was read is no longer in the processor's caches as it is written."""

_CANNOT = frozenset((
    errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.ETXTBSY, errno.EXDEV,
))  # fmt: skip
"""What copy_file_range(2) says where it is not for these two files; a full or broken disk it says otherwise."""


def copied(source: int, target: int, count: int, advance: Callable[[int], object] = lambda amount: None) -> int:
    """Copy bytes from one descriptor's position to another's.

    Args:
        count: of bytes, at most.
        advance: told of each piece.

    Returns:
        How many there were: fewer than ``count`` where the source ends before.

    Raises:
        OSError: when the source cannot be read, or the target not written.
    """
    done, can = 0, True
    while done < count:
        size = (_in_kernel if can else _plainly)(source, target, count - done)
        if can and not size:  # it cannot, or the source ends here: reading tells
            can = False
            continue
        if not size:
            break
        done += size
        advance(size)
    return done


def _in_kernel(source: int, target: int, count: int) -> int:
    try:
        return os.copy_file_range(source, target, min(count, _PIECE))
    except OSError as exc:
        if exc.errno in _CANNOT:
            return 0
        raise


def _plainly(source: int, target: int, count: int) -> int:
    data = memoryview(os.read(source, min(count, _PIECE)))
    size = len(data)
    while data:
        data = data[os.write(target, data) :]
    return size

"""The C library's allocator, told to give back what many threads have let go of.

glibc gives each thread an arena of its own, up to eight for each processor, and what is free in one is of no use to another: a
program that fetches with eight threads, looks inside with two more and then thinks alone keeps a third more memory than it
needs.

Rules: nothing depends on it; another C library than glibc is left as it is.

Example::

    share_arenas()     # before the first thread starts
"""

from __future__ import annotations

import ctypes
from typing import Optional

_ARENAS = 2
_M_ARENA_MAX = -8
"""``mallopt(3)``."""


def share_arenas(library: Optional[str] = None) -> bool:
    """Let all threads of this process share two arenas; whether the C library did it.

    Args:
        library: file of the C library; the one that this process runs on when None.
    """
    try:
        return bool(ctypes.CDLL(library).mallopt(_M_ARENA_MAX, _ARENAS))
    except (OSError, AttributeError):  # no glibc
        return False

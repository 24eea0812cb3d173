"""A file that a user names for a result: looked at before the work, for a slip of the fingers must destroy nothing, and again
before it is written, for others make files while we work.

Rule: what is there is replaced only by its own kind, which its first bytes tell, and not its name; an empty file is anybody's.

Example::

    check_output(Path("mirror.pyz"), "mirror.pyz", b"#!/usr/bin/env python3\\nPK")
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from mirror.core.errors import STEPS, Unwritable, reading
from mirror.core.system.durable import facts_of, open_unblocked


def check_output(output: Path, kind: str, beginning: bytes) -> None:
    """Refuse now what would be refused after long work, or would be lost.

    Args:
        kind: what is written, in a word or two.
        beginning: the first bytes of every one.

    Raises:
        Unwritable: when it cannot go there.
        Unreadable: when what is there cannot be read.
    """
    check_place(output)
    with reading(output):
        is_other = facts_of(output) is not None and _is_other(output, beginning)
    if is_other:
        raise taken(output, kind)


def check_place(output: Path) -> None:
    """Refuse a place in which no file can be made, whatever is there. Raises Unwritable."""
    parent = output.absolute().parent
    if output.is_dir():
        raise Unwritable(str(output), "it is a directory; name a file with -o").advised("Name a file in it with -o.")
    if not parent.is_dir():
        raise Unwritable(str(output), f"the directory {parent} does not exist").advised(STEPS[errno.ENOENT])
    if not os.access(parent, os.W_OK):
        raise Unwritable(str(output), f"no permission to write in {parent}").advised(STEPS[errno.EACCES])


def taken(output: Path, kind: str) -> Unwritable:
    """The failure where a file of another kind is there, which stays."""
    error = Unwritable(str(output), f"it is there and is no {kind}; name another file with -o")
    return error.advised("Nothing was written. Name another file with -o, or move that one away.")


def _is_other(path: Path, beginning: bytes) -> bool:
    with open_unblocked(path) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return True
        found = stream.read(len(beginning))
    return bool(found) and found != beginning

"""A file that a user names for a result: looked at before the work, for a slip of the fingers must destroy nothing.

Rule: what is there is replaced only by its own kind, which its first bytes tell, and not its name; an empty file is anybody's.

Example::

    check_output(Path("mirror.pyz"), "mirror.pyz", b"#!/usr/bin/env python3\\nPK")
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mirror.core.errors import Unwritable, reading
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
    if output.is_dir():
        raise Unwritable(str(output), "it is a directory; name a file with -o").advised("Name a file in it with -o.")
    with reading(output):
        is_other = facts_of(output) is not None and _is_other(output, beginning)
    if is_other:
        error = Unwritable(str(output), f"it is there and is no {kind}; name another file with -o")
        raise error.advised("Nothing was written. Name another file with -o, or move that one away.")
    parent = output.absolute().parent
    if not parent.is_dir():
        error = Unwritable(str(output), f"the directory {parent} does not exist")
        raise error.advised("Make the directory first, or name another place.")
    if not os.access(parent, os.W_OK):
        error = Unwritable(str(output), f"no permission to write in {parent}")
        raise error.advised("Get the right to write there, or name another place.")


def _is_other(path: Path, beginning: bytes) -> bool:
    with open_unblocked(path) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return True
        found = stream.read(len(beginning))
    return bool(found) and found != beginning

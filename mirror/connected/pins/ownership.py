"""Whose a file is that ``mirror lock`` is about to write: mirror's own by its mark, or somebody else's.

A mark is how a line of each file of a format begins, whatever its version; the formats say theirs.

Rules: what mirror did not write is neither written over nor removed; a damaged file of its own still has its mark; an empty one
is nobody's loss; the mark of another format does not count, for ``a.files.txt`` is a file of the stack ``a`` and the pins of a
stack ``a.files``.

Example::

    data = read_own(Path("lockfiles/h100.txt"), PINS)
"""

from __future__ import annotations

import re
from pathlib import Path

from mirror.core.errors import Unwritable
from mirror.core.system.durable import read_file

PINS = b"# mirror: "
"""The mark of the Python side's locks."""
_MAX_BYTES = 64 << 20


def is_own(data: bytes, mark: bytes) -> bool:
    """Whether mirror wrote a file, whole or damaged."""
    return not data.strip() or re.search(b"^" + re.escape(mark), data, re.MULTILINE) is not None


def read_own(path: Path, mark: bytes) -> bytes:
    """The bytes of a file that may be written over; empty where there is none.

    Raises:
        Unwritable: when mirror did not write it.
        Unreadable: when it cannot be told.
    """
    data = read_file(path, _MAX_BYTES) if path.is_file() else b""
    if is_own(data, mark):
        return data
    error = Unwritable(str(path), "it is there already, and mirror did not write it")
    error.hint = "Nothing was written. Give that file another name and lock again: mirror writes its own there."
    if mark == PINS:
        error.hint += " What that file asks for is taken over by `mirror init NEW --from FILE`."
    raise error

"""A directory for temporary files in which nobody else can put something in the place of what lies there.

For what is run, built, published or written by name out of the directory that TMPDIR names. It is the rule of
``mirror.core.trust.ownership``: in a sticky directory such as /tmp others cannot exchange ours; in one that all may write
without that bit, they can.

Example::

    with scratch_directory("mirror-build-") as directory: ...
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mirror.core.errors import FAMILIES, MirrorError, reading, writing
from mirror.core.trust.ownership import reaching


class ExposedTemporary(MirrorError):
    """Others could exchange what mirror puts into temporary files."""

    ref = "exposed-temporary"
    exit_code = FAMILIES["files"]
    hint = (
        "Set TMPDIR to a directory of your own (mkdir -m 700 ~/tmp; export TMPDIR=~/tmp), or have the owner of that one set "
        "its sticky bit (chmod +t), as /tmp has it."
    )
    message = "{place} {problem}: what lies in temporary files below it could be exchanged while it is used"

    place: str
    problem: str


@contextmanager
def scratch_directory(prefix: str) -> Iterator[Path]:
    """Make a new directory where temporary files go, and remove it when the block ends.

    Args:
        prefix: its name begins so.

    Raises:
        ExposedTemporary: when somebody else could put another one in its place.
        Unwritable: when it cannot be made. Unreadable: when it cannot be told whose the way to it is.
    """
    with contextlib.ExitStack() as stack:
        with writing("a temporary directory in the one that TMPDIR names, or else in /tmp"):
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix))).absolute()
        with reading(directory), reaching(directory) as way:
            for found in way.exposures({os.geteuid()}):
                raise ExposedTemporary(str(found.place), found.problem)
        yield directory

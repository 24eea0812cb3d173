"""Standard streams that may be closed, or whose reader goes away, without changing what a command does.

A daemon is started with ``>&-``; a reader leaves a pipe (``| head -1``); a terminal is closed. The work goes on to its end and
the exit code tells the truth; only the words are lost. A full disk under ``> file`` is still an error.

Rule: descriptors 0, 1 and 2 are never free, or the next file that is opened would be one of them and get our words.

Example::

    keep_streams()      # first of all
"""

from __future__ import annotations

import errno
import io
import os
import sys

TYPE_CHECKING = False  # as in mirror.cli.main
if TYPE_CHECKING:
    from typing import TextIO

_GONE = (errno.EPIPE, errno.EIO)
"""The reader of a pipe left; the terminal was closed."""


def keep_streams() -> None:
    """Make sure that the standard streams are there and that a lost reader ends nothing."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gives the lowest that is free: this one
    sys.stdout, sys.stderr = _lasting(sys.stdout, sys.__stdout__, 1), _lasting(sys.stderr, sys.__stderr__, 2)


def _lasting(stream: TextIO | None, own: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:
        stream = open(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    if not isinstance(stream, io.TextIOWrapper) or isinstance(stream, Lasting) or own not in (None, stream):
        return stream  # a test's, or another program's that calls us: theirs to keep
    encoding, errors, by_line = stream.encoding, stream.errors, stream.line_buffering
    return Lasting(
        stream.detach(), encoding=encoding, errors=errors, line_buffering=by_line, write_through=descriptor == 2
    )


STDOUT = "the standard output"
"""What it is called where it cannot be written."""


class Lasting(io.TextIOWrapper):
    """A stream whose writes go nowhere once nobody is there to read them."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as exc:
            self._lose(exc)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as exc:
            self._lose(exc)

    def _lose(self, error: OSError) -> None:
        """From now on nothing is written, so that what could not be is told once."""
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, self.fileno())
        os.close(sink)
        if error.errno not in _GONE and self.fileno() != 2:  # talk that is lost is no reason to stop working
            raise OSError(error.errno, error.strerror, STDOUT) from error

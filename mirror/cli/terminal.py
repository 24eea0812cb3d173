"""What the terminal can show: colours and how many columns. Everything that is painted or wrapped asks here.

Rules: NO_COLOR takes colours away and FORCE_COLOR asks for them, each when set to anything (the first is stronger);
TERM=dumb has none; else a stream has colours when it is a terminal. Lines are never wider than 80 columns, for they are read.
"""

from __future__ import annotations

import os
import re
from typing import TextIO

from mirror.core.names import whole_number

WIDEST = 80

GOOD, BAD, WARNING, STRONG, FAINT = "32", "1;31", "33", "1", "2"
"""Styles for ``paint``: ECMA-48's numbers."""


def has_colours(stream: TextIO) -> bool:
    """Whether words on this stream may be painted."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person sees the stream and its cursor can be moved."""
    return not stream.closed and stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(words: str, style: str, stream: TextIO) -> str:
    """Words in a style, where the stream has styles."""
    return f"\033[{style}m{words}\033[0m" if words and has_colours(stream) else words


def paint_label(line: str, style: str, stream: TextIO) -> str:
    """A line whose words before the first colon are painted."""
    label, colon, rest = line.partition(":")
    return paint(label + colon, style, stream) + rest


def paint_headings(text: str, stream: TextIO) -> str:
    """A help text whose headings are painted: ``usage:``, and lines that are nothing but a title with a colon."""
    return re.sub(r"^(usage:|[a-z ]+:$)", lambda found: paint(found[0], STRONG, stream), text, flags=re.MULTILINE)


def columns(stream: TextIO) -> int:
    """How wide text may be: the terminal's columns, or what COLUMNS says, and 80 at most."""
    told = os.environ.get("COLUMNS", "")
    try:
        wide = whole_number(told) or os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):  # not a terminal, a stream without descriptor, or a closed one
        wide = WIDEST
    return min(wide or WIDEST, WIDEST)

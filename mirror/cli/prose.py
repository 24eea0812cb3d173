"""Text for a terminal: Markdown as far as the handbook uses it, and paragraphs of a command's description.

Known are headings, paragraphs, lists (``- `` and ``1. ``), fenced or indented blocks, ``**strong**`` words, `` `code` `` and
links, of which the words stay. It is no Markdown parser: the handbook keeps to what is read well without one.

Rules: prose is wrapped to the width; a block is somebody's commands or file and is left as it is.

Example::

    >>> import io
    >>> print(rendered("# Trust\\n\\nSay whom you `trust`.", io.StringIO()))
    Trust
    =====
    <BLANKLINE>
    Say whom you `trust`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import TextIO

from mirror.cli.terminal import STRONG, columns, has_colours, paint

_ITEM = re.compile(r"( *)(- |\d+\. )(.*)", re.DOTALL)
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")
_CODE = re.compile(r"`([^`]+)`")
_STRONG = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)


def paragraphs(text: str, width: int, indent: str = "") -> str:
    """A description: paragraphs wrapped, lines that begin with a blank left as they are."""
    blocks = []
    for block in re.split(r"\n{2,}", text.strip("\n")):
        is_raw = block.startswith(" ")
        blocks.append(textwrap.indent(block, indent) if is_raw else _wrapped(block, width, indent, indent))
    return "\n\n".join(blocks)


def item(label: str, text: str, width: int) -> str:
    """A label and what it stands for, whose further lines begin below its first."""
    return _wrapped(text, width, label, " " * len(label))


def rendered(markdown: str, stream: TextIO) -> str:
    """A page as this stream shows it: its headings and marked words painted, or underlined and as they were written."""
    return "\n\n".join(_block(block, stream) for block in _blocks(markdown))


def _blocks(markdown: str) -> Iterator[str]:
    """What stands between blank lines; a fenced block whole, each item of a list for itself only where a blank line says so."""
    held: list[str] = []
    is_fenced = False
    for line in markdown.splitlines():
        if line.startswith("```"):
            is_fenced = not is_fenced
        if (line.strip() or is_fenced) and not line.startswith("<!--"):
            held.append(line)
        elif held:
            yield "\n".join(held)
            held = []
    if held:
        yield "\n".join(held)


def _block(block: str, stream: TextIO) -> str:
    if block.startswith("#"):
        return _heading(_LINK.sub(r"\1", block.lstrip("# ")), "-" if block.startswith("##") else "=", stream)
    if block.startswith("```"):
        return textwrap.indent("\n".join(block.splitlines()[1:-1]), "    ")
    if block.startswith("    "):
        return block
    pieces = re.split(r"\n(?= *(?:- |\d+\. ))", block)
    return "\n".join(_piece(piece, stream) for piece in pieces)


def _heading(words: str, line: str, stream: TextIO) -> str:
    words = words.replace("`", "")
    return paint(words, STRONG, stream) if has_colours(stream) else f"{words}\n{line * len(words)}"


def _piece(piece: str, stream: TextIO) -> str:
    """A paragraph, or one item of a list."""
    found = _ITEM.fullmatch(piece)
    first, words = (found[1] + found[2], found[3]) if found else ("", piece)
    text = _wrapped(_LINK.sub(r"\1", words), columns(stream) - 1, first, " " * len(first))
    # After the wrapping, for a span may go on in the next line. Without colours the marks of code stay: they are its quotes.
    if has_colours(stream):
        text = _CODE.sub(lambda found: paint(found[1], STRONG, stream), text)
    return _STRONG.sub(lambda found: paint(found[1], STRONG, stream), text)


def _wrapped(words: str, width: int, first: str, rest: str) -> str:
    return textwrap.fill(
        " ".join(words.split()),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )

"""What is inside a file that is carried as it is: a licence's text, or compiled code; the rest is what its wish says of it.

Example::

    stated(read_file(source, wish.name), wish)
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mirror.connected.contents.inside import Contents, words
from mirror.connected.contents.licences import MAX_TEXT_BYTES, is_licence_file, text_of
from mirror.connected.stack.files import FileWish
from mirror.core.binaries.native import NativeTally


def read_file(source: Path, name: str) -> Contents:
    """What the bytes say.

    Args:
        name: the file's, in the bundle or in its repository.

    Raises:
        OSError: when the file cannot be read.
    """
    if is_licence_file(name):
        return Contents(texts=((name, read_text(source)),))
    tally = NativeTally()
    with source.open("rb") as stream:
        tally.add(stream, name)
    return Contents(native=tally.native())


def read_text(source: Path) -> str:
    """A text as it is kept. Raises OSError when the file cannot be read."""
    with source.open("rb") as stream:
        return text_of(stream.read(MAX_TEXT_BYTES), source.stat().st_size)


def stated(contents: Contents, wish: FileWish) -> Contents:
    """The same, with the licence and the summary that a person wrote into ``NAME.toml``."""
    return replace(contents, licence=wish.licence, summary=words(wish.summary))

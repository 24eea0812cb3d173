"""What ``NAME.toml`` itself pins by a digest: files, source archives, an interpreter, an index of one file. No lock is between.

``mirror.connected.fetching.fetch`` brings them as it brings what a lock pins; here is said who pinned them.

Rules: a path beside ``NAME.toml`` is a person's own file, which they edit: it is looked at each time, whatever the store has of
it, and what is no longer there is not carried.

Example::

    with own_pins_named(stack, downloads):
        fetch(downloads, store)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mirror.connected.fetching.download import Download, redacted
from mirror.connected.fetching.fetch import SeveralFailures
from mirror.connected.fetching.part import DownloadMismatch
from mirror.connected.fetching.store import file_sha256
from mirror.connected.fetching.transport import GONE, HttpRefused
from mirror.connected.stack.interpreter import InterpreterPin
from mirror.connected.stack.stack import Stack
from mirror.core.errors import MirrorError, Unreadable, reading
from mirror.core.kinds import FILE, INTERPRETER
from mirror.core.names import Sha256Hex


@dataclass(frozen=True)
class OwnPin:
    """One file.

    Attributes:
        source: its URL, or its path as it is written.
        url: where it is fetched from.
        place: the table and the file that pin it, ``"[[files]] of h100.toml"``.
    """

    source: str
    url: str
    sha256: Sha256Hex
    place: str

    @property
    def path(self) -> Path | None:
        """Of a file beside ``NAME.toml``; None for what has a URL."""
        return None if self.source == self.url else Path(unquote(urlsplit(self.url).path))

    def look(self) -> None:
        """Raises DownloadMismatch, Unreadable: when a file beside ``NAME.toml`` is another one, or is gone."""
        if self.path:
            with reading(self.path):
                actual = file_sha256(self.path)
            if actual != self.sha256:
                raise DownloadMismatch(self.source, self.sha256, actual, pinned_by=self.place)


def own_pins(stack: Stack) -> Iterator[OwnPin]:
    """All of them."""
    for wish in stack.wishes.get(FILE, ()):
        yield OwnPin(wish.source, wish.url, wish.sha256, f"[[files]] of {stack.file}")
    python = stack.wishes.get(INTERPRETER)
    if isinstance(python, InterpreterPin):
        yield OwnPin(python.url, python.url, python.sha256, f"[interpreter] of {stack.file}")
    for project, settings in stack.settings.items():
        for archive in settings.archives():
            yield OwnPin(archive.source, archive.url, archive.sha256, f"[build.{project}] of {stack.file}")
    for name in stack.single:
        url, _, digest = stack.indexes[name].partition("#sha256=")
        yield OwnPin(url, url, Sha256Hex(digest), f"[indexes] of {stack.file}")


@contextmanager
def own_pins_named(stack: Stack | None, downloads: Collection[Download] | None = None) -> Iterator[None]:
    """Look at the files beside ``NAME.toml``, and fetch under this: a failure of what it pins names the table that does.

    Args:
        stack: None for a lock made elsewhere, which nothing else pins.
        downloads: those of its files that are wanted; all when None.

    Raises:
        DownloadMismatch, Unreadable, SeveralFailures, or whatever was raised inside.
    """
    wanted = None if downloads is None else {one.url for one in downloads}
    pins = [one for one in own_pins(stack) if wanted is None or one.url in wanted] if stack else []
    try:
        for pin in pins:
            pin.look()
        yield
    except MirrorError as error:
        named = _named(error, pins)
        if named is error:
            raise
        raise named from error


def _named(error: MirrorError, pins: Collection[OwnPin]) -> MirrorError:
    """The error as one of what a table pins; the very same one where it is none."""
    if isinstance(error, SeveralFailures):
        errors = tuple(_named(one, pins) for one in error.errors)
        return SeveralFailures(errors)
    place = next((one.place for one in pins if _is_of(error, one)), "")
    if not place:
        return error
    if isinstance(error, DownloadMismatch):
        return DownloadMismatch(error.url, error.expected, error.actual, error.content_type, pinned_by=place)
    if isinstance(error, Unreadable):
        return error.advised(f"{place} names it: put it there, or take it out of that table.")
    if isinstance(error, HttpRefused) and error.status in GONE:
        return error.advised(f"The file was removed or renamed upstream: correct its url and sha256 in {place}.")
    return error


def _is_of(error: MirrorError, pin: OwnPin) -> bool:
    if isinstance(error, Unreadable):
        return error.path == unquote(urlsplit(pin.url).path)
    return isinstance(error, (DownloadMismatch, HttpRefused)) and error.url == redacted(pin.url)

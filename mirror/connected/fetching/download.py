"""One file to bring here: where it is, what it is called, and which bytes it must have.

``mirror.connected.fetching.store`` knows what is here already; ``mirror.connected.fetching.fetch`` brings the rest.

Rules: digest and size come from a lock, never from the server that offers the bytes (SECURITY.md T13). A URL is shown only
through ``redacted``, for an index's URL may hold a password (SECURITY.md T23).

Example::

    Download("https://example.org/a-1.0-py3-none-any.whl", "a-1.0-py3-none-any.whl", digest, size=1234)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from mirror.core.names import Sha256Hex, split_url

SCHEMES = ("http", "https", "file")
"""What may be fetched from; a redirect may only lead to the first two."""

_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!~^-]{0,254}", re.ASCII)
"""Wheels, sdists and RPMs (whose versions may hold ``~`` and ``^``)."""


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"`<>]+")


@dataclass(frozen=True)
class Download:
    """A file that a lock names.

    Attributes:
        url: ``http:``, ``https:`` or ``file:``; may hold credentials, so show ``shown_url``.
        filename: plain name under which tools want to see the file.
        sha256: of its bytes, from the lock.
        size: bytes, from the lock, and held to; None when the lock does not say.
        size_hint: bytes by an index's or a server's word, for plans and bars; None when nobody says. Never held to.

    A size of 0 counts as unknown: no wheel, sdist, RPM or archive is empty, but servers say so.

    Raises:
        ValueError: on making one with another scheme or with a name that is no plain file name.
    """

    url: str
    filename: str
    sha256: Sha256Hex
    size: int | None = None
    size_hint: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", self.size or None)
        object.__setattr__(self, "size_hint", self.size_hint or None)
        if urlsplit(self.url).scheme not in SCHEMES:
            raise ValueError(f"expected an http, https or file URL, got {self.shown_url!r}")
        if not _FILENAME.fullmatch(self.filename):
            raise ValueError(f"expected a plain file name, got {self.filename!r}")

    @property
    def likely_size(self) -> int | None:
        """The locked size, else the hint: enough to plan with, not to judge by."""
        return self.size or self.size_hint

    @property
    def shown_url(self) -> str:
        """The URL without credentials: what messages, manifests and logs may hold."""
        return redacted(self.url)


def clean_url(text: str, schemes: tuple[str, ...] = ("https", "http", "file")) -> str:
    """Check a URL that may be shown and copied, as those in a stack's and a lock's file are.

    Raises:
        ValueError: for another scheme, no host or one that cannot be asked for (``split_url``), or credentials in it.
    """
    parts = split_url(text)
    if parts.scheme not in schemes or not (parts.netloc or parts.scheme == "file"):
        raise ValueError(f"expected a URL that begins with {' or '.join(schemes)}, got {parts.scheme or text!r}")
    if "@" in parts.netloc:
        raise ValueError("credentials in a URL are refused: put them in ~/.netrc")
    return text


def filename_of(url: str) -> str:
    """The name of the file that a URL leads to; a build's ``+`` may travel in it as ``%2B``."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


def redacted(url: str) -> str:
    """Take user, password, query and fragment out of a URL; tokens travel in all of them.

    >>> redacted("https://user:secret@example.org/simple/?token=1")
    'https://example.org/simple/'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a URL that cannot be read"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def redacted_words(words: str) -> str:
    """What a program says, with each URL in it ``redacted``.

    >>> redacted_words("Failed to fetch: `https://u:p@example.org/a.whl?token=1`")
    'Failed to fetch: `https://example.org/a.whl`'
    """
    return _URL.sub(lambda found: redacted(found[0]), words)


def shown_place(place: str) -> str:
    """A URL without its secrets, or a path as it is: where either may stand."""
    return redacted(place) if "://" in place else place

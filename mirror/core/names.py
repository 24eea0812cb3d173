"""Words that must have passed a check: project names, digests, artifact file names, numbers, URLs.

Each ``NewType`` is only made by the function beside it, so a value of that type has been checked once, at the edge.

Example::

    >>> project_name("Foo.Bar_baz")
    'foo-bar-baz'
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Callable, NewType, Optional, Tuple
from urllib.parse import SplitResult, urlsplit

ProjectName = NewType("ProjectName", str)
"""A Python project's name, normalised as in PEP 503."""

Sha256Hex = NewType("Sha256Hex", str)
"""64 lower-case hex digits."""

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{0,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_NUMBER = re.compile("[0-9]{1,18}", re.ASCII)
_PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def project_name(text: str) -> ProjectName:
    """Normalise a project name (PEP 503). Raises ValueError: if the text is no project name (PEP 508)."""
    if not _PROJECT.fullmatch(text):
        raise ValueError(f"expected a project name, got {text!r}")
    return ProjectName(re.sub(r"[-_.]+", "-", text).lower())


def sha256_hex(text: str) -> Sha256Hex:
    """Check a digest. Upper case is refused: one digest has one spelling.

    Raises:
        ValueError: unless the text is 64 lower-case hex digits.
    """
    if not _SHA256.fullmatch(text):
        raise ValueError(f"expected 64 hex digits, got {text!r}")
    return Sha256Hex(text)


def shaped(pattern: str, expected: str) -> Callable[[str], str]:
    """A check for texts of one form: it gives the text back, or raises ``ValueError``.

    Args:
        pattern: a regular expression for the whole text.
        expected: what is wanted, in words: ``"a stack name such as 'h100'"``.
    """
    form = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(f"expected {expected}, got {text!r}")
        return text

    return check


def one_of(known: Collection[str]) -> Callable[[str], str]:
    """A check for one of some words: it gives the word back, or raises ``ValueError``."""

    def check(text: str) -> str:
        if text not in known:
            raise ValueError(f"expected one of {', '.join(known)}, got {text!r}")
        return text

    return check


stack_name = shaped(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?",
    "a stack name such as 'h100' (letters, digits, '.', '_' and '-', at most 64)",
)
"""Check a stack's name: it becomes a directory name on the closed side."""


def whole_number(text: str) -> Optional[int]:
    """The number that a text is, where it is one of at most 18 ASCII digits; None otherwise.

    ``str.isdigit`` also takes what ``int`` does not (a raised 2), and ``int`` refuses what is longer than it likes.
    """
    return int(text) if _NUMBER.fullmatch(text) else None


def dotted_numbers(text: str) -> Tuple[int, ...]:
    """The parts of a dotted text that are numbers, so that they compare: ``"570.124.06"`` as ``(570, 124, 6)``."""
    return tuple(number for part in text.split(".") if (number := whole_number(part)) is not None)


def split_url(text: str) -> SplitResult:
    """The parts of a URL, whose host and port can be asked for; without a host there may be none.

    Raises:
        ValueError: when they cannot, and for control characters. It shows the host alone: the rest may hold a password.
    """
    from ipaddress import IPv6Address  # here, for most commands take no URL

    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        if "[" in parts.netloc:
            IPv6Address(host)
        # Some take a backslash for a slash; Python 3.9 takes the digits of other scripts, and "+8".
        if "\\" in parts.netloc or (port is not None and not re.search(":[0-9]+$", parts.netloc)):
            raise ValueError(text)
    except ValueError:
        raise ValueError("expected a URL whose host and port can be read") from None
    if not text.isprintable():
        raise ValueError("expected a URL of printable characters")
    if port is not None and not host:
        raise ValueError("expected a URL with a host before its port")
    if host and "[" not in parts.netloc and not _HOST.fullmatch(host):
        raise ValueError(f"expected a host's name in ASCII, or its address, in the URL, got {host!r}")
    return parts


def index_url(text: str) -> str:
    """Check the URL of a package index: the projects' names are put behind it, and whatever reads it may store it.

    Raises:
        ValueError: as ``split_url``, and for a query or a fragment.
    """
    parts = split_url(text)
    if parts.query or parts.fragment:
        raise ValueError(
            "a query in an index's URL is refused: it may be a token, and would be stored; put it into ~/.netrc, as a password"
        )
    return text

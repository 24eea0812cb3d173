"""URLs that somebody wrote: whether whoever connects can make something of their host and port.

Rules: no error shows any of a URL but its host, for it may hold a password. What schemes, users and queries may stand in it is
for whoever asks (``mirror.connected.fetching.download.clean_url``).

Example::

    split_url("http://h:8080/simple/").port     # 8080
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlsplit

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{0,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)


def split_url(text: str) -> SplitResult:
    """The parts of a URL, whose host and port can be asked for; without a host there may be none.

    Raises:
        ValueError: when they cannot, and for control characters.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        if "[" in parts.netloc:
            IPv6Address(host)
        if "\\" in parts.netloc:  # which some take for a slash
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

"""Reading what a package index lists: a project's page in HTML (PEP 503) or JSON (PEP 691), written by somebody else's server.

``mirror.closed.site.index`` asks for it.

Rules: a page is another program's words: whatever is wrong in it is one ``ValueError``; a file is known by the last part of its
address, as installers know it; a digest that is no sha256 is none.

Example::

    listed_files(data, "text/html", "http://index/simple/left-pad/")["left_pad-1.0-py3-none-any.whl"].sha256
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

from mirror.core.errors import MirrorError
from mirror.core.fields import Fields, strict_json

MAX_PAGE_BYTES = 32 << 20
_SHA256 = re.compile(r"(?:^|[#&])sha256=([0-9a-fA-F]{64})(?:$|&)")


@dataclass(frozen=True)
class ListedFile:
    """One file of an index: where it is, and its sha256 in lower case; empty where the index does not tell."""

    url: str
    sha256: str


def listed_files(data: bytes, content_type: str, base: str) -> dict[str, ListedFile]:
    """What a project's page lists, by file name.

    Args:
        content_type: as the server says.
        base: the page's own address.

    Raises:
        ValueError: when it is no such page.
    """
    try:
        found = _in_json(data) if "json" in content_type.lower() else _in_html(data)
    except MirrorError as exc:
        raise ValueError(str(exc)) from exc
    files = {}
    for href, digest in found:
        url = urljoin(base, href.strip())
        parts = urlsplit(url)
        match = _SHA256.search(f"#{parts.fragment}")
        known = digest or (match[1] if match else "")
        name = unquote(parts.path).rpartition("/")[2]
        if name:
            files[name] = ListedFile(url.partition("#")[0], known.lower())
    return files


def _in_json(data: bytes) -> list[tuple[str, str]]:
    page = Fields(strict_json(data, "page of the index", MAX_PAGE_BYTES), "page of the index")
    return [(one.text("url"), one.table("hashes").text("sha256", "")) for one in page.tables("files")]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.found.append((href, ""))


def _in_html(data: bytes) -> list[tuple[str, str]]:
    links = _Links()
    try:
        links.feed(data.decode("utf-8", "replace"))
        links.close()
    except AssertionError as exc:  # html.parser's own, of markup that it cannot follow
        raise ValueError(f"no HTML: {exc}") from exc
    return links.found

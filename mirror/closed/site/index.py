"""A site's package index, as far as its pages tell: which files of a project it has, and with which bytes.

``mirror.closed.site.indexpage`` reads a page, ``mirror.closed.site.upload`` gives new files. Only asks; changes nothing.

Rules: what is asked is bounded in size and time; credentials go to the index's own address and no other; a redirect away from
it is no answer (pypiserver, for one, sends for unknown projects to the public index); what an index does not tell by sha256
is fetched and hashed.

Example::

    index = SiteIndex.find("https://pypi.site.example/", "", credentials)
    index.files_of("left-pad")
"""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional
from urllib.parse import urlsplit

from mirror.closed.site.credentials import Credentials
from mirror.closed.site.indexpage import MAX_PAGE_BYTES, ListedFile, listed_files
from mirror.core.errors import FAMILIES, MirrorError

_TIMEOUT_S = 60
_CHUNK = 1 << 20
_HTML = "application/vnd.pypi.simple.v1+html, text/html;q=0.9, application/vnd.pypi.simple.v1+json;q=0.5"
_CERTIFICATES = ("TWINE_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""Where twine, requests and Python look for the authorities that a site's index is signed by."""

_HINTS = {
    401: "Set TWINE_USERNAME and TWINE_PASSWORD, or put the index into ~/.netrc or the keyring; if it is there, it is wrong.",
    403: "This user may not do that on this index, or the password is wrong: ask whoever runs it, or be another user.",
    404: "Check the address with whoever runs the index: --to takes where uploads go, --index-url where its pages are.",
    405: "This address takes no uploads: check it with whoever runs the index.",
    409: "The index has such a file and does not list it with its bytes: ask whoever runs it.",
    413: "The index, or the web server before it, takes no files as large as this: have its limit raised (nginx: "
    "client_max_body_size), then run the same command again; what is there is left as it is.",
}
_LATER = "The index cannot answer now: run the same command again later; it goes on with what is missing."


class IndexRefused(MirrorError):
    """A package index answered with an error.

    Attributes:
        url: that was asked, without credentials.
        status: of HTTP.
        doing: what for.
    """

    ref = "index-refused"
    exit_code = FAMILIES["install"]
    hint = "Ask whoever runs the index."
    message = "{url} answers {status} {reason} to {doing}"

    url: str
    status: int
    reason: str
    doing: str

    def __post_init__(self) -> None:
        self.hint = _HINTS.get(self.status, _LATER if self.status >= 500 or self.status == 429 else type(self).hint)


class IndexUnreachable(MirrorError):
    """There is no talking to a package index: no connection, a certificate that nobody vouches for, an answer cut short."""

    ref = "index-unreachable"
    exit_code = FAMILIES["install"]
    hint = (
        "Check the address, and whether its server runs; TWINE_CERT names the file of the site's own certificate authority. "
        "Then run the same command again; it goes on with what is missing."
    )
    message = "no answer from {url} to {doing}: {reason}"

    url: str
    doing: str
    reason: str


class NoIndexPages(MirrorError):
    """An index's pages are not where they usually are."""

    ref = "no-index-pages"
    exit_code = FAMILIES["install"]
    hint = "Name it with --index-url: the address that pip takes there. Without its pages nobody knows what it has already."
    message = "no package index answers at {tried}"

    tried: tuple[str, ...]


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Within one server only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if _origin(newurl) != _origin(req.full_url):
            raise urllib.error.HTTPError(req.full_url, 404, "sends elsewhere", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


class SiteIndex:
    """One index. Use ``find``.

    Attributes:
        pages: the address below which each project has its page; ends with a slash.
    """

    def __init__(self, pages: str, credentials: Optional[Credentials]) -> None:
        self.pages, self._credentials = pages, credentials
        self._pages_of: dict[str, dict[str, ListedFile]] = {}
        certificates = next((os.environ[name] for name in _CERTIFICATES if os.environ.get(name)), None)
        try:
            context = ssl.create_default_context(cafile=certificates)
        except (OSError, ssl.SSLError) as exc:
            raise IndexUnreachable(pages, "TLS", f"{certificates} is no file of certificates ({exc})") from exc
        self._opener = urllib.request.build_opener(_Redirects(), urllib.request.HTTPSHandler(context=context))

    @classmethod
    def find(cls, upload: str, pages: str, credentials: Optional[Credentials]) -> SiteIndex:
        """Find the pages of the index that takes uploads at an address.

        Args:
            pages: their address, where somebody has named it; else ``simple/`` and ``+simple/`` below the other are tried.

        Raises:
            NoIndexPages: when there are none.
            IndexRefused, IndexUnreachable: when the index gives no answer.
        """
        base = upload.rstrip("/") + "/"
        usual = [base] if base.endswith("simple/") else [f"{base}simple/", f"{base}+simple/"]
        tried = [pages.rstrip("/") + "/"] if pages else usual
        for url in tried:
            index = cls(url, credentials)
            try:
                with index._open(url, "the list of its projects"):
                    return index
            except IndexRefused as exc:
                if exc.status != 404:
                    raise
        raise NoIndexPages(tuple(tried))

    def files_of(self, project: str) -> dict[str, ListedFile]:
        """The files of a project, by name; none when it has no such project. A page is asked for once.

        Raises:
            IndexRefused, IndexUnreachable: when the index gives no answer, or none that can be understood.
        """
        if project not in self._pages_of:
            self._pages_of[project] = self._asked(project)
        return self._pages_of[project]

    def forget(self) -> None:
        """Ask for every page again."""
        self._pages_of.clear()

    def _asked(self, project: str) -> dict[str, ListedFile]:
        url, doing = f"{self.pages}{project}/", f"what it has of {project}"
        try:
            with self._open(url, doing) as answer:
                data = answer.read(MAX_PAGE_BYTES + 1)
                content_type, url = answer.headers.get("Content-Type", ""), answer.url
        except IndexRefused as exc:
            if exc.status == 404:
                return {}
            raise
        try:
            if len(data) > MAX_PAGE_BYTES:
                raise ValueError(f"more than {MAX_PAGE_BYTES} bytes")
            return listed_files(data, content_type, url)
        except ValueError as exc:
            raise IndexUnreachable(url, doing, f"it is no page of an index ({exc})") from exc

    def digest_of(self, listed: ListedFile, size: int) -> str:
        """The sha256 of a file of the index, fetched where its page does not tell; empty when it is longer than ``size``."""
        if listed.sha256:
            return listed.sha256
        digest, left = hashlib.sha256(), size
        with self._open(listed.url, "a file, whose sha256 it does not list") as answer:
            while chunk := answer.read(_CHUNK):
                digest.update(chunk)
                left -= len(chunk)
                if left < 0:
                    return ""
        return digest.hexdigest()

    @contextmanager
    def _open(self, url: str, doing: str) -> Iterator[Any]:
        """An answer of status 200, read within the block."""
        if urlsplit(url).scheme not in ("http", "https"):  # a page may link anywhere, also to files of this machine
            raise IndexUnreachable(url, doing, "it is no address of a web server")
        request = urllib.request.Request(url, headers={"Accept": _HTML, "User-Agent": "mirror"})  # noqa: S310 - http(s) alone
        if self._credentials and _origin(url) == _origin(self.pages):
            request.add_header("Authorization", self._credentials.header())
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                yield answer
        except urllib.error.HTTPError as exc:
            exc.close()
            raise IndexRefused(url, exc.code, str(exc.reason), doing) from exc
        except urllib.error.URLError as exc:
            raise IndexUnreachable(url, doing, _words(exc.reason)) from exc
        except (OSError, http.client.HTTPException, socket.timeout) as exc:
            raise IndexUnreachable(url, doing, _words(exc)) from exc


def _words(reason: object) -> str:
    if isinstance(reason, http.client.IncompleteRead):
        return f"its answer ended after {len(reason.partial)} bytes"
    if isinstance(reason, http.client.BadStatusLine):
        return "it does not speak HTTP"
    return (isinstance(reason, OSError) and reason.strerror) or str(reason) or type(reason).__name__

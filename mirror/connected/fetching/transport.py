"""One request to a server: the session, the limits, and the names of what goes wrong.

``mirror.connected.fetching.fetch`` brings many files at once, with resume and digests.

Rules: the machine's own proxies and CA bundle are honoured; redirects lead to http(s) only; nothing is decoded, for
we asked for ``identity``; every exchange has a deadline, and a limit in bytes for all of it (SECURITY.md 50;
``mirror.connected.fetching.connections`` has those for what is not the body); what a server says in its headers is its word and
no more, whatever is in there; URLs are shown without credentials (SECURITY.md T23).

Example::

    with new_session() as session:
        page = get_bytes(session, "https://example.org/simple/", max_bytes=16 << 20)
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

import requests
import urllib3

from mirror import __version__
from mirror.connected.fetching.connections import STEP_BYTES, BoundedAdapter, OverLimit, meter_of
from mirror.connected.fetching.download import redacted
from mirror.connected.fetching.patience import PATIENCE, Patience
from mirror.core.errors import MirrorError, Unreadable, reading
from mirror.core.names import Sha256Hex, whole_number
from mirror.core.system.crew import may_go_on
from mirror.core.system.durable import open_regular

CHUNK_BYTES = STEP_BYTES
MAX_REDIRECTS = 10
MAX_FILE_BYTES = 8 << 30
"""Cap for a file whose size nobody says: what a member of a bundle may hold."""

_NOT_MODIFIED = 304
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_REMOVED = "The file was removed upstream or replaced under another name: lock again, or take it from a copy."
_CREDENTIALS = "The server or the proxy wants credentials: put them in ~/.netrc, the index's URL or HTTPS_PROXY."
GONE = (404, 410)
"""What a server answers that has no such file."""

_HINTS = {**dict.fromkeys(GONE, _REMOVED), 401: _CREDENTIALS, 403: _CREDENTIALS, 407: _CREDENTIALS}
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE")


class HostUnreachable(MirrorError):
    """No connection to the server, or one that is of no use.

    Attributes:
        host: name and port as in the URL.
        url: what was wanted, without credentials.
        reason: the system's or the TLS library's words.
    """

    ref = "host-unreachable"
    exit_code = 70
    hint = (
        "Check the network, the proxy (HTTPS_PROXY) and the CA bundle (REQUESTS_CA_BUNDLE); then run the command again."
    )
    message = "cannot reach {host} for {url}: {reason}"

    url: str
    reason: str
    transient: bool = True

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc


class HttpRefused(MirrorError):
    """The server answered with an error status.

    Attributes:
        url: what was wanted, without credentials.
        retry_after_s: seconds that the server asks to wait; None when it does not say.
    """

    ref = "http-refused"
    exit_code = 71
    hint = "The server is not well at the moment: run the command again later; it goes on from what is here."
    message = "{url}: the server answers {status}{reason: %s}"

    url: str
    status: int
    reason: str
    retry_after_s: float | None = None

    def __post_init__(self) -> None:
        self.hint = _HINTS.get(self.status, self.hint)

    @property
    def transient(self) -> bool:
        return self.status in _TRANSIENT_STATUSES


class Truncated(MirrorError):
    """The body ended before its announced or locked size, after all attempts.

    Attributes:
        url: what was wanted, without credentials.
        expected: bytes; None when only the connection's end told.
        actual: bytes that came.
    """

    ref = "truncated-download"
    exit_code = 73
    hint = "The connection breaks off. Run the command again: it goes on from what is already here."
    message = "{url}: the body broke off after {actual} bytes, before {expected:%s bytes|its end}"
    transient = True

    url: str
    expected: int | None
    actual: int

    def __post_init__(self) -> None:
        if self.url.startswith("file:"):  # asking again would bring the same
            self.hint, self.transient = "The copy is cut short: copy it again.", False


class BadReply(MirrorError):
    """The server breaks a rule of HTTP or one of ours: a redirect to another scheme, a compressed or endless body."""

    ref = "bad-reply"
    exit_code = 76
    hint = "Check the address and the proxy between here and the server."
    message = "{url}: {problem}"

    url: str
    problem: str


def new_session(connections: int = 16) -> requests.Session:
    """A session for all of a command's requests; close it when done. Safe to share between threads.

    ``requests`` itself honours proxies, ``~/.netrc``, ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE``; where neither of the two
    is set, ``PIP_CERT`` and ``SSL_CERT_FILE`` are, for such machines exist.
    """
    session = requests.Session()
    session.headers.update({"User-Agent": f"mirror/{__version__}", "Accept-Encoding": "identity"})
    session.max_redirects = MAX_REDIRECTS
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    adapter = BoundedAdapter(pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    bundle = next((os.environ[name] for name in _CA_VARIABLES if os.environ.get(name)), None)
    if bundle is not None:
        session.verify = bundle
    return session


@contextmanager
def opened(
    session: requests.Session, url: str, headers: dict[str, str], patience: Patience, question: bytes | None = None
) -> Iterator[requests.Response]:
    """Send one GET, or a POST with a question in its body, and give its response, whose body has not been read.

    Raises:
        HostUnreachable: no answer. HttpRefused: a status other than 200 and 206. BadReply: a redirect that is not followed,
            or an answer that breaks off HTTP's rules or our limits.
    """
    with answered(session, "GET" if question is None else "POST", url, headers, patience, question) as response:
        if response.status_code not in (200, 206):
            wait_s = _retry_after_s(response.headers.get("Retry-After", ""))
            raise HttpRefused(redacted(url), response.status_code, response.reason or "", wait_s)
        yield response


@contextmanager
def answered(
    session: requests.Session,
    method: str,
    url: str,
    headers: Mapping[str, str],
    patience: Patience,
    question: bytes | None = None,
) -> Iterator[requests.Response]:
    """Send one request and give its answer, whatever its status is. Raises HostUnreachable, BadReply as ``opened``."""
    shown = redacted(url)
    try:
        timeout = (patience.connect_s, patience.read_s)
        response = session.request(method, url, headers=headers, data=question, stream=True, timeout=timeout)
    except OverLimit as exc:
        raise _over_limit(shown, exc) from exc
    except requests.TooManyRedirects as exc:
        raise BadReply(shown, f"more than {MAX_REDIRECTS} redirects") from exc
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as exc:
        raise BadReply(shown, "it redirects to something that is no http or https address") from exc
    except requests.exceptions.SSLError as exc:
        raise HostUnreachable(shown, _reason(exc), transient=False) from exc
    except requests.RequestException as exc:
        raise HostUnreachable(shown, _reason(exc)) from exc
    except (urllib3.exceptions.HTTPError, ValueError) as exc:  # requests looks at a Location with what raises these
        raise BadReply(shown, f"it answers with what is no HTTP, or redirects to what is no address ({exc})") from exc
    with response:
        yield response


def body(
    response: requests.Response,
    patience: Patience,
    clock: Callable[[], float] = time.monotonic,
    whole_s: float | None = None,
) -> Iterator[bytes]:
    """The body as it arrives, never decoded.

    Args:
        whole_s: the most that all of it may take, in seconds; ``patience.whole_s`` by default.

    Raises:
        Truncated: it ends before its Content-Length, or the connection breaks. HostUnreachable: it is slower than
            ``patience.slowest``, or than ``whole_s``. BadReply: what is around it is no HTTP, or larger than allowed.
    """
    shown, meter = redacted(response.url), meter_of(response)
    # read1 returns with what one recv(2) brought: with read(), a server that sends a byte a second would hold us for hours.
    raw: Any = response.raw
    total, since, in_window = 0, clock(), 0
    deadline = since + (patience.whole_s if whole_s is None else whole_s)
    while True:
        may_go_on()
        meter.allow(total, patience.window_s)
        try:
            chunk: bytes = raw.read1(CHUNK_BYTES, decode_content=False)
        except OverLimit as exc:
            raise _over_limit(shown, exc) from exc
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise Truncated(shown, _content_length(response), total) from exc
        except (ValueError, OverflowError) as exc:  # a chunk of less than no bytes, or of more than numbers go
            raise BadReply(shown, "its chunks have sizes that are none") from exc
        if not chunk:
            return
        total, in_window = total + len(chunk), in_window + len(chunk)
        yield chunk
        now = clock()
        if now >= deadline:
            raise HostUnreachable(shown, f"{total} bytes are all that came in time")
        elapsed = now - since
        if elapsed >= patience.window_s:
            if in_window < patience.slowest * elapsed:
                raise HostUnreachable(shown, f"{in_window} bytes in {elapsed:.0f} seconds are too slow")
            since, in_window = now, 0


def get_bytes(
    session: requests.Session, url: str, max_bytes: int, patience: Patience = PATIENCE, question: bytes | None = None
) -> bytes:
    """The whole of one small document (an index page, repository metadata) from an ``http(s):`` or ``file:`` URL.

    Args:
        question: JSON that is posted to the URL, whose answer then is the document.

    Raises:
        HostUnreachable, HttpRefused, Truncated: after ``patience.attempts``.
        BadReply: at once, also when there are more than ``max_bytes``.
        Unreadable: a ``file:`` URL that leads to no file.
    """
    if urlsplit(url).scheme == "file":
        with open_file(url) as stream:
            return _capped(iter(lambda: stream.read(CHUNK_BYTES), b""), redacted(url), max_bytes)
    headers = {} if question is None else {"Content-Type": "application/json"}
    return _document(session, url, max_bytes, patience, headers, question)[0]


def get_if_changed(
    session: requests.Session, url: str, max_bytes: int, etag: str, patience: Patience = PATIENCE
) -> tuple[bytes | None, str]:
    """One small document, unless it is still what it was, and its ``ETag`` (RFC 9110 section 8.8.3; empty where it has none).

    Args:
        etag: of the document that is known; empty for none.

    Returns:
        None in place of the document when the server says that it has not changed.

    Raises:
        MirrorError: as ``get_bytes``.
    """
    if urlsplit(url).scheme == "file":
        return get_bytes(session, url, max_bytes, patience), ""
    try:
        return _document(session, url, max_bytes, patience, {"If-None-Match": etag} if etag else {})
    except HttpRefused as exc:
        if etag and exc.status == _NOT_MODIFIED:
            return None, etag
        raise


def _document(
    session: requests.Session,
    url: str,
    max_bytes: int,
    patience: Patience,
    headers: dict[str, str],
    question: bytes | None = None,
) -> tuple[bytes, str]:
    """All of a document and its ``ETag``, after as many attempts as it takes."""

    def ask() -> tuple[bytes, str]:
        with opened(session, url, headers, patience, question) as response:
            refuse_compressed(response)
            data = _capped(body(response, patience, whole_s=patience.document_s), redacted(url), max_bytes)
            return data, response.headers.get("ETag", "")

    return patience.persist(ask)


def get_digest(session: requests.Session, url: str, patience: Patience = PATIENCE) -> Sha256Hex:
    """The sha256 of a file of at most ``MAX_FILE_BYTES``, which is not kept. Raises as ``get_bytes``."""
    if urlsplit(url).scheme == "file":
        with open_file(url) as stream:
            return _digest(limited(iter(lambda: stream.read(CHUNK_BYTES), b""), redacted(url), MAX_FILE_BYTES))

    def ask() -> Sha256Hex:
        with opened(session, url, {}, patience) as response:
            return _digest(limited(body(response, patience), redacted(url), MAX_FILE_BYTES))

    return patience.persist(ask)


def _digest(chunks: Iterator[bytes]) -> Sha256Hex:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return Sha256Hex(digest.hexdigest())


def content_size(session: requests.Session, url: str, patience: Patience = PATIENCE) -> int | None:
    """How many bytes a file has, by its server's word; None when it cannot be told. A hint for people, never trusted."""
    if urlsplit(url).scheme == "file":
        try:
            with open_file(url) as stream:
                return os.fstat(stream.fileno()).st_size
        except Unreadable:
            return None
    try:
        with answered(session, "HEAD", url, {}, patience) as response:
            return _content_length(response) if response.status_code == 200 else None
    except (HostUnreachable, BadReply):
        return None  # fetching it will name what is wrong


def open_file(url: str) -> BinaryIO:
    """Open the local file behind a ``file:`` URL.

    Raises:
        Unreadable: when it is on another host, cannot be read, or is a directory, a pipe or a device.
    """
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise Unreadable(redacted(url), f"a file URL names a file of this machine, not of {parts.hostname}")
    path = Path(unquote(parts.path))
    with reading(path):
        return open_regular(path)


def refuse_compressed(response: requests.Response) -> None:
    """Refuse a body whose size once it is unpacked nobody knows. Raises BadReply."""
    if response.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        raise BadReply(redacted(response.url), "the body is compressed although identity was asked for")


def limited(chunks: Iterator[bytes], shown: str, max_bytes: int) -> Iterator[bytes]:
    """Hand chunks on, as long as they are not more than ``max_bytes`` together. Raises BadReply."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > max_bytes:
            raise BadReply(shown, f"the reply is larger than the {max_bytes} bytes allowed")
        yield chunk


def _capped(chunks: Iterator[bytes], shown: str, max_bytes: int) -> bytes:
    return b"".join(limited(chunks, shown, max_bytes))


def _content_length(response: requests.Response) -> int | None:
    """What the server says; None when it says nothing, or more than any file has."""
    return whole_number(response.headers.get("Content-Length", ""))


def _retry_after_s(text: str) -> float | None:
    """RFC 9110 10.2.3: seconds, or a date; None for what is neither, or no time that there is."""
    try:
        return float(urllib3.Retry().parse_retry_after(text))
    except (urllib3.exceptions.InvalidHeader, ValueError, TypeError, OverflowError, IndexError):
        return None


def _over_limit(shown: str, exc: OverLimit) -> MirrorError:
    return HostUnreachable(shown, exc.problem) if exc.is_slow else BadReply(shown, exc.problem)


def _reason(exc: BaseException) -> str:
    """The innermost cause in words: urllib3 wraps it in a pool's repr, which may hold credentials of a proxy."""
    cause: BaseException = exc
    while True:
        inner = getattr(cause, "reason", None) or next((a for a in cause.args if isinstance(a, BaseException)), None)
        if not isinstance(inner, BaseException):
            break
        cause = inner
    text = str(cause).rpartition(": ")[2] if isinstance(cause, urllib3.exceptions.HTTPError) else str(cause)
    return text or type(cause).__name__

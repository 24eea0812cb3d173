"""A small web server that gives out files which somebody has checked, and nothing else.

It speaks HTTP/1.1, GET and HEAD, whole or one byte range, and asks back by digest (ETag). What a path stands for is told by a
function of its caller's: ``mirror.closed.venv.wheelserver`` for one installation, ``mirror.closed.site.server`` for a site.

Rules: what a client sends is never a path of this machine; request line and headers are bounded, and have to arrive whole in
time; a client that reads too slowly, or one too many, is let go; nothing that a client does ends the server or writes a
traceback. A file is hashed while it is sent whole: where it is not what it was any more, its last piece is withheld, so that
nobody takes it for complete, and from then on everything is refused. Before the first range of it is given it is hashed whole;
the digest of each piece is kept, and no piece is given again that has another.

Example::

    with WebServer(find, ("127.0.0.1", 0)) as server:
        server.serve_forever()
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, BinaryIO, Callable, Optional, Tuple, Union
from urllib.parse import unquote

from mirror.core.progress import Advance

HEAD_S = 20
"""Within this many seconds a request has to be there, also the next one of a connection that is kept."""
STALL_S = 60
"""A piece that a client has not taken by then is not sent any more."""
MAX_CLIENTS = 128

_PIECE = 256 << 10
_END_S = 5
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resource:
    """What a path stands for.

    Attributes:
        open: gives a seekable stream over the bytes; called from several threads.
        size: of them.
        sha256: of them; empty when a client cannot ask by it, nor the server check it.
        content_type: what they are.
        varies: whether another ``Accept`` would have got another resource.
    """

    open: Callable[[], BinaryIO]
    size: int
    sha256: str
    content_type: str = "application/octet-stream"
    varies: bool = False


@dataclass(frozen=True)
class Refusal:
    """Why a path stands for nothing: an HTTP status, and where else to ask."""

    status: int
    location: str = ""


Find = Callable[[str, str], Union[Resource, Refusal]]
"""What a decoded path stands for, to a client that accepts these types."""


class WebServer(ThreadingHTTPServer):
    """The server; ``serve_forever`` serves until ``shutdown``, or an exception that a signal raises.

    Args:
        address: numeric, of IPv4 or IPv6, and the port; 0 for a free one.
        advance: told the bytes as they are sent.
        say: told each request, in a client's words.
        alarm: told once when a file is found to be no more what it was.

    Raises:
        OSError: when it cannot listen there.
    """

    head_s: float = HEAD_S
    max_clients = MAX_CLIENTS
    daemon_threads = True  # an idle connection of a client that hangs must not keep us from ending
    request_queue_size = 64

    def __init__(
        self,
        find: Find,
        address: Tuple[str, int],
        advance: Advance = lambda amount: None,
        say: Callable[[str], None] = lambda line: None,
        alarm: Callable[[str], None] = lambda problem: None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.find, self.advance, self.say, self._alarm = find, advance, say, alarm
        self.spoilt, self.is_ending = "", False
        self.pieces: dict[str, Tuple[bytes, ...]] = {}  # of what was hashed whole, by its sha256: the digest of each
        self.hashing = threading.Lock()
        self._changed = threading.Condition()
        self._deadlines: dict[socket.socket, float] = {}
        self._clients: set[socket.socket] = set()
        super().__init__(address, _Handler)

    @property
    def address(self) -> str:
        """``http://127.0.0.1:8000``."""
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def server_bind(self) -> None:
        # HTTPServer asks the resolver for the host's name here; in a closed network that can hang for minutes.
        TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:
        _log.debug("a request from %s ended early", client_address, exc_info=True)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            is_full = len(self._clients) >= self.max_clients
            if not is_full:
                self._clients.add(request)
        if is_full:
            with contextlib.suppress(OSError):
                request.settimeout(1)
                request.sendall(
                    b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread was to be had
            self.shutdown_request(request)
            raise

    def shutdown_request(self, request: Any) -> None:
        with self._changed:
            self._clients.discard(request)
            self._deadlines.pop(request, None)
            self._changed.notify_all()
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Let those go whose request is not there in time; called by ``serve_forever`` twice a second."""
        now = time.monotonic()
        with self._changed:
            late = [client for client, deadline in self._deadlines.items() if deadline < now]
        _hang_up(late)

    def expect(self, client: socket.socket) -> None:
        """From now on a request has to come, within ``head_s``, until ``heard``."""
        with self._changed:
            self._deadlines[client] = time.monotonic() + self.head_s

    def heard(self, client: socket.socket) -> None:
        with self._changed:
            self._deadlines.pop(client, None)

    def spoil(self, problem: str) -> None:
        """Refuse everything from here on."""
        with self._changed:
            is_first, self.spoilt = not self.spoilt, self.spoilt or problem
        if is_first:
            self._alarm(problem)

    def server_close(self) -> None:
        """Stop listening, cut who is being served, and wait until nobody reads any more what is served."""
        super().server_close()
        self.is_ending = True
        with self._changed:
            _hang_up(self._clients)
            self._changed.wait_for(lambda: not self._clients, _END_S)


def _hang_up(clients: Any) -> None:
    for client in clients:
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


class _Changed(Exception):
    """What is to be sent is not what it was."""


class _Handler(BaseHTTPRequestHandler):
    server: WebServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "mirror", ""
    default_request_version = "HTTP/1.0"  # so that what is no request is answered with a status, too
    timeout = STALL_S

    def handle_one_request(self) -> None:
        self.server.expect(self.connection)
        super().handle_one_request()

    def parse_request(self) -> bool:
        is_one = super().parse_request()
        self.server.heard(self.connection)
        return is_one

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        self.server.say(f"{self.client_address[0]} {format % args}")

    def _answer(self, with_body: bool) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads is no next request
        path = unquote(self.path.partition("?")[0].partition("#")[0])
        found = self.server.find(path, self.headers.get("Accept", ""))
        if self.server.spoilt:
            self._refuse(503)
        elif isinstance(found, Refusal):
            self._refuse(found.status, *([("Location", found.location)] if found.location else []))
        else:
            self._send(found, with_body)

    def _refuse(self, status: int, *headers: Tuple[str, str]) -> None:
        self._head(status, 0, *headers)

    def _send(self, found: Resource, with_body: bool) -> None:
        tag = f'"{found.sha256}"'
        headers = [("Content-Type", found.content_type), ("Accept-Ranges", "bytes")]
        headers += [("ETag", tag)] if found.sha256 else []
        headers += [("Vary", "Accept")] if found.varies else []
        if found.sha256 and _names(self.headers.get("If-None-Match", ""), tag):
            self.send_response(304)
            self._end(headers)
            return
        is_same = self.headers.get("If-Range", tag).strip() == tag
        try:
            part = byte_range(self.headers.get("Range", ""), found.size) if is_same else None
        except ValueError:
            self._refuse(416, ("Content-Range", f"bytes */{found.size}"))
            return
        if part and with_body and found.sha256 and not self._is_known(found):
            self._refuse(503)
            return
        start, length = part or (0, found.size)
        if part:
            headers.append(("Content-Range", f"bytes {start}-{start + length - 1}/{found.size}"))
        self._head(206 if part else 200, length, *headers)
        if with_body:
            self._send_bytes(found, start, length)

    def _is_known(self, found: Resource) -> bool:
        """Whether the digest of each piece is known; if need be, all of it is read for that."""
        with self.server.hashing, self._held_to_account():
            if found.sha256 not in self.server.pieces:
                for _ in self._pieces(found, 0, found.size):
                    if self.server.is_ending:
                        raise ConnectionAbortedError
        return found.sha256 in self.server.pieces and not self.server.spoilt

    def _head(self, status: int, length: int, *headers: Tuple[str, str]) -> None:
        self.send_response(status)
        self._end([*headers, ("Content-Length", str(length))])

    def _end(self, headers: list[Tuple[str, str]]) -> None:
        for name, value in headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send_bytes(self, found: Resource, start: int, length: int) -> None:
        with self._held_to_account():
            for piece in self._pieces(found, start, start + length):
                self.wfile.write(piece)
                self.server.advance(len(piece))

    def _pieces(self, found: Resource, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` to ``stop``, none of which is wrong; where no digests of pieces are known, the last is right
        only if all were. Raises ``_Changed``."""
        known, digest, digests = self.server.pieces.get(found.sha256), hashlib.sha256(), list[bytes]()
        with found.open() as stream:
            first = start // _PIECE
            stream.seek(first * _PIECE)
            for at in range(first * _PIECE, stop, _PIECE):
                piece = stream.read(min(_PIECE, found.size - at))
                is_right = at + len(piece) >= min(at + _PIECE, found.size)
                if found.sha256 and is_right:
                    digests.append(hashlib.sha256(piece).digest())
                    if known:
                        is_right = digests[-1] == known[at // _PIECE]
                    else:
                        digest.update(piece)
                        is_right = at + _PIECE < found.size or digest.hexdigest() == found.sha256
                if not is_right:
                    raise _Changed
                if found.sha256 and not known and at + _PIECE >= found.size:
                    self.server.pieces[found.sha256] = tuple(digests)
                yield piece[max(0, start - at) : stop - at]

    @contextlib.contextmanager
    def _held_to_account(self) -> Iterator[None]:
        """Whatever keeps us from giving what was promised, and is not the client's doing, ends all serving."""
        try:
            yield
        except _Changed:
            self._cut(f"{self.path} is not what it was when it was verified")
        except ValueError as exc:  # closed under us: the server is ending
            self._cut(str(exc))
        except OSError as exc:
            if isinstance(exc, (ConnectionError, socket.timeout)):
                raise  # the client's doing
            self._cut(f"{self.path} cannot be read: {exc.strerror or exc}")

    def _cut(self, problem: str) -> None:
        """The length that was promised cannot be kept, so the connection ends."""
        self.close_connection = True
        self.server.spoil(problem)


def _names(header: str, tag: str) -> bool:
    """Whether ``If-None-Match`` names this tag (RFC 9110 section 13.1.2: a weak one will do)."""
    return header.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in header.split(","))


def byte_range(header: str, size: int) -> Optional[Tuple[int, int]]:
    """What a ``Range`` header asks for, as ``(start, length)``.

    None, which means the whole file, for a header that is missing or not understood (RFC 9110 section 14.2: it is
    ignored).

    Raises:
        ValueError: when the range lies outside the file.
    """
    match = _RANGE.fullmatch(header.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        raise ValueError(f"bytes {start} to {stop} of {size}")
    return start, stop - start

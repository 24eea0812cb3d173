"""The bundle's wheels as a find-links page on 127.0.0.1, served straight out of the tar.

So that uv or pip reads each wheel once, from the bundle, and no second copy of gigabytes is written (DESIGN.md
section 6). It answers GET and HEAD, whole or one byte range, because uv reads a wheel's metadata from its end first.

Rules: bound to 127.0.0.1 only; every address holds a token that cannot be guessed; it serves the manifest's wheels
and nothing else, by exact name. It promises nothing about the bytes: uv and pip check each against the signed
``install.txt``.

Example::

    with serving(bundle.open, manifest.of(WHEEL)) as url:
        ...
"""

from __future__ import annotations

import hmac
import html
import logging
import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import BinaryIO, Callable
from urllib.parse import quote, unquote

from mirror.core.kinds import WHEEL
from mirror.core.bundle.manifest import Artifact
from mirror.core.progress import Advance

Opener = Callable[[Artifact], BinaryIO]
"""Gives a seekable stream over an artifact's bytes; may be called from several threads."""

_CHUNK = 1 << 20
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_log = logging.getLogger(__name__)


@contextmanager
def serving(opener: Opener, wheels: Sequence[Artifact], advance: Advance = lambda amount: None) -> Iterator[str]:
    """Serve wheels until the block ends; gives the address of the page that links to them.

    Args:
        advance: called with the number of bytes as they are sent.

    Raises:
        OSError: when there is no loopback device to listen on.
    """
    server = _Server(opener, wheels, advance)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # an idle connection of a client that hangs must not keep us from ending

    def __init__(self, opener: Opener, wheels: Sequence[Artifact], advance: Advance) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.opener, self.advance = opener, advance
        self.wheels = {wheel.filename: wheel for wheel in wheels}
        self.token = secrets.token_urlsafe(32)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/{self.token}/"
        self.page = _page(wheels)

    def server_bind(self) -> None:
        # HTTPServer asks the resolver for the host's name here; in a closed network that can hang for minutes.
        TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:
        _log.debug("a request from %s ended early", client_address, exc_info=True)


def _page(wheels: Sequence[Artifact]) -> bytes:
    links = "\n".join(
        f'<a href="{quote(wheel.filename)}#sha256={wheel.sha256}">{html.escape(wheel.filename)}</a><br>'
        for wheel in wheels
    )
    return f"<!DOCTYPE html>\n<html><body>\n{links}\n</body></html>\n".encode("ascii")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 300

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        _log.debug(format, *args)

    def _answer(self, with_body: bool) -> None:
        token, _, name = unquote(self.path).lstrip("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(403)
        elif not name:
            self._send_page(with_body)
        elif name in self.server.wheels:
            self._send_wheel(self.server.wheels[name], with_body)
        else:
            self._refuse(404)

    def _refuse(self, status: int, *headers: tuple[str, str]) -> None:
        self._head(status, 0, *headers)

    def _send_page(self, with_body: bool) -> None:
        page = self.server.page
        self._head(200, len(page), ("Content-Type", "text/html; charset=utf-8"))
        if with_body:
            self.wfile.write(page)

    def _send_wheel(self, wheel: Artifact, with_body: bool) -> None:
        try:
            part = byte_range(self.headers.get("Range", ""), wheel.size)
        except ValueError:
            self._refuse(416, ("Content-Range", f"bytes */{wheel.size}"))
            return
        headers = [("Content-Type", "application/zip"), ("Accept-Ranges", "bytes"), ("ETag", f'"{wheel.sha256}"')]
        start, length = part or (0, wheel.size)
        if part:
            headers.append(("Content-Range", f"bytes {start}-{start + length - 1}/{wheel.size}"))
        self._head(206 if part else 200, length, *headers)
        if with_body:
            self._send_bytes(wheel, start, length)

    def _head(self, status: int, length: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send_bytes(self, wheel: Artifact, start: int, length: int) -> None:
        with self.server.opener(wheel) as stream:
            stream.seek(start)
            while length:
                chunk = stream.read(min(_CHUNK, length))
                if not chunk:  # the file has shrunk: the length promised cannot be kept, so the connection must end
                    self.close_connection = True
                    return
                self.wfile.write(chunk)
                self.server.advance(len(chunk))
                length -= len(chunk)


def byte_range(header: str, size: int) -> tuple[int, int] | None:
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

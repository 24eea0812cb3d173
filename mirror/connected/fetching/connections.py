"""Connections whose every answer has limits, in bytes and in time, from its first byte to its last.

``mirror.connected.fetching.transport`` makes the requests over them, and gives their failures names.

Rules (SECURITY.md 50): of an answer's head, with what else comes before a body (1xx answers, a proxy's answer to CONNECT), at
most ``MAX_HEAD_BYTES`` are read, and no longer than ``HEAD_S``; chunk headers and trailers may take ``FRAMING`` bytes for each
byte of the body, and no more; a redirect's body is not read at all; cookies are not kept; over TLS, a body without a length has
ended only where the server says so (close_notify). ``http.client`` alone has limits for
a line and for how many there are, and none for all of it or for the time that it takes.

Example::

    session = requests.Session()
    session.mount("https://", BoundedAdapter())
    with session.get(url, stream=True) as response:
        meter_of(response).allow(total, seconds=30)
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

MAX_HEAD_BYTES = 256 << 10
"""Of one answer, with what comes before it; a server's real one has some hundred bytes."""

HEAD_S = 60.0
"""For the whole of it; a server may think for as long as the socket's own timeout before its first byte."""

STEP_BYTES = 256 << 10
"""At most so many are asked for at once."""

FRAMING = 8
"""The smallest chunks, of one byte, take six bytes each."""


UNSTREAMED_BYTES, UNSTREAMED_S = 64 << 20, 60.0
"""For the whole of an answer that nobody streams. Ours are all streamed; this is so that no other is without limits."""


class OverLimit(Exception):
    """An answer is larger or slower than allowed; neither requests nor urllib3 takes it for one of its own.

    Attributes:
        is_slow: whether it is the time that ran out.
    """

    def __init__(self, problem: str, is_slow: bool = False) -> None:
        super().__init__(problem, is_slow)
        self.problem, self.is_slow = problem, is_slow


_NOTHING_NOW = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Meter(io.RawIOBase):
    """What is read of a socket, counted and timed.

    TLS comes in records of at most 16 KiB, and a read gives one. Threads that take gigabytes one record at a time spend most of
    their time waiting for each other (the interpreter's lock goes round with each), so all that is there is taken at once.

    Args:
        connection: its timeout holds for each single read.
        raw: the file made of it.
    """

    def __init__(self, connection: socket.socket, raw: io.RawIOBase) -> None:
        self._connection, self._raw, self._timeout_s = connection, raw, connection.gettimeout()
        self._taken, self._most, self._what = 0, MAX_HEAD_BYTES, "the head of the answer"
        self._until = time.monotonic() + HEAD_S
        self._late: OSError | None = None

    def allow(self, body_bytes: int, seconds: float) -> None:
        """Let the next piece of a body come.

        Args:
            body_bytes: how much of the body has come so far.
            seconds: how long it may take.
        """
        self._most = MAX_HEAD_BYTES + STEP_BYTES + FRAMING * body_bytes
        self._until, self._what = time.monotonic() + seconds, "what is around the body"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read; raises OverLimit."""
        if self._late:  # what came before it was handed on
            raise self._late
        left_s = self._until - time.monotonic()
        slow = OverLimit(f"{self._what} does not come to its end", is_slow=True)
        if left_s <= 0:
            raise slow
        if self._taken >= self._most:
            raise OverLimit(f"{self._what} is larger than the {self._most} bytes allowed")
        self._connection.settimeout(left_s if self._timeout_s is None else min(left_s, self._timeout_s))
        view = memoryview(buffer)[: self._most - self._taken]
        try:
            count = cast("int | None", self._raw.readinto(view))
        except TimeoutError as exc:
            if time.monotonic() >= self._until:
                raise slow from exc
            raise
        if count and isinstance(self._connection, ssl.SSLSocket):
            count += self._gather(self._connection, view[count:])
        self._taken += count or 0
        return count

    def _gather(self, connection: ssl.SSLSocket, room: memoryview) -> int:
        """Take what came meanwhile, without waiting for more."""
        timeout_s, count = connection.gettimeout(), 0
        connection.settimeout(0)
        try:
            while count < len(room) and (size := connection.recv_into(room[count:])):
                count += size
        except _NOTHING_NOW:
            pass
        except OSError as exc:
            self._late = exc
        finally:
            connection.settimeout(timeout_s)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """http.client's own, which reads through a meter."""

    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        self.fp.close()
        self.meter = Meter(sock, cast(io.RawIOBase, sock.makefile("rb", buffering=0)))
        self.fp = io.BufferedReader(self.meter)


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response

    def connect(self) -> None:
        """Connect; the other side has ended only where it says so in TLS, not where the connection merely breaks off."""
        self.ssl_context = self.ssl_context or create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs))
        self.ssl_context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        super().connect()
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # typeshed does not know it


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class BoundedAdapter(HTTPAdapter):
    """Sends requests over such connections, a proxy's too."""

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **named: Any) -> Any:
        manager = super().proxy_manager_for(*args, **named)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: requests.PreparedRequest, stream: bool = False, **named: Any) -> requests.Response:  # type: ignore[override]  # what is passed on
        """Send; an answer that is not streamed is read by requests itself, and has its limit from here."""
        response = super().send(request, stream=stream, **named)
        if not stream and not response.is_redirect:
            meter_of(response).allow(UNSTREAMED_BYTES // FRAMING, UNSTREAMED_S)
        return response

    def build_response(self, req: requests.PreparedRequest, resp: urllib3.BaseHTTPResponse) -> requests.Response:
        """The response; requests would read all of a redirect's body, before it looks at how many there are."""
        if resp.get_redirect_location():
            resp.close()
            resp = urllib3.HTTPResponse(
                io.BytesIO(), resp.headers, resp.status, reason=resp.reason, preload_content=False
            )
        return super().build_response(req, resp)


def meter_of(response: requests.Response) -> Meter:
    """The meter of a response that came over such a connection and is no redirect."""
    return cast(_Response, response.raw._original_response).meter  # by which requests itself reaches the headers of one

"""A server that answers each connection with the next of the replies it was given, byte for byte.

For what ``tests.support.index`` is too well-behaved to do: bodies without a length, wrong ranges, silence.

Example::

    with ScriptedServer(reply(200, b"data"), Reply(b"HTTP/1.1 200 OK\\r\\n", pause_s=5)) as server:
        ... server.url("a.whl") ...
        assert b"Range: bytes=4-" in server.requests[1]
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Reply:
    """What is sent; then the connection stays open for ``pause_s``, and is closed.

    Attributes:
        again: sent after it for as long as the client stays, with ``every_s`` between.
        drip_s: pause after each byte of ``data``; for those after ``drip_from``.
        is_broken_off: whether the connection is reset at the end.
        says_end: whether TLS is told that this is the end (close_notify).
    """

    data: bytes
    pause_s: float = 0.0
    again: bytes = b""
    every_s: float = 0.0
    drip_s: float = 0.0
    drip_from: int = 0
    is_broken_off: bool = False
    says_end: bool = False


def reply(status: int, body: bytes = b"", *headers: str, length: bool = True) -> Reply:
    """A whole HTTP reply; ``length`` says whether Content-Length is sent."""
    lines = [f"HTTP/1.1 {status} Scripted", "Connection: close", *headers]
    lines += [f"Content-Length: {len(body)}"] * length
    return Reply("\r\n".join([*lines, "", ""]).encode() + body)


class ScriptedServer:
    """Attributes: ``requests``, the heads that arrived, in order. The last reply is given again and again.

    Args:
        secure: how it speaks TLS; None for not at all.
    """

    def __init__(self, *replies: Reply, secure: ssl.SSLContext | None = None) -> None:
        self._replies, self._secure = list(replies), secure
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with socket.create_connection(self._listener.getsockname()):
            pass  # wakes accept()
        self._thread.join()
        self._listener.close()

    def url(self, path: str, credentials: str = "") -> str:
        return f"http{'s' if self._secure else ''}://{credentials}127.0.0.1:{self._port}/{path}"

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._over.is_set():
                connection.close()
                return
            answer = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
            threading.Thread(target=self._answer, args=(connection, answer), daemon=True).start()

    def _answer(self, connection: socket.socket, answer: Reply) -> None:
        if self._secure:
            try:
                connection = self._secure.wrap_socket(connection, server_side=True)
            except OSError:
                return
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(65536)
                if not received:
                    return
                head += received
            self.requests.append(head)
            try:
                whole = len(answer.data) if not answer.drip_s else answer.drip_from
                connection.sendall(answer.data[:whole])
                for at in range(whole, len(answer.data)):
                    if self._over.wait(answer.drip_s):
                        return
                    connection.sendall(answer.data[at : at + 1])
                while answer.again and not self._over.wait(answer.every_s):
                    connection.sendall(answer.again)
                self._over.wait(answer.pause_s)
                if answer.says_end and isinstance(connection, ssl.SSLSocket):
                    connection.unwrap()
                if answer.is_broken_off:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                return  # the client has gone: some tests mean that

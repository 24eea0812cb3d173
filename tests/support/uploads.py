"""A package index on loopback that takes uploads, or refuses them as a test wants it; it notes what it was asked.

Example::

    with UploadIndex() as index:
        index.refuse_uploads = 413
        index.url, index.files, index.asked
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

_CONTENT = re.compile(rb'name="content"; filename="([^"]+)"\r\n.*?\r\n\r\n(.*?)\r\n--', re.DOTALL)


class UploadIndex:
    """The index.

    Attributes:
        files: by name.
        tells: which hash its pages give, empty for none.
        login: user name and password that it asks for; empty for nobody's.
        asks_readers: whether it asks for them also where something is only read.
        refuse_uploads: the HTTP status of every upload; 0 to take them, -1 to cut them in the middle.
        pages: what its pages answer in place of a page: a status, or bytes.
        asked: method and path of every request.
        commands: command lines of the programs that ran while an upload came in.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.tells = "sha256"
        self.login = ""
        self.asks_readers = False
        self.refuse_uploads = 0
        self.pages: int | bytes = 200
        self.redirect = ""
        self.asked: list[str] = []
        self.commands: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> UploadIndex:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def page(self, project: str) -> bytes:
        found = [name for name in self.files if name.split("-")[0].lower().replace("_", "-") == project]
        links = (f'<a href="/files/{name}{self._fragment(name)}">{name}</a>' for name in found)
        return "\n".join(links).encode()

    def _fragment(self, name: str) -> str:
        return f"#{self.tells}={hashlib.new(self.tells, self.files[name]).hexdigest()}" if self.tells else ""

    def may(self, header: str) -> bool:
        return not self.login or header == f"Basic {base64.b64encode(self.login.encode()).decode()}"


def _handler(index: UploadIndex) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(f"GET {self.path}")
            parts = self.path.strip("/").split("/")
            if index.asks_readers and not index.may(self.headers.get("Authorization", "")):
                self.answer(401)
            elif parts[0] == "files" and parts[-1] in index.files:
                self.answer(200, index.files[parts[-1]])
            elif parts[0] != "simple":
                self.answer(404)
            elif isinstance(index.pages, bytes):
                self.answer(200, index.pages)
            elif index.pages != 200 or len(parts) == 1:
                self.answer(index.pages)
            elif index.page(parts[1]):
                self.answer(200, index.page(parts[1]))
            elif index.redirect:
                self.answer(302, b"", index.redirect)
            else:
                self.answer(404)

        def do_POST(self) -> None:
            index.asked.append(f"POST {self.path}")
            length = int(self.headers["Content-Length"])
            if index.refuse_uploads == -1:
                self.rfile.read(length // 2)
                # a reset, as of a server that is killed
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            body = self.rfile.read(length)
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    index.commands.append(path.read_bytes().replace(b"\0", b" ").decode())
                except OSError:
                    continue
            if not index.may(self.headers.get("Authorization", "")):
                self.answer(401)
                return
            match = _CONTENT.search(body)
            assert match
            if not index.refuse_uploads:
                index.files[match[1].decode()] = match[2]
            self.answer(index.refuse_uploads or 200)

        def answer(self, status: int, body: bytes = b"", location: str = "") -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    return Handler

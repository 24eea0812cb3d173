"""A web server on the loopback that can misbehave, and a simple index (PEP 503, PEP 691) on top of it.

Example::

    with LoopbackIndex() as index:
        index.add(make_wheel(tmp_path, "left-pad", "1.0"))
        index.fail("/simple/left-pad/", status=503, times=2)
        ... index.url ...
        assert index.count("/simple/left-pad/") == 3
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import threading
import time
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

_JSON = "application/vnd.pypi.simple.v1+json"


@dataclass
class Fault:
    """How one path misbehaves.

    Attributes:
        status: answered in place of the file; 0 for none.
        times: how often; then the path is well again.
        headers: sent with the status (``Retry-After``, ``Location``).
        cut_after: bytes of the body that are sent before the connection is dropped.
        delay_s: pause before each kilobyte of the body.
    """

    status: int = 0
    times: int = 1_000_000
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    delay_s: float = 0.0


@dataclass(frozen=True)
class Seen:
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]


class LoopbackServer:
    """Serves ``files`` (path to bytes) on 127.0.0.1 until the block ends.

    Attributes:
        files: what there is; change it at any time.
        faults: how paths misbehave.
        ranges: whether Range is honoured.
        seen: requests, in the order of arrival.
        unchanged: paths whose body was not sent, because whoever asked knew it.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.faults: dict[str, Fault] = {}
        self.ranges = True
        self.seen: list[Seen] = []
        self.unchanged: list[str] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:PORT``"""
        return f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, path: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        """Add a file and return its URL."""
        self.files[path], self.types[path] = data, content_type
        return self.origin + path

    def fail(
        self,
        path: str,
        status: int = 0,
        *,
        times: int = 1_000_000,
        headers: dict[str, str] | None = None,
        cut_after: int | None = None,
        delay_s: float = 0.0,
    ) -> None:
        """Make a path misbehave; see ``Fault``."""
        self.faults[path] = Fault(status, times, headers or {}, cut_after, delay_s)

    def count(self, path: str, method: str = "GET") -> int:
        """How often a path was asked for."""
        return sum(seen.path == path and seen.method == method for seen in self.seen)

    def body(self, path: str, accept: str) -> tuple[bytes, str] | None:
        """Body and content type of a path, or None for 404."""
        data = self.files.get(path)
        return None if data is None else (data, self.types[path])

    def headers(self, path: str) -> dict[str, str]:
        """More headers of a path that is served."""
        return {}

    def arrive(self, seen: Seen) -> Fault | None:
        """Note a request; the fault that it meets, if any."""
        with self._lock:
            self.seen.append(seen)
            fault = self.faults.get(seen.path)
            if fault is None or fault.times <= 0:
                return None
            fault.times -= 1
            return fault


@dataclass(frozen=True)
class _Listed:
    filename: str
    sha256: str
    size: int
    requires_python: str
    yanked: str | None
    upload_time: str


class LoopbackIndex(LoopbackServer):
    """A simple index; ``add`` files to it.

    Attributes:
        json: whether JSON is offered to those who ask for it; HTML otherwise.
        lies: file name to the sha256 that the page claims in place of the true one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.json = True
        self.lies: dict[str, str] = {}
        self._projects: dict[str, list[_Listed]] = {}

    @property
    def url(self) -> str:
        """The index's address, as in a configuration."""
        return f"{self.origin}/simple/"

    def add(
        self,
        path: Path,
        *,
        requires_python: str = "",
        yanked: str | None = None,
        upload_time: str = "2026-01-01T00:00:00Z",
    ) -> str:
        """List a wheel or sdist and return its URL; an empty ``upload_time`` leaves it out of the page."""
        data = path.read_bytes()
        name = path.name.split("-")[0] if path.suffix == ".whl" else path.name.rpartition("-")[0]
        project = re.sub(r"[-_.]+", "-", name).lower()
        digest = hashlib.sha256(data).hexdigest()
        listed = _Listed(path.name, digest, len(data), requires_python, yanked, upload_time)
        self._projects.setdefault(project, []).append(listed)
        return self.serve(f"/files/{path.name}", data)

    def withdraw(self, project: str, reason: str) -> None:
        """Yank every file of a project that is listed."""
        self._projects[project] = [replace(one, yanked=reason) for one in self._projects[project]]

    def body(self, path: str, accept: str) -> tuple[bytes, str] | None:
        match = re.fullmatch(r"/simple/([a-z0-9-]+)/", path)
        if match is None or match[1] not in self._projects:
            return super().body(path, accept)
        listed = self._projects[match[1]]
        if self.json and _JSON in accept:
            document = {
                "meta": {"api-version": "1.1"},
                "name": match[1],
                "versions": sorted({_version(item.filename) for item in listed}),
                "files": [self._json(item) for item in listed],
            }
            return json.dumps(document).encode(), _JSON
        rows = "".join(self._anchor(item) for item in listed)
        return f"<!DOCTYPE html><html><body>{rows}</body></html>".encode(), "text/html"

    def _json(self, item: _Listed) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "filename": item.filename,
            "url": f"../../files/{item.filename}",
            "hashes": {"sha256": self.lies.get(item.filename, item.sha256)},
            "size": item.size,
            "yanked": item.yanked if item.yanked is not None else False,
        }
        if item.requires_python:
            entry["requires-python"] = item.requires_python
        if item.upload_time:
            entry["upload-time"] = item.upload_time
        return entry

    def _anchor(self, item: _Listed) -> str:
        digest = self.lies.get(item.filename, item.sha256)
        attributes = f' href="../../files/{item.filename}#sha256={digest}"'
        if item.requires_python:
            attributes += f' data-requires-python="{html.escape(item.requires_python)}"'
        if item.yanked is not None:
            attributes += f' data-yanked="{html.escape(item.yanked)}"'
        return f"<a{attributes}>{item.filename}</a><br/>\n"


def _version(filename: str) -> str:
    stem = filename.removesuffix(".tar.gz").removesuffix(".whl")
    return stem.split("-")[1]


def _handler(server: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # the name is http.server's
            self._answer(with_body=True)

        def do_HEAD(self) -> None:  # the name is http.server's
            self._answer(with_body=False)

        def _answer(self, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            fault = server.arrive(Seen(self.command, path, dict(self.headers)))
            if fault and fault.status:
                self._send(fault.status, {**fault.headers, "Content-Length": "0"})
                return
            found = server.body(path, self.headers.get("Accept", ""))
            if found is None:
                self._send(404, {"Content-Length": "0"})
                return
            data, content_type = found
            etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
            headers = {"Content-Type": content_type, "ETag": etag, **server.headers(path)}
            if self.headers.get("If-None-Match") == etag:
                server.unchanged.append(path)
                self._send(304, headers)
                return
            start, stop = self._range(len(data), etag) if server.ranges else (0, len(data))
            if server.ranges:
                headers["Accept-Ranges"] = "bytes"
            if start >= max(len(data), 1):
                self._send(416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"})
                return
            partial = (start, stop) != (0, len(data))
            if partial:
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
            self._send(206 if partial else 200, {**headers, "Content-Length": str(stop - start)})
            if with_body:
                self._write(data[start:stop], fault or Fault())

        def _range(self, size: int, etag: str) -> tuple[int, int]:
            match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
            if match is None or self.headers.get("If-Range", etag) != etag:
                return 0, size
            if not match[1]:
                return max(size - int(match[2]), 0), size
            return int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)

        def _send(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def _write(self, data: bytes, fault: Fault) -> None:
            body = data if fault.cut_after is None else data[: fault.cut_after]
            for offset in range(0, len(body), 1024):
                if fault.delay_s:
                    time.sleep(fault.delay_s)
                try:
                    self.wfile.write(body[offset : offset + 1024] if fault.delay_s else body)
                    self.wfile.flush()
                except OSError:
                    self.close_connection = True
                    return
                if not fault.delay_s:
                    break
            if fault.cut_after is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
            pass  # the tests' output stays readable; `seen` has it all

    return Handler

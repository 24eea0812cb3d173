"""An advisory database of the tests' own: OSV records, dumps of them, and an API on the loopback that serves them.

Example::

    dump = write_dump(tmp_path / "dump", record("GHSA-1", "torch", fixed="2.12.0"))
    with OsvServer(record("GHSA-1", "torch", fixed="2.12.0")) as server:
        ask(server.origin, artifacts)
"""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mirror.core.bundle.manifest import Artifact
from mirror.core.names import Sha256Hex

CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"

Record = dict[str, Any]


def record(
    record_id: str,
    project: str,
    *,
    introduced: str = "0",
    fixed: str = "",
    versions: Sequence[str] = (),
    aliases: Sequence[str] = (),
    vector: str = "",
    word: str = "",
    summary: str = "a summary",
    modified: str = "2026-11-20T08:00:00Z",
    **more: object,
) -> Record:
    """One record, about the versions of a project from ``introduced`` up to ``fixed``, or those that are listed."""
    events = [{"introduced": introduced}, *([{"fixed": fixed}] if fixed else [])]
    affected: Record = {"package": {"ecosystem": "PyPI", "name": project}}
    if versions:
        affected["versions"] = list(versions)
    if not versions or fixed:
        affected["ranges"] = [{"type": "ECOSYSTEM", "events": events}]
    made: Record = {"id": record_id, "modified": modified, "summary": summary, "affected": [affected]}
    if aliases:
        made["aliases"] = list(aliases)
    if vector:
        made["severity"] = [{"type": "CVSS_V3", "score": vector}]
    if word:
        made["database_specific"] = {"severity": word}
    return {**made, **more}


def write_dump(directory: Path, *records: Record) -> Path:
    """A directory of records."""
    directory.mkdir(parents=True, exist_ok=True)
    for one in records:
        (directory / f"{one['id']}.json").write_text(json.dumps(one))
    return directory


def write_zip(path: Path, *records: Record) -> Path:
    """A zip of records."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in records:
            archive.writestr(f"{one['id']}.json", json.dumps(one))
    return path


def wheel(name: str, version: str) -> Artifact:
    """A manifest's line for a wheel."""
    path = f"wheels/{name.replace('-', '_')}-{version}-py3-none-any.whl"
    return Artifact(path, 1, Sha256Hex("a" * 64), name, version)


class OsvServer:
    """An API that serves records until the block ends.

    Attributes:
        found: ids for each ``(project, version)`` that is asked about.
        records: by id; what is no dictionary is served as it is.
        page: how many ids an answer holds before it goes on.
        questions: bodies that arrived at querybatch.
        answers: given in place of querybatch's own, in turn.
    """

    def __init__(self, *records: Record, found: dict[tuple[str, str], list[str]] | None = None) -> None:
        self.found = found or {}
        self.records: dict[str, Any] = {one["id"]: one for one in records}
        self.page = 1000
        self.questions: list[Any] = []
        self.answers: list[bytes] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> OsvServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str, question: bytes) -> bytes | None:
        if path == "/v1/querybatch":
            asked = json.loads(question)
            self.questions.append(asked)
            if self.answers:
                return self.answers.pop(0)
            return json.dumps({"results": [self._result(one) for one in asked["queries"]]}).encode()
        one = self.records.get(path.removeprefix("/v1/vulns/"))
        return json.dumps(one).encode() if isinstance(one, dict) else one

    def _result(self, query: Any) -> Record:
        ids = self.found.get((query["package"]["name"], query["version"]), [])
        start = int(query.get("page_token", "0"))
        end = start + self.page
        result: Record = {"vulns": [{"id": one} for one in ids[start:end]]} if ids else {}
        return {**result, "next_page_token": str(end)} if end < len(ids) else result


def _handler(server: OsvServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._send(self.rfile.read(int(self.headers["Content-Length"])))

        def do_GET(self) -> None:
            self._send(b"")

        def _send(self, question: bytes) -> None:
            data = server.answer(self.path, question)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            pass

    return Handler

"""Asking an advisory database about what goes into a bundle: an OSV-style API, or a dump that was downloaded before.

``mirror.core.advisories.dump``, which the review room uses too, reads a dump; the answer is a document,
``mirror.core.advisories.known``.
The API: POST /v1/querybatch gives the ids for each project and version, GET /v1/vulns/ID each record.

Rules: the user chooses the database, none is asked by default; the records' own ranges decide, as they will in the closed
network, and where the database names a record that they do not hold to, that is told; nothing of when it was asked goes into
the answer.

Example::

    advisories = ask("https://osv.example.org", assembly.carried(), progress)
    assembly.add_bytes(known.PATH, advisories.encode())
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests

from mirror.connected.fetching.download import redacted
from mirror.connected.fetching.patience import PATIENCE, Patience
from mirror.connected.fetching.transport import BadReply, get_bytes, new_session
from mirror.core.advisories.dump import search_dump
from mirror.core.advisories.known import Advisories, Source
from mirror.core.advisories.record import ECOSYSTEM, MAX_BYTES, OsvRecord, osv_id
from mirror.core.advisories.search import Search
from mirror.core.bundle.manifest import Artifact
from mirror.core.fields import check_values
from mirror.core.names import ProjectName
from mirror.core.progress import SILENT, Progress
from mirror.core.system.crew import Crew
from mirror.core.wheels.versions import Version

_BATCH = 1000
"""More questions at once are refused by the public API."""

_MAX_ANSWER_BYTES = 32 << 20
_MAX_PAGES = 100
_AT_ONCE = 8

_Wanted = tuple[ProjectName, str]


def ask(
    source: str, artifacts: Sequence[Artifact], progress: Progress = SILENT, patience: Patience = PATIENCE
) -> Advisories:
    """Ask a database about artifacts.

    Args:
        source: an API's URL, with or without ``/v1``; or the path or ``file:`` URL of a dump.

    Raises:
        HostUnreachable, HttpRefused, BadReply, Truncated: as ``get_bytes``.
        BadDump, Unreadable: as ``search_dump``.
    """
    if urlsplit(source).scheme == "file":
        return search_dump(Path(unquote(urlsplit(source).path)), artifacts, progress)
    if "://" not in source:
        return search_dump(Path(source), artifacts, progress)
    with new_session(_AT_ONCE) as session:
        return _Api(source, session, patience).search(artifacts, progress)


class _Api:
    def __init__(self, url: str, session: requests.Session, patience: Patience) -> None:
        origin = url.rstrip("/").removesuffix("/v1").rstrip("/")
        self._base, self._shown = origin + "/v1", redacted(origin)
        self._session, self._patience = session, patience

    def search(self, artifacts: Sequence[Artifact], progress: Progress) -> Advisories:
        search = Search(artifacts)
        named = self._named(search.wanted)
        ids = sorted({one for group in named.values() for one in group})
        with progress.task("advisories", len(ids), "records") as advance, Crew(_AT_ONCE) as crew:
            records = {}
            for record in crew.map(self._record, ids):
                search.add(record)
                records[record.id] = record
                advance(1)
        for (project, version), group in named.items():
            for one in sorted(group):
                if not records[one].withdrawn and not search.is_found(project, version, one):
                    search.doubt(project, version, one, "the source names it, its own versions do not")
        return search.finish(Source("api", self._shown))

    def _named(self, wanted: Sequence[_Wanted]) -> dict[_Wanted, set[str]]:
        """The ids that the database has for each project and version."""
        found: dict[_Wanted, set[str]] = {one: set() for one in wanted}
        left = [(one, "") for one in wanted]
        for _ in range(_MAX_PAGES):
            batch, left = left[:_BATCH], left[_BATCH:]
            if not batch:
                return found
            questions = [_question(*one, token) for one, token in batch]
            url = f"{self._base}/querybatch"
            answer = self._json(url, _MAX_ANSWER_BYTES, json.dumps({"queries": questions}).encode())
            results = answer.get("results")
            if not isinstance(results, list) or len(results) != len(batch):
                raise BadReply(redacted(url), f"expected {len(batch)} results to {len(batch)} questions")
            for (one, _), result in zip(batch, results, strict=True):
                try:
                    ids, token = _result(result)
                except (TypeError, ValueError, AttributeError, KeyError) as exc:
                    raise BadReply(redacted(url), f"no result in OSV's form: {exc!r}") from exc
                found[one] |= ids
                left += [(one, token)] if token else []
        raise BadReply(redacted(self._base), f"its answers go on after {_MAX_PAGES} pages")

    def _record(self, record_id: str) -> OsvRecord:
        url = f"{self._base}/vulns/{quote(record_id, safe='')}"
        try:
            record = OsvRecord.of(self._json(url, MAX_BYTES))
        except ValueError as exc:
            raise BadReply(redacted(url), f"no OSV record: {exc}") from exc
        if record.id != record_id:
            raise BadReply(redacted(url), f"it is the record {record.id}")
        return record

    def _json(self, url: str, max_bytes: int, question: bytes | None = None) -> dict[str, Any]:
        data = get_bytes(self._session, url, max_bytes, self._patience, question)
        try:
            check_values(data)
            value = json.loads(data)
        except (ValueError, RecursionError) as exc:
            raise BadReply(redacted(url), f"no JSON: {exc}") from exc
        if not isinstance(value, dict):
            raise BadReply(redacted(url), f"expected an object, got {type(value).__name__}")
        return value


def _question(project: ProjectName, version: str, token: str) -> dict[str, Any]:
    question = {"package": {"name": project, "ecosystem": ECOSYSTEM}, "version": _public(version)}
    return {**question, "page_token": token} if token else question


def _public(version: str) -> str:
    """Without the local part: the database knows no builds."""
    try:
        Version(version)
    except ValueError:
        return version
    return version.partition("+")[0]


def _result(value: Any) -> tuple[set[str], str]:
    token = value.get("next_page_token") or ""
    if not isinstance(token, str):
        raise TypeError("next_page_token is no text")
    return {osv_id(one["id"]) for one in value.get("vulns") or ()}, token

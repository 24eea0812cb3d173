"""The files that a lock's pins mean, found on their index once and remembered.

``mirror.connected.index.choice`` chooses among an index's files; ``mirror.connected.fetching.fetch`` brings them.

Rules: what was found is remembered by everything that it depends on (the lock's pins, the target, the indexes), so a second
run asks no index; a URL that may hold a secret is never written down; sizes are hints for people, digests come from the lock.

Example::

    parts = find_files(lock, stack, store, progress)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mirror.connected.fetching.download import Download
from mirror.connected.fetching.fetch import new_session
from mirror.connected.fetching.store import Store
from mirror.connected.fetching.transport import content_size
from mirror.connected.index.choice import resolve_files
from mirror.connected.index.pages import Index
from mirror.connected.pins.requirements import PythonLock
from mirror.connected.planning.plan import Part
from mirror.connected.stack.file import Stack
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, canonical_json, strict_json
from mirror.core.kinds import WHEEL, Kind
from mirror.core.names import sha256_hex
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import write_file

_JOBS = 16
_MAX_BYTES = 16 << 20


def find_files(
    lock: PythonLock,
    stack: Stack,
    store: Store,
    progress: Progress = SILENT,
    kind: Kind = WHEEL,
    source: str = "the lock",
) -> tuple[Part, ...]:
    """The file of each pin, from memory or from its index. ``source`` names the lock in errors."""
    question = [lock.encode("").decode(), stack.target.to_dict(), sorted(stack.build), dict(stack.indexes)]
    key = hashlib.sha256(json.dumps([question, dict(stack.index_names)], sort_keys=True).encode()).hexdigest()
    memory = store.root / "found" / f"{key}.json"
    try:
        return _recall(memory.read_bytes(), kind)
    except (FileNotFoundError, InvalidDocument):
        pass  # never asked, or written by another version: ask the index
    with Index.of(stack) as index:
        found = resolve_files(lock, stack, index, progress, source=source)
    parts = tuple(
        Part(
            kind,
            item.pin.name,
            item.pin.version,
            Download(f.url, f.filename, f.sha256, size_hint=f.size),
            uploaded=f.upload_time or 0,
        )
        for item in found
        for f in [item.file]
    )
    parts = _measured(parts, store, progress)
    if all(part.download.url == part.download.shown_url for part in parts):  # secrets are never written down
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_file(memory, _remember(parts))
    return parts


def _remember(parts: Sequence[Part]) -> bytes:
    lines = [
        {
            "name": part.name,
            "version": part.version,
            "url": part.download.url,
            "filename": part.download.filename,
            "sha256": part.download.sha256,
            "size_hint": part.download.size_hint or 0,
            "uploaded": part.uploaded,
        }
        for part in parts
    ]
    return canonical_json({"parts": lines})


def _recall(data: bytes, kind: Kind) -> tuple[Part, ...]:
    fields = Fields(strict_json(data, "found files", _MAX_BYTES), "found files")
    parts = []
    for line in fields.tables("parts"):
        digest, hint = line.checked("sha256", sha256_hex), line.number("size_hint")
        download = Download(line.text("url"), line.text("filename"), digest, size_hint=hint)
        parts.append(Part(kind, line.text("name"), line.text("version"), download, uploaded=line.number("uploaded")))
        line.end()
    fields.end()
    return tuple(parts)


def _measured(parts: tuple[Part, ...], store: Store, progress: Progress) -> tuple[Part, ...]:
    """Fill in the sizes that an index did not tell, by HEAD requests for the files that are not here."""

    def measure(part: Part) -> Part:
        download = part.download
        if download.size_hint is None and store.find(download.sha256, download.filename) is None:
            part = replace(part, download=replace(download, size_hint=content_size(session, download.url)))
        advance(1)
        return part

    with (
        new_session(_JOBS) as session,
        progress.task("sizes", len(parts), "files") as advance,
        ThreadPoolExecutor(_JOBS) as pool,
    ):
        return tuple(pool.map(measure, parts))

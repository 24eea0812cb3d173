"""The files that a lock's pins mean, found on their index once and remembered.

``mirror.connected.index.choice`` chooses among an index's files; ``mirror.connected.fetching.fetch`` brings them.

Rules: what was found is remembered pin by pin (``mirror.connected.index.found``), so a second run asks no index, and a run
after one pin moved asks for that project alone; a directory of this machine is looked at each time; sizes are hints for
people, digests come from the lock.

Example::

    parts = find_files(lock, stack, store, progress)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mirror.connected.fetching.download import Download
from mirror.connected.fetching.part import DownloadMismatch
from mirror.connected.fetching.store import Store, file_sha256
from mirror.connected.fetching.transport import content_size, new_session
from mirror.connected.index.choice import found_file, resolve_files, target_pins
from mirror.connected.index.found import FoundFile, FoundFiles
from mirror.connected.index.pages import Index
from mirror.connected.pins.requirements import PythonLock
from mirror.connected.planning.plan import Part
from mirror.connected.stack.stack import Stack
from mirror.core.kinds import WHEEL, Kind
from mirror.core.names import ProjectName
from mirror.core.progress import SILENT, Progress
from mirror.core.system.crew import Crew

_JOBS = 16


def find_files(
    lock: PythonLock,
    stack: Stack,
    store: Store,
    progress: Progress = SILENT,
    kind: Kind = WHEEL,
    source: str = "the lock",
) -> tuple[Part, ...]:
    """The file of each pin, from memory or from its index. ``source`` names the lock in errors.

    Raises:
        DownloadMismatch: when a directory here has another file than was taken out of it. MirrorError: as ``resolve_files``.
    """
    pins, memory = target_pins(lock, stack, source), FoundFiles(store, stack)
    found = {pin.name: file for pin in pins if (file := memory.recall(pin))}
    for file in found.values():
        _look(file.download, store)
    missing = tuple(pin for pin in pins if pin.name not in found)
    if missing:
        with Index.of(stack, store) as index:
            chosen = resolve_files(replace(lock, pins=missing), stack, index, progress, source=source)
        found |= {project: found_file(file) for project, file in chosen.items()}
        found = _measured(found, store, progress)
        memory.remember((pin, found[pin.name]) for pin in pins)
    return tuple(
        Part(kind, pin.name, pin.version, found[pin.name].download, uploaded=found[pin.name].uploaded) for pin in pins
    )


def _look(download: Download, store: Store) -> None:
    """Refuse a file of a directory here that was changed since it was taken. One that is gone changes nothing: it was locked.

    Raises:
        DownloadMismatch: when the directory has other bytes under its name.
    """
    kept = store.find(download.sha256, download.filename)
    if kept is None or urlsplit(download.url).scheme != "file":
        return
    path = Path(unquote(urlsplit(download.url).path))
    try:
        if path.stat().st_ctime_ns <= kept.stat().st_mtime_ns:
            return  # nobody wrote to it since
        actual = file_sha256(path)
    except OSError:
        return
    if actual != download.sha256:
        raise DownloadMismatch(download.shown_url, download.sha256, actual)


def _measured(files: Mapping[ProjectName, FoundFile], store: Store, progress: Progress) -> dict[ProjectName, FoundFile]:
    """Fill in the sizes that an index did not tell, by HEAD requests for the files that are not here."""

    def measure(file: FoundFile) -> FoundFile:
        download = file.download
        if download.size_hint is None and store.find(download.sha256, download.filename) is None:
            file = replace(file, download=replace(download, size_hint=content_size(session, download.url)))
        advance(1)
        return file

    with new_session(_JOBS) as session, progress.task("sizes", len(files), "files") as advance, Crew(_JOBS) as crew:
        return dict(zip(files, crew.map(measure, files.values()), strict=True))

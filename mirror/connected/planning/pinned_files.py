"""The files that a lock's pins mean, found on their index once and remembered.

``mirror.connected.index.choice`` chooses among an index's files; ``mirror.connected.fetching.fetch`` brings them.

Rules: what was found is remembered pin by pin (``mirror.connected.index.found``), so a second run asks no index, and a run
after one pin moved asks for that project alone; sizes are hints for people, digests come from the lock.

Example::

    parts = find_files(lock, stack, store, progress)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mirror.connected.fetching.store import Store
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
    """The file of each pin, from memory or from its index. ``source`` names the lock in errors. Raises as ``resolve_files``."""
    pins, memory = target_pins(lock, stack, source), FoundFiles(store, stack)
    found = {pin.name: file for pin in pins if (file := memory.recall(pin))}
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

"""The interpreter, on the connected side: one archive, pinned in ``NAME.toml`` itself or in ``NAME.python.toml``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packageurl import PackageURL

from mirror.connected.contents.inspection import Task
from mirror.connected.fetching.download import Download, redacted
from mirror.connected.kinds.facet import (
    Gathered,
    Planned,
    Wanted,
    generic,
    no_findings,
    no_papers,
    no_session,
    paths_of,
)
from mirror.connected.locking.interpreter import InterpreterLock
from mirror.connected.packing import meta
from mirror.connected.planning.plan import Part, Plan, UnusableName
from mirror.connected.stack.file import Stack
from mirror.connected.stack.interpreter import InterpreterPin, InterpreterWish
from mirror.core.bundle.manifest import Artifact
from mirror.core.kinds import INTERPRETER
from mirror.core.names import Sha256Hex

KIND = INTERPRETER
session = no_session
findings = no_findings

papers = no_papers


def plan(wanted: Wanted) -> Planned:
    """Raises ``UnusableName`` when the URL ends in no plain file name."""
    pin = _pin(wanted)
    if pin is None:
        return Planned()
    filename = unquote(urlsplit(pin.url).path.rpartition("/")[2])  # a build's "+" travels as %2B
    try:
        download = Download(pin.url, filename, pin.sha256)
    except ValueError as exc:
        raise UnusableName(redacted(pin.url), str(exc)) from exc
    part = Part(KIND, "python", wanted.stack.target.python, download, is_optional=pin.is_optional)
    return Planned((part,))


def _pin(wanted: Wanted) -> InterpreterPin | None:
    """The archive: that of ``NAME.toml``, or that of the lock where a version is wished for."""
    wish, lock = wanted.stack.wishes.get(KIND), wanted.locks.pinned.get(KIND)
    if isinstance(wish, InterpreterWish) and isinstance(lock, InterpreterLock):
        return InterpreterPin(lock.pins[0].url, lock.pins[0].sha256, wish.is_optional)
    return wish if isinstance(wish, InterpreterPin) else None


def sizes(plan: Plan, paths: Mapping[Sha256Hex, Path]) -> Mapping[Sha256Hex, int]:
    """Of its files, each member judged as the closed side will judge it."""
    return {part.download.sha256: meta.tar_size(path) for part, path in paths_of(plan, KIND, paths)}


def tasks(gathered: Gathered) -> Iterable[Task]:
    return (Task.of_interpreter(one.path, source, one.sha256) for one, source in gathered.files(KIND))


def purl(artifact: Artifact, part: Part | None, stack: Stack | None) -> PackageURL:
    return generic(artifact)

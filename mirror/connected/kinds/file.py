"""Files, on the connected side: each pinned in ``NAME.toml`` itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from packageurl import PackageURL

from mirror.connected.contents.filecontents import read_file, stated
from mirror.connected.contents.inside import Contents
from mirror.connected.contents.inspection import Task
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
from mirror.connected.planning.plan import Part, Plan
from mirror.connected.stack.file import Stack
from mirror.connected.stack.files import FileWish
from mirror.core.bundle.manifest import Artifact
from mirror.core.kinds import FILE
from mirror.core.names import Sha256Hex
from mirror.core.progress import Advance

KIND = FILE
session = no_session
papers = no_papers
findings = no_findings


def plan(wanted: Wanted) -> Planned:
    wishes: tuple[FileWish, ...] = wanted.stack.wishes.get(KIND, ())
    parts = tuple(Part(KIND, one.name, "", one.download(), source=one.origin, place=one.to) for one in wishes)
    return Planned(parts, environment=[pair for one in wishes for pair in one.variables])


def sizes(plan: Plan, paths: Mapping[Sha256Hex, Path]) -> Mapping[Sha256Hex, int]:
    """They are installed as they are."""
    return {part.download.sha256: path.stat().st_size for part, path in paths_of(plan, KIND, paths)}


def tasks(gathered: Gathered) -> Iterable[Task]:
    wishes = {one.path: one for one in (gathered.locks.stack.wishes.get(KIND, ()) if gathered.locks.stack else ())}
    for artifact, source in gathered.files(KIND):
        wish = wishes[artifact.path]
        depends = f"file {wish.name} {wish.licence} {wish.summary}"
        yield Task(artifact.path, source, artifact.sha256, depends, partial(_read, source, wish))


def _read(source: Path, wish: FileWish, scratch: Path, advance: Advance) -> Contents:
    return stated(read_file(source, wish.name), wish)


def purl(artifact: Artifact, part: Part | None, stack: Stack | None) -> PackageURL:
    return generic(artifact)

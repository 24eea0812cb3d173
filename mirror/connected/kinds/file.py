"""Files, on the connected side: each pinned in ``NAME.toml`` itself."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from mirror.connected.contents.filecontents import read_file, stated
from mirror.connected.contents.inside import Contents
from mirror.connected.contents.inspection import Task
from mirror.connected.kinds.facet import Facet, Gathered, Planned, Wanted
from mirror.connected.planning.plan import Part
from mirror.connected.stack.files import FileWish
from mirror.core.kinds import FILE
from mirror.core.progress import Advance
from mirror.core.target import Target


class Files(Facet):
    KIND = FILE

    def plan(self, wanted: Wanted) -> Planned:
        wishes: tuple[FileWish, ...] = wanted.stack.wishes.get(self.KIND, ())
        parts = tuple(Part(self.KIND, one.name, "", one.download(), source=one.origin, place=one.to) for one in wishes)
        return Planned(parts, environment=[pair for one in wishes for pair in one.variables])

    def unpacked_size(self, part: Part, path: Path, target: Target) -> int:
        return path.stat().st_size

    def tasks(self, gathered: Gathered) -> Iterable[Task]:
        wishes = {
            one.path: one for one in (gathered.locks.stack.wishes.get(self.KIND, ()) if gathered.locks.stack else ())
        }
        for artifact, source in gathered.files(self.KIND):
            wish = wishes[artifact.path]
            depends = f"file {wish.name} {wish.licence} {wish.summary}"
            yield Task(artifact.path, source, artifact.sha256, depends, partial(_read, source, wish))


def _read(source: Path, wish: FileWish, scratch: Path, advance: Advance) -> Contents:
    return stated(read_file(source, wish.name), wish)

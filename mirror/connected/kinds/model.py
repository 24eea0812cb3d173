"""Models, on the connected side: the files of each repository, as ``NAME.models.toml`` pins them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from packageurl import PackageURL
from requests import Session

from mirror.connected.contents.inside import Contents
from mirror.connected.contents.inspection import Task
from mirror.connected.contents.modelcontents import read_model_file
from mirror.connected.kinds.facet import Facet, Gathered, Planned, Wanted
from mirror.connected.models.hub import hub_session
from mirror.connected.models.modellock import ModelLock
from mirror.connected.planning.plan import Part
from mirror.connected.stack.models import ModelWish
from mirror.connected.stack.stack import Stack
from mirror.core.bundle.manifest import Artifact
from mirror.core.errors import reading
from mirror.core.kinds import MODEL
from mirror.core.progress import Advance
from mirror.core.vetting.modelfile import vet_model_file
from mirror.core.vetting.rules import Finding


class Models(Facet):
    KIND = MODEL

    def plan(self, wanted: Wanted) -> Planned:
        lock = wanted.locks.pinned.get(self.KIND)
        if not isinstance(lock, ModelLock):
            return Planned()
        parts = tuple(
            Part(
                self.KIND,
                pin.repository,
                pin.revision,
                pin.download(file),
                file.size,
                source=pin.origin(file),
                place=pin.path_of(file).partition("/")[2],
            )
            for pin in lock.pins
            for file in pin.files
        )
        wishes: tuple[ModelWish, ...] = wanted.stack.wishes.get(self.KIND, ())
        return Planned(parts, environment=[pair for one in wishes for pair in one.variables])

    def session(self, connections: int) -> Session:
        """Gated models need the user's token."""
        return hub_session(connections)

    def tasks(self, gathered: Gathered) -> Iterable[Task]:
        for artifact, source in gathered.files(self.KIND):
            name = _in_repository(artifact)
            yield Task(artifact.path, source, artifact.sha256, f"model {name}", partial(_read, source, name))

    def findings(self, gathered: Gathered) -> Iterable[Finding]:
        """Pickles that nobody answers for, and safetensors files that are none."""
        for artifact, source in gathered.files(self.KIND):
            with reading(source), source.open("rb") as stream:
                yield from vet_model_file(stream, artifact)

    def purl(self, artifact: Artifact, part: Part | None, stack: Stack | None) -> PackageURL:
        organisation, _, name = artifact.name.rpartition("/")
        return PackageURL("huggingface", organisation, name, artifact.version, {}, _in_repository(artifact))


def _read(source: Path, name: str, scratch: Path, advance: Advance) -> Contents:
    return read_model_file(source, name)


def _in_repository(artifact: Artifact) -> str:
    return artifact.filename.partition("/")[2]

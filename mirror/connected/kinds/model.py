"""Models, on the connected side: the files of each repository, as ``NAME.models.toml`` pins them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from packageurl import PackageURL

from mirror.connected.contents.inside import Contents
from mirror.connected.contents.inspection import Task
from mirror.connected.contents.modelcontents import read_model_file
from mirror.connected.kinds.facet import Gathered, Planned, Wanted, no_papers, no_sizes
from mirror.connected.models.hub import hub_session
from mirror.connected.models.modellock import ModelLock
from mirror.connected.planning.plan import Part
from mirror.connected.stack.file import Stack
from mirror.connected.stack.models import ModelWish
from mirror.core.bundle.manifest import Artifact
from mirror.core.errors import Unreadable
from mirror.core.kinds import MODEL
from mirror.core.progress import Advance
from mirror.core.vetting.modelfile import vet_model_file
from mirror.core.vetting.rules import Finding

KIND = MODEL
papers = no_papers
sizes = no_sizes
session = hub_session  # gated models need the user's token


def plan(wanted: Wanted) -> Planned:
    lock = wanted.locks.pinned.get(KIND)
    if not isinstance(lock, ModelLock):
        return Planned()
    parts = tuple(
        Part(
            KIND,
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
    wishes: tuple[ModelWish, ...] = wanted.stack.wishes.get(KIND, ())
    return Planned(parts, environment=[pair for one in wishes for pair in one.variables])


def tasks(gathered: Gathered) -> Iterable[Task]:
    for artifact, source in gathered.files(KIND):
        name = _in_repository(artifact)
        yield Task(artifact.path, source, artifact.sha256, f"model {name}", partial(_read, source, name))


def _read(source: Path, name: str, scratch: Path, advance: Advance) -> Contents:
    return read_model_file(source, name)


def findings(gathered: Gathered) -> Iterable[Finding]:
    """Pickles that nobody answers for, and safetensors files that are none."""
    for artifact, source in gathered.files(KIND):
        try:
            with source.open("rb") as stream:
                yield from vet_model_file(stream, artifact)
        except OSError as exc:
            raise Unreadable(str(source), exc.strerror or str(exc)) from exc


def _in_repository(artifact: Artifact) -> str:
    return artifact.filename.partition("/")[2]


def purl(artifact: Artifact, part: Part | None, stack: Stack | None) -> PackageURL:
    organisation, _, name = artifact.name.rpartition("/")
    return PackageURL("huggingface", organisation, name, artifact.version, {}, _in_repository(artifact))

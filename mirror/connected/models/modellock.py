"""The model lock, ``NAME.models.toml``: every file of every repository, pinned by path, size and digest.

``mirror.connected.models.hub`` asks the hub, ``mirror.connected.models.selection`` chooses, ``mirror.connected.fetching.fetch``
brings the files.

Rules: the lock names the hub of ``NAME.toml``, also when another stood in for it, so that both give the same lock; a bundle is
made from it without asking the hub's API again; equal locks have equal bytes.

Example::

    lock = lock_models(stack.models, stack.waivers, now=int(time.time()))
    path.write_bytes(lock.encode())
    fetch(ModelLock.load(path).downloads(), store, session=session)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from mirror.connected.fetching.download import Download
from mirror.connected.fetching.patience import PATIENCE, Patience
from mirror.connected.models.hub import HubRepository, file_url, hub_of
from mirror.connected.models.selection import select
from mirror.connected.stack.models import HUB, ModelWish, hub_url
from mirror.connected.toolchain.lockfile import LockFile, moved, once_in_order, one_a_line, table_lines
from mirror.core.bundle.manifest import artifact_path
from mirror.core.fields import Fields
from mirror.core.kinds import MODEL, Kind
from mirror.core.kinds.model import bundle_path, repository_name, revision_hex
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Progress
from mirror.core.system.crew import Crew
from mirror.core.target import Target
from mirror.core.vetting.rules import ProjectWaiver

_JOBS = 8


@dataclass(frozen=True)
class ModelFile:
    """One file, by its path in the repository."""

    path: str
    size: int
    sha256: Sha256Hex

    @property
    def filename(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class ModelPin:
    """One repository.

    Attributes:
        repository, revision, endpoint, include, exclude: as in ``ModelWish``.
        files: what is taken, in order of path.
    """

    repository: str
    revision: str
    endpoint: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def path_of(self, file: ModelFile) -> str:
        """In the bundle."""
        return bundle_path(self.repository, file.path)

    def origin(self, file: ModelFile) -> str:
        """Where it is by the lock's word, whichever hub stood in for that."""
        return file_url(self.endpoint, self.repository, self.revision, file.path)

    def download(self, file: ModelFile) -> Download:
        """What to fetch, from the hub or from what stands in for it."""
        url = file_url(hub_of(self.endpoint), self.repository, self.revision, file.path)
        return Download(url, file.filename, file.sha256, file.size)

    @classmethod
    def from_fields(cls, fields: Fields) -> ModelPin:
        """Read a table of a lock. Raises InvalidDocument with the path to the fault."""
        pin = cls(
            repository=fields.checked("repository", repository_name),
            revision=fields.checked("revision", revision_hex),
            endpoint=fields.checked("endpoint", hub_url, HUB),
            include=fields.texts("include", ()),
            exclude=fields.texts("exclude", ()),
            files=(),
        )
        files = tuple(_file(table, pin.repository) for table in fields.tables("file"))
        once_in_order(fields, "file", [file.path for file in files], "path")
        fields.end()
        return replace(pin, files=files)

    def lines(self) -> Iterator[str]:
        """Its table, as the lock's text has it."""
        yield from ("", "[[model]]")
        yield f"repository = {json.dumps(self.repository)}"
        yield f"revision = {json.dumps(self.revision)}"
        if self.endpoint != HUB:
            yield f"endpoint = {json.dumps(self.endpoint)}"
        for key, patterns in (("include", self.include), ("exclude", self.exclude)):
            if patterns:
                yield f"{key} = {one_a_line(patterns)}"
        for file in self.files:
            yield from table_lines("model.file", file)


def _file(fields: Fields, repository: str) -> ModelFile:
    def path(text: str) -> str:
        artifact_path(bundle_path(repository, text))
        return text

    return fields.fill(ModelFile, path=fields.checked("path", path))


@dataclass(frozen=True)
class ModelLock(LockFile):
    """The contents of ``NAME.models.toml``."""

    KIND: ClassVar[Kind] = MODEL
    TITLE: ClassVar[str] = MODEL.directory
    FORMAT: ClassVar[str] = "mirror-models/1"
    ENDING: ClassVar[str] = "models.toml"
    TABLE: ClassVar[str] = "model"
    NAMED_BY: ClassVar[str] = "repository"

    locked: int
    pins: tuple[ModelPin, ...]

    @classmethod
    def pin(cls, fields: Fields) -> ModelPin:
        return ModelPin.from_fields(fields)

    def pin_lines(self, pin: ModelPin) -> Iterator[str]:
        return pin.lines()

    @property
    def count(self) -> int:
        return sum(len(pin.files) for pin in self.pins)

    @property
    def versions(self) -> Mapping[str, str]:
        return {pin.repository: pin.revision for pin in self.pins}

    def downloads(self) -> tuple[Download, ...]:
        """What to fetch, in order; from the hub that ``HF_ENDPOINT`` names, where that stands in for huggingface.co."""
        return tuple(pin.download(file) for pin in self.pins for file in pin.files)

    def _differences(self, wishes: Sequence[ModelWish], target: Target) -> Iterator[str]:
        pins = {pin.repository: pin for pin in self.pins}
        yield from moved([wish.repository for wish in wishes], list(pins))
        for wish in wishes:
            pin = pins.get(wish.repository)
            for what in ("revision", "endpoint", "include", "exclude") if pin else ():
                wanted, locked = getattr(wish, what), getattr(pin, what)
                if wanted != locked:
                    yield f"the stack wants {wish.repository} with {what} {_said(wanted)}, the lock has {_said(locked)}"


def lock_models(
    wishes: Sequence[ModelWish],
    waivers: Iterable[ProjectWaiver],
    *,
    now: int,
    patience: Patience = PATIENCE,
    progress: Progress = SILENT,
) -> ModelLock:
    """Pin the files of the models that a stack wants.

    Args:
        waivers: of the stack; those of the rule ``pickle`` count.
        now: the time of locking, in seconds since 1970 UTC.

    Raises:
        ModelUnavailable: see ``HubRepository``. ModelRefused: see ``select``.
        MirrorError: as ``HubRepository`` does.
    """
    known = tuple(waivers)
    return ModelLock(now, tuple(_pin(wish, known, patience, progress) for wish in wishes))


def _pin(wish: ModelWish, waivers: Iterable[ProjectWaiver], patience: Patience, progress: Progress) -> ModelPin:
    hub = hub_of(wish.endpoint)
    progress.say(f"asking {hub} for {wish.repository}")
    with HubRepository(hub, wish.repository, wish.revision, patience) as repository:
        chosen = select(wish, repository.files(), waivers)
        with Crew(_JOBS) as crew:
            digests = list(crew.map(repository.sha256, chosen))
    files = tuple(ModelFile(one.path, one.size, digest) for one, digest in zip(chosen, digests, strict=True))
    return ModelPin(wish.repository, wish.revision, wish.endpoint, wish.include, wish.exclude, files)


def _said(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else f"[{', '.join(value)}]"

"""Models into a generation, as a cache of the hub's own library.

``models/models--ORG--NAME/`` holds ``blobs/<sha256>``, ``snapshots/<revision>/PATH`` (links to blobs) and ``refs/main`` (the
revision). With ``HF_HUB_CACHE=<generation>/models`` and ``HF_HUB_OFFLINE=1`` whatever loads models by name finds them, by
revision or without one; by path they are at ``snapshots/<revision>``.

Rules: the repository and the revision are those of the signed manifest; two files with the same bytes are one blob, as in the
library's own caches; links are relative and stay within the repository's directory.

Example::

    for model in models_of(manifest): ...
    install_models(bundle, generation.path, progress)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.kinds.copying import copy_artifact
from mirror.closed.kinds.destination import Destination
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.bundle.reader import Bundle
from mirror.core.errors import InvalidDocument
from mirror.core.kinds import MODEL
from mirror.core.kinds.model import bundle_path, cache_folder, repository_name, revision_hex, snapshot_folder
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.system.durable import write_file


@dataclass(frozen=True)
class Model:
    """One repository at one revision.

    Attributes:
        repository: ``"org/name"``.
        revision: the commit's 40 hex digits.
        files: its artifacts, in the bundle's order.
    """

    repository: str
    revision: str
    files: tuple[Artifact, ...]

    @property
    def blobs(self) -> dict[Sha256Hex, Artifact]:
        """One artifact for each content."""
        return {artifact.sha256: artifact for artifact in self.files}

    def path_of(self, artifact: Artifact) -> str:
        """A file's path in the repository."""
        return artifact.path[len(bundle_path(self.repository, "")) :]


def models_of(manifest: Manifest) -> tuple[Model, ...]:
    """The models of a bundle, in order; to be asked before anything is written.

    Raises:
        InvalidDocument: when a file's place is not its repository's, or one repository has two revisions.
    """
    files: dict[str, list[Artifact]] = {}
    revisions: dict[str, str] = {}
    for index, artifact in enumerate(manifest.artifacts):
        if artifact.kind is not MODEL:
            continue
        where = f"artifacts[{index}]"
        try:
            repository, revision = repository_name(artifact.name), revision_hex(artifact.version)
        except ValueError as exc:
            raise InvalidDocument("Manifest", where, str(exc)) from exc
        if not artifact.path.startswith(bundle_path(repository, "")):
            problem = f"expected a path that begins with {bundle_path(repository, '')!r}, got {artifact.path!r}"
            raise InvalidDocument("Manifest", f"{where}.path", problem)
        if revisions.setdefault(repository, revision) != revision:
            problem = f"{repository} is at {revisions[repository]} and at {revision}: a bundle carries one revision"
            raise InvalidDocument("Manifest", f"{where}.version", problem)
        files.setdefault(repository, []).append(artifact)
    return tuple(Model(repository, revisions[repository], tuple(found)) for repository, found in files.items())


def install_models(bundle: Bundle, generation: Path, progress: Progress = SILENT) -> None:
    """Lay out the models of a verified bundle below a generation.

    Raises:
        InvalidDocument: see ``models_of``.
        DigestMismatch: when the bundle has changed since it was verified.
        Unreadable: when it cannot be read.
        Unwritable, OSError: when the disk refuses.
    """
    models = models_of(bundle.manifest)
    if models:
        total = sum(artifact.size for model in models for artifact in model.blobs.values())
        with progress.task("models", total) as advance:
            for model in models:
                _install(bundle, model, generation, advance)


def _install(bundle: Bundle, model: Model, generation: Path, advance: Advance) -> None:
    folder = generation / cache_folder(model.repository)
    snapshot = generation / snapshot_folder(model.repository, model.revision)
    for digest, artifact in model.blobs.items():
        copy_artifact(bundle, artifact, folder / "blobs" / digest, advance)
    for artifact in model.files:
        link = snapshot / model.path_of(artifact)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(folder / "blobs" / artifact.sha256, link.parent))
    refs = folder / "refs"
    refs.mkdir()
    write_file(refs / "main", model.revision.encode("ascii"))


def install(destination: Destination) -> None:
    """Raises as ``install_models``."""
    install_models(destination.bundle, destination.generation.path, destination.progress)

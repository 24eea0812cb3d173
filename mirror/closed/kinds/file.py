"""Files into a generation: each under ``files/``, where the manifest says, as it is.

Which variables name them is in the manifest too (``Manifest.environment``).

Example::

    install_files(bundle, generation.path, progress)
"""

from __future__ import annotations

from pathlib import Path

from mirror.closed.kinds.copying import copy_artifact
from mirror.closed.kinds.destination import Destination
from mirror.core.bundle.reader import Bundle
from mirror.core.kinds import FILE
from mirror.core.progress import SILENT, Progress


def install_files(bundle: Bundle, generation: Path, progress: Progress = SILENT) -> None:
    """Copy the files of a verified bundle below a generation.

    Raises:
        DigestMismatch: when the bundle has changed since it was verified.
        Unreadable: when it cannot be read.
        OSError: when the disk refuses.
    """
    files = bundle.manifest.of(FILE)
    if files:
        with progress.task("files", sum(artifact.size for artifact in files)) as advance:
            for artifact in files:
                copy_artifact(bundle, artifact, generation / artifact.path, advance)


def install(destination: Destination) -> None:
    """Raises as ``install_files``."""
    install_files(destination.bundle, destination.generation.path, destination.progress)

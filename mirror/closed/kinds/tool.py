"""Tools, installed: ``mirror`` on the path, of the ``mirror.pyz`` that was signed with the rest."""

from __future__ import annotations

import sys
from pathlib import Path

from mirror.closed.environment.launcher import write_launcher
from mirror.closed.kinds.destination import Destination
from mirror.core.kinds.tool import MIRROR


def install(destination: Destination) -> None:
    """uv and pip are used while installing, and not kept."""
    carried = destination.manifest.find(MIRROR)
    if carried is None:
        return
    directory = destination.generation.launcher.parent
    directory.mkdir()
    destination.copy(carried).replace(directory / "mirror.pyz")
    pythons = [Path(sys.executable), *([destination.interpreter.path] if destination.interpreter else [])]
    write_launcher(destination.generation, pythons, destination.generation.path.parents[1])

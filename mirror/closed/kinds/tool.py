"""Tools, installed: ``mirror`` on the path, of the ``mirror.pyz`` that was signed with the rest."""

from __future__ import annotations

import sys
from pathlib import Path

from mirror.closed.environment.launcher import write_launcher
from mirror.closed.kinds.site import Site
from mirror.core.kinds.tool import MIRROR


def install(site: Site) -> None:
    """uv and pip are used while installing, and not kept."""
    carried = site.manifest.find(MIRROR)
    if carried is None:
        return
    directory = site.generation.launcher.parent
    directory.mkdir()
    site.copy(carried).replace(directory / "mirror.pyz")
    pythons = [Path(sys.executable), *([site.interpreter.path] if site.interpreter else [])]
    write_launcher(site.generation, pythons, site.generation.path.parents[1])

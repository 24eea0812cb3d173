"""The interpreter, installed: the host's own, or the one that the bundle carries."""

from __future__ import annotations

from mirror.closed.kinds.site import Site
from mirror.closed.preflight import unpacked_limit
from mirror.closed.venv.interpreter import unpack_interpreter
from mirror.core.kinds import INTERPRETER


def install(site: Site) -> None:
    """Nothing for a bundle of data alone. Raises as ``unpack_interpreter``."""
    if site.manifest.is_data:
        return
    site.interpreter = site.plan.interpreter
    carried = site.manifest.of(INTERPRETER)
    if site.interpreter or not carried:
        return
    artifact = carried[0]
    site.progress.say(f"unpacking Python from {artifact.filename}")
    archive = site.copy(artifact)
    target, limit = site.manifest.target, unpacked_limit(artifact)
    site.interpreter = unpack_interpreter(archive, site.generation.python, target, limit)
    archive.unlink()

"""The interpreter, installed: the host's own, or the one that the bundle carries."""

from __future__ import annotations

from mirror.closed.kinds.destination import Destination
from mirror.closed.venv.interpreter import unpack_interpreter
from mirror.core.kinds import INTERPRETER


def install(destination: Destination) -> None:
    """Nothing for a bundle of data alone. Raises as ``unpack_interpreter``."""
    if destination.manifest.is_data:
        return
    destination.interpreter = destination.plan.interpreter
    carried = destination.manifest.of(INTERPRETER)
    if destination.interpreter or not carried:
        return
    artifact = carried[0]
    destination.progress.say(f"unpacking Python from {artifact.filename}")
    archive = destination.copy(artifact)
    target, place = destination.manifest.target, destination.generation.python
    destination.interpreter = unpack_interpreter(archive, place, target, artifact.unpacked_limit)
    archive.unlink()

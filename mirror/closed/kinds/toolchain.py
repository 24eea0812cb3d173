"""The CUDA toolchain, installed: RPMs or component archives, whichever the bundle carries, as one tree."""

from __future__ import annotations

from mirror.closed.kinds.destination import Destination
from mirror.closed.prefix.toolchainrecord import ToolchainRecord
from mirror.closed.toolkit import zstd
from mirror.closed.toolkit.unpacking import dangling_notes, unpack_toolkit
from mirror.core.kinds import TOOL


def install(destination: Destination) -> None:
    """Raises as ``unpack_toolkit``."""
    if not destination.manifest.carries_toolchain:
        return
    assert destination.interpreter is not None, "whoever carries a toolchain carries wheels: the probe at least"
    wheel = next((destination.copy(tool) for tool in destination.manifest.of(TOOL) if tool.name == zstd.PROJECT), None)
    finder = zstd.ZstdFinder(destination.interpreter.path, wheel, destination.work)
    toolkit = unpack_toolkit(
        destination.bundle, destination.generation.cuda, destination.jobs, destination.progress, finder
    )
    for note in dangling_notes(toolkit.dangling):
        destination.progress.say(f"note: {note}")
    destination.toolchain = ToolchainRecord(**vars(toolkit))

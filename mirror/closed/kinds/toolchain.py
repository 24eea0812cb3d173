"""The CUDA toolchain, installed: RPMs or component archives, whichever the bundle carries, as one tree."""

from __future__ import annotations

from mirror.closed.kinds.site import Site
from mirror.closed.prefix.toolchainrecord import ToolchainRecord
from mirror.closed.toolkit import zstd
from mirror.closed.toolkit.unpacking import dangling_notes, unpack_toolkit
from mirror.core.kinds import TOOL


def install(site: Site) -> None:
    """Raises as ``unpack_toolkit``."""
    if not site.manifest.carries_toolchain:
        return
    assert site.interpreter is not None, "whoever carries a toolchain carries wheels: the probe at least"
    wheel = next((site.copy(tool) for tool in site.manifest.of(TOOL) if tool.name == zstd.PROJECT), None)
    finder = zstd.ZstdFinder(site.interpreter.path, wheel, site.work)
    toolkit = unpack_toolkit(site.bundle, site.generation.cuda, site.jobs, site.progress, finder)
    for note in dangling_notes(toolkit.dangling):
        site.progress.say(f"note: {note}")
    site.toolchain = ToolchainRecord.of(toolkit)

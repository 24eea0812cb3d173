"""Tools, on the connected side: uv, pip and a zstd decompressor, pinned in ``tools.txt``; ``mirror.pyz`` is made here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files

from packageurl import PackageURL

from mirror import __version__
from mirror.connected.contents.inspection import Task
from mirror.connected.kinds.facet import Facet, Gathered, Planned, Wanted, generic
from mirror.connected.kinds.rpm import Rpms
from mirror.connected.kinds.wheel import project_purl
from mirror.connected.pins.requirements import parse_lock
from mirror.connected.planning.pinned_files import find_files
from mirror.connected.planning.plan import Part
from mirror.connected.stack.stack import Stack
from mirror.core.bundle.manifest import Artifact
from mirror.core.kinds import TOOL

_FOR_RPMS = frozenset({"backports-zstd"})
"""Tools that only RPMs need: their payloads may be compressed with zstd, which Python reads from 3.14 on."""


class Tools(Facet):
    KIND = TOOL

    def plan(self, wanted: Wanted) -> Planned:
        """Raises as ``find_files``."""
        if not wanted.locks.python.pins:
            return Planned()  # nothing is to be installed by them
        own = files("mirror.connected") / "tools.txt"
        tools = wanted.wishes.tools or parse_lock(own.read_bytes(), "tools.txt")
        if not Rpms().plan(wanted).parts:
            tools = replace(tools, pins=tuple(pin for pin in tools.pins if pin.name not in _FOR_RPMS))
        shared = {name: url for name, url in wanted.stack.indexes.items() if name == "default"}
        stack = Stack("tools", wanted.locks.target, (), indexes=shared)
        return Planned(find_files(tools, stack, wanted.store, wanted.progress, self.KIND, "tools.txt"))

    def tasks(self, gathered: Gathered) -> Iterable[Task]:
        """Of the wheels among them; ``mirror.pyz`` is no file but made."""
        return (Task.of_wheel(one.path, source, one.sha256) for one, source in gathered.files(self.KIND))

    def purl(self, artifact: Artifact, part: Part | None, stack: Stack | None) -> PackageURL:
        if part is None:
            return generic(artifact, __version__)
        return project_purl(artifact.name, artifact.version, stack, part.download.filename)

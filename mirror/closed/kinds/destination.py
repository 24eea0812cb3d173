"""A generation in the making, as the kinds of artifacts fill it, each in its turn.

Rules: the bundle's bytes are checked again where they are used, for the file may have changed since it was verified; all that
is temporary lies in ``work``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirror.closed.host.machine import Host
from mirror.closed.kinds.copying import copy_artifact
from mirror.closed.prefix.generations import Generation
from mirror.closed.prefix.toolchainrecord import ToolchainRecord
from mirror.closed.preflight import Plan
from mirror.closed.venv.interpreter import Interpreter
from mirror.core.bundle import dossier
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.bundle.reader import Bundle
from mirror.core.names import project_name
from mirror.core.progress import SILENT, Progress


@dataclass
class Destination:
    """One generation, and what has come of it so far.

    Attributes:
        bundle: verified.
        generation: its directory is there and is ours.
        plan: what preflight decided.
        host: this machine.
        lock: the descriptor of the prefix's lock.
        jobs: how much to do at once; 0 for as much as the machine has processors.
        interpreter: what the venv is made from, once it is there; None for a bundle without wheels.
        installer: what installed the wheels, ``"uv"`` or ``"pip"``; empty when nothing did.
        toolchain: what was unpacked of the CUDA toolchain; None without one.
    """

    bundle: Bundle
    generation: Generation
    plan: Plan
    host: Host
    lock: int
    jobs: int = 0
    progress: Progress = SILENT
    interpreter: Interpreter | None = None
    installer: str = ""
    toolchain: ToolchainRecord | None = None

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest

    @property
    def work(self) -> Path:
        """For what is gone when the generation is complete."""
        return self.generation.path / ".work"

    def waived(self, rule: str) -> tuple[str, ...]:
        """The projects of which somebody accepted what a rule of vetting finds, by the signed dossier."""
        carried = self.manifest.find(dossier.PATH)
        facts = dossier.Dossier.parse(self.bundle.read(carried)).files if carried else ()
        paths = {one.path for one in facts if any(waiver.rule == rule for waiver in one.waivers)}
        return tuple(project_name(wheel.name) for wheel in self.manifest.wheels if wheel.path in paths)

    def copy(self, artifact: Artifact) -> Path:
        """Copy an artifact into the work directory. Raises as ``copy_artifact``."""
        return copy_artifact(self.bundle, artifact, self.work / artifact.path)

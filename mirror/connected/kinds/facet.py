"""What the connected side does with a kind of artifact: plan it, say what the closed side must know of it, read it through,
name it to the world. Each kind's module does these for its own; whoever needs all of them loops over the registry.

How a kind is wished for is in ``mirror.connected.stack``, how it is pinned in the packages that lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from packageurl import PackageURL
from requests import Session

from mirror.connected.contents.inspection import Task
from mirror.connected.fetching.download import Download
from mirror.connected.fetching.store import Store
from mirror.connected.packing.assembly import Assembly
from mirror.connected.planning.locks import Locks
from mirror.connected.planning.plan import Build, Part, Plan
from mirror.connected.planning.wishes import Wishes
from mirror.connected.stack.file import Stack
from mirror.core.bundle.manifest import Artifact
from mirror.core.kinds import Kind
from mirror.core.names import Sha256Hex
from mirror.core.progress import Progress
from mirror.core.vetting.rules import Finding

WEB = ("https://", "http://")


@dataclass(frozen=True)
class Wanted:
    """What a kind plans from.

    Attributes:
        locks: complete.
        stack: the wishes; those that a lock made elsewhere amounts to, when there is no ``NAME.toml``.
        wishes: which bundle is wanted.
        store: what is here, and what was found before.
        progress: who listens.
    """

    locks: Locks
    stack: Stack
    wishes: Wishes
    store: Store
    progress: Progress


@dataclass(frozen=True)
class Planned:
    """What a kind brings to a plan.

    Attributes:
        parts: files that go in as they are.
        builds: wheels to be built.
        needed: files that only the builds need.
        environment: variables that name something installed: each name, and a path below the generation.
    """

    parts: tuple[Part, ...] = ()
    builds: tuple[Build, ...] = ()
    needed: tuple[Download, ...] = ()
    environment: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Gathered:
    """A bundle whose files are there, and not yet what mirror says of them.

    Attributes:
        plan, locks: what it was gathered by.
        paths: each fetched file by its digest.
        assembly: the members.
    """

    plan: Plan
    locks: Locks
    paths: Mapping[Sha256Hex, Path]
    assembly: Assembly

    def files(self, kind: Kind) -> tuple[tuple[Artifact, Path], ...]:
        """The artifacts of a kind that are files here, each with its file."""
        sources = self.assembly.sources
        return tuple((one, source) for one in self.assembly.of(kind) if isinstance(source := sources[one.path], Path))


class Facet(Protocol):
    """One kind's module."""

    KIND: Kind

    def plan(self, wanted: Wanted) -> Planned:
        """The files of this kind that the bundle takes. Nothing is fetched."""

    def session(self, connections: int) -> Session | None:
        """What its files are fetched with; None where any session will do."""

    def sizes(self, plan: Plan, paths: Mapping[Sha256Hex, Path]) -> Mapping[Sha256Hex, int]:
        """Bytes once installed, by digest, of the parts whose files alone can tell, and are not read through."""

    def papers(self, gathered: Gathered) -> Mapping[str, bytes]:
        """Documents of ``meta/`` that the closed side installs this kind by."""

    def tasks(self, gathered: Gathered) -> Iterable[Task]:
        """How each file is read through."""

    def findings(self, gathered: Gathered) -> Iterable[Finding]:
        """What of its files breaks a rule, besides what every wheel is vetted for."""

    def purl(self, artifact: Artifact, part: Part | None, stack: Stack | None) -> PackageURL:
        """What the world calls it; ``part`` is what it was planned as, unless it was built or made here."""


def generic(artifact: Artifact, version: str = "") -> PackageURL:
    """The purl of what was published nowhere, or by its address alone."""
    address = {"download_url": artifact.origin} if artifact.origin.startswith(WEB) else {}
    return PackageURL("generic", None, artifact.name, artifact.version or version, address)


def no_session(connections: int) -> Session | None:
    """For kinds that ask no server for anything but files."""
    return None


def no_papers(gathered: Gathered) -> Mapping[str, bytes]:
    """For kinds of which the manifest says all."""
    return {}


def no_findings(gathered: Gathered) -> Iterable[Finding]:
    """For kinds that are vetted as wheels are, or judged when they are read."""
    return ()


def no_sizes(plan: Plan, paths: Mapping[Sha256Hex, Path]) -> Mapping[Sha256Hex, int]:
    """For kinds whose sizes are in the lock, or are found when a file is read through."""
    return {}


def paths_of(plan: Plan, kind: Kind, paths: Mapping[Sha256Hex, Path]) -> Sequence[tuple[Part, Path]]:
    """The parts of a kind, each with its file."""
    return [(part, paths[part.download.sha256]) for part in plan.of(kind)]

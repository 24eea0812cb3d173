"""What the connected side does with a kind of artifact: plan it, say what the closed side must know of it, read it through,
name it to the world. Each kind has a class for its own; whoever needs all of them loops over the registry.

How a kind is wished for is in ``mirror.connected.stack``, how it is pinned in the packages that lock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from packageurl import PackageURL
from requests import Session

from mirror.connected.contents.inspection import Task
from mirror.connected.fetching.download import Download
from mirror.connected.fetching.store import Store
from mirror.connected.packing.assembly import Assembly
from mirror.connected.planning.locks import Locks
from mirror.connected.planning.plan import Build, Part, Plan
from mirror.connected.planning.wishes import Wishes
from mirror.connected.stack.stack import Stack
from mirror.core.bundle.manifest import Artifact
from mirror.core.kinds import Kind
from mirror.core.names import Sha256Hex
from mirror.core.progress import Progress
from mirror.core.target import Target
from mirror.core.vetting.rules import Finding

WEB = ("https://", "http://")


@dataclass(frozen=True)
class Wanted:
    """What a kind plans from.

    Attributes:
        locks: complete.
        stack: the wishes; those that a lock made elsewhere amounts to, when there is no ``NAME.toml``.
        store: what is here, and what was found before.
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
        paths: each fetched file by its digest.
    """

    plan: Plan
    locks: Locks
    paths: Mapping[Sha256Hex, Path]
    assembly: Assembly

    def files(self, kind: Kind) -> tuple[tuple[Artifact, Path], ...]:
        """The artifacts of a kind that are files here, each with its file."""
        sources = self.assembly.sources
        return tuple((one, source) for one in self.assembly.of(kind) if isinstance(source := sources[one.path], Path))


class Facet(ABC):
    """What is done with one kind; a kind's own class says what is not as here."""

    KIND: ClassVar[Kind]

    @abstractmethod
    def plan(self, wanted: Wanted) -> Planned:
        """The files of this kind that the bundle takes. Nothing is fetched."""

    @abstractmethod
    def tasks(self, gathered: Gathered) -> Iterable[Task]:
        """How each file is read through."""

    def session(self, connections: int) -> Session | None:
        """What its files are fetched with; None where any session will do."""
        return None

    def unpacked_size(self, part: Part, path: Path, target: Target) -> int:
        """Bytes once installed, of a part whose file alone can tell; 0 where its lock does, or it is read through anyway."""
        return 0

    def papers(self, gathered: Gathered) -> Mapping[str, bytes]:
        """Documents of ``meta/`` that the closed side installs this kind by, where the manifest does not say all."""
        return {}

    def findings(self, gathered: Gathered) -> Iterable[Finding]:
        """What of its files breaks a rule, besides what every wheel is vetted for."""
        return ()

    def purl(self, artifact: Artifact, part: Part | None, stack: Stack | None) -> PackageURL:
        """What the world calls it, so that scanners and advisories can find it (https://github.com/package-url/purl-spec): what
        was published nowhere, or by its address alone, is ``pkg:generic``; the purl type's default index needs no word.

        Args:
            part: what it was planned as; None for what was built or made here.
            stack: says which projects come from an index of their own; None for a lock made elsewhere.
        """
        return generic(artifact)


def generic(artifact: Artifact, version: str = "") -> PackageURL:
    """The purl of what was published nowhere, or by its address alone."""
    address = {"download_url": artifact.origin} if artifact.origin.startswith(WEB) else {}
    return PackageURL("generic", None, artifact.name, artifact.version or version, address)

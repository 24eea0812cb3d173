"""Assembly: from files that are here to a manifest, in the bundle's order, and the bytes behind each member.

It decides what goes in and under which path; ``mirror.core.bundle.writer`` writes the tar,
``mirror.connected.packing.meta`` the texts of ``meta/``.

Rules: nothing of this machine goes in (no path, no time, no user), so that equal locks give equal bytes; each project is
there once; wheels that were built here say so.

Example::

    assembly = Assembly(plan)
    assembly.add_file("wheels/a-1-py3-none-any.whl", path, digest, name="a", version="1", origin=url)
    manifest = assembly.manifest(roots, imports)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from mirror import __version__
from mirror.connected.packing import meta
from mirror.connected.planning.plan import Plan, UnusableName
from mirror.core.bundle.manifest import Artifact, Manifest, artifact_path
from mirror.core.bundle.signaturearea import SUMS
from mirror.core.bundle.writer import Source
from mirror.core.kinds import DIRECTORIES, KINDS, Kind
from mirror.core.names import Sha256Hex
from mirror.core.trust.chain import Documents, fingerprint


class Assembly:
    """Members being gathered.

    Attributes:
        sources: the bytes of each artifact by its path.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._artifacts: dict[str, Artifact] = {}
        self.sources: dict[str, Source] = {}

    def add_file(
        self,
        path: str,
        source: Path,
        sha256: Sha256Hex,
        *,
        name: str,
        version: str,
        origin: str,
        unpacked_size: int = 0,
    ) -> Artifact:
        """Take in a file whose digest is known."""
        artifact = Artifact(path, source.stat().st_size, sha256, name, version, origin, unpacked_size)
        return self._add(artifact, source)

    def add_bytes(self, path: str, data: bytes) -> Artifact:
        """Take in a text of mirror's own."""
        digest = Sha256Hex(hashlib.sha256(data).hexdigest())
        return self._add(Artifact(path, len(data), digest, path.split("/")[1]), data)

    def measured(self, sizes: Mapping[str, int]) -> None:
        """Say how many bytes files have once installed, by path, where that was found in the files themselves."""
        for path, size in sizes.items():
            self._artifacts[path] = replace(self._artifacts[path], unpacked_size=size)

    def _add(self, artifact: Artifact, source: Source) -> Artifact:
        try:
            artifact_path(artifact.path)
        except ValueError as exc:
            raise UnusableName(artifact.filename, str(exc)) from exc
        if artifact.path in self._artifacts:
            raise UnusableName(artifact.filename, "another file has that name")
        self._artifacts[artifact.path] = artifact
        self.sources[artifact.path] = source
        return artifact

    def within(self, directory: str) -> tuple[Artifact, ...]:
        """What was taken in for one directory, sorted by file name."""
        chosen = (artifact for artifact in self._artifacts.values() if artifact.directory == directory)
        return tuple(sorted(chosen, key=lambda artifact: artifact.filename))

    def of(self, kind: Kind) -> tuple[Artifact, ...]:
        return self.within(kind.directory)

    def wheels(self) -> tuple[Artifact, ...]:
        """Every wheel that was taken in, those of ``tool/`` included."""
        return tuple(one for one in self.carried() if one.is_wheel)

    def carried(self) -> tuple[Artifact, ...]:
        """What was taken in outside ``meta/``, in the bundle's order."""
        return tuple(artifact for kind in KINDS for artifact in self.of(kind))

    def manifest(
        self,
        roots: Documents,
        imports: tuple[str, ...],
        host_packages: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    ) -> Manifest:
        """Add the checksums and make the manifest.

        Args:
            roots: the root chain that travels with it.
            imports: modules that must import on the closed side.
            host_packages: projects that the host's Python brings, and who needs which versions of them.

        Raises:
            InvalidDocument: when two names differ in nothing but case.
        """
        members = [artifact for directory in DIRECTORIES for artifact in self.within(directory)]
        self.add_bytes(SUMS, meta.sha256sums(members, roots))
        manifest = Manifest(
            name=self._plan.name,
            sequence=self._plan.sequence,
            target=self._plan.target,
            artifacts=tuple(artifact for directory in DIRECTORIES for artifact in self.within(directory)),
            roots=tuple(fingerprint(document) for document, _ in roots),
            imports=imports,
            tool=__version__,
            environment=self._plan.environment,
            host_packages=tuple((name, tuple(sorted(needs.items()))) for name, needs in sorted(host_packages.items())),
        )
        manifest.check()
        return manifest

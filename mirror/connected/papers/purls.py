"""Package URLs: what the world calls each file of a bundle, so that scanners and advisories can find it.

Rules (https://github.com/package-url/purl-spec): a purl names what a publisher published: a wheel or an RPM as it is, and of a
wheel that was built here its project and version without a file's name, because nobody published that file. What was published
nowhere, or by its address alone, is ``pkg:generic``. An index is named only where the stack names one of its own for that
project; the purl type's default needs no word, and is in no code of ours.

Example::

    Purls(plan, stack).of(artifact).to_string()      # "pkg:pypi/torch@2.11.0?file_name=torch-2.11.0-...whl"
"""

from __future__ import annotations

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from mirror import __version__
from mirror.connected.fetching.download import Download
from mirror.connected.planning.plan import Build, Plan
from mirror.connected.stack.file import Stack
from mirror.core.bundle.manifest import BUILT, Artifact
from mirror.core.kinds import RPM

WEB = ("https://", "http://")


class Purls:
    """The purls of one bundle.

    Args:
        plan: what the bundle takes, and what is built for it.
        stack: says which projects come from an index of their own; None for a lock made elsewhere.
    """

    def __init__(self, plan: Plan, stack: Stack | None) -> None:
        self._stack = stack
        self._parts = {part.download.sha256: part for part in plan.parts}
        self._builds: dict[str, Build] = {build.name: build for build in plan.builds}

    def of(self, artifact: Artifact) -> PackageURL:
        """The purl of an artifact outside ``meta/``."""
        part = self._parts.get(artifact.sha256)
        if artifact.kind is RPM:
            return _rpm(artifact, part.nevra if part else "")
        if artifact.filename.endswith(".whl"):
            build = self._builds.get(artifact.name) if artifact.origin == BUILT else None
            if build is None:
                # Its name in the bundle may be a shorter one.
                return self._project(
                    artifact.name, artifact.version, part.download.filename if part else artifact.filename
                )
            if build.sdist is not None:
                return self._project(build.name, build.version)
        address = {"download_url": artifact.origin} if artifact.origin.startswith(WEB) else {}
        return PackageURL("generic", None, artifact.name, artifact.version or __version__, address)

    def source(self, build: Build, sdist: Download | None) -> PackageURL:
        """The purl of what a wheel was built from."""
        if sdist is None:
            return PackageURL("generic", None, build.name, build.version)
        return self._project(build.name, build.version, sdist.filename)

    def _project(self, name: str, version: str, filename: str = "") -> PackageURL:
        project = canonicalize_name(name)
        index = self._stack.index_of(project) if self._stack else None  # type: ignore[arg-type]  # it is normalised
        qualifiers = {"file_name": filename, "repository_url": index or ""}
        return PackageURL("pypi", None, project, version, {key: value for key, value in qualifiers.items() if value})


def _rpm(artifact: Artifact, nevra: str) -> PackageURL:
    """Without a namespace: it would be the distribution's, and CUDA's packages are in none."""
    version, _, arch = nevra.removeprefix(f"{artifact.name}-").rpartition(".")
    epoch = version.rpartition(":")[0]
    qualifiers = {"arch": arch, "epoch": epoch}
    return PackageURL(
        "rpm", None, artifact.name, artifact.version, {key: value for key, value in qualifiers.items() if value}
    )

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

from mirror.connected.fetching.download import Download
from mirror.connected.kinds import facet_of
from mirror.connected.kinds.wheel import project_purl
from mirror.connected.planning.plan import Build, Plan
from mirror.connected.stack.stack import Stack
from mirror.core.bundle.manifest import Artifact


class Purls:
    """The purls of one bundle.

    Args:
        plan: what the bundle takes, and what is built for it.
        stack: says which projects come from an index of their own; None for a lock made elsewhere.
    """

    def __init__(self, plan: Plan, stack: Stack | None) -> None:
        self._stack = stack
        self._parts = {part.download.sha256: part for part in plan.parts}

    def of(self, artifact: Artifact) -> PackageURL:
        """The purl of an artifact outside ``meta/``."""
        assert artifact.kind, "it is none of meta/"
        return facet_of(artifact.kind).purl(artifact, self._parts.get(artifact.sha256), self._stack)

    def source(self, build: Build, sdist: Download | None) -> PackageURL:
        """The purl of what a wheel was built from."""
        if sdist is None:
            return PackageURL("generic", None, build.name, build.version)
        return project_purl(build.name, build.version, self._stack, sdist.filename)

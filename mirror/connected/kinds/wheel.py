"""Wheels, on the connected side: the one file of each pin, or the build that makes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from mirror.connected.contents.inspection import Task
from mirror.connected.fetching.download import redacted
from mirror.connected.kinds.facet import WEB, Facet, Gathered, Planned, Wanted, generic
from mirror.connected.packing import meta
from mirror.connected.planning.pinned_files import find_files
from mirror.connected.planning.plan import Build, Part
from mirror.connected.stack.stack import Stack
from mirror.core.bundle.manifest import BUILT, Artifact
from mirror.core.kinds import WHEEL
from mirror.core.names import project_name


class Wheels(Facet):
    KIND = WHEEL

    def plan(self, wanted: Wanted) -> Planned:
        """Raises as ``find_files``."""
        locks, stack = wanted.locks, wanted.stack
        without: set[str] = {canonicalize_name(name) for name in wanted.wishes.without}  # no name leaves nothing out
        python = replace(locks.python, pins=tuple(pin for pin in locks.python.pins if pin.name not in without))
        chosen = find_files(python, stack, wanted.store, wanted.progress, source=str(locks.path))
        built = tuple(part for part in chosen if stack.is_built(project_name(part.name)))
        builds = (
            Build(project_name(one.name), one.version, one.download, stack.settings_of(project_name(one.name)))
            for one in built
        )
        needed: tuple[Part, ...] = ()
        if built and locks.build:
            source = f"{locks.name}.build.txt"
            needed = find_files(locks.build, replace(stack, build=()), wanted.store, wanted.progress, source=source)
        parts = tuple(
            replace(part, is_optional=stack.is_optional(project_name(part.name)))
            for part in chosen
            if part not in built
        )
        return Planned(parts, tuple(builds), tuple(part.download for part in needed))

    def papers(self, gathered: Gathered) -> Mapping[str, bytes]:
        """What uv or pip are given."""
        return {"meta/install.txt": meta.install_txt(gathered.assembly.of(self.KIND))}

    def tasks(self, gathered: Gathered) -> Iterable[Task]:
        return (Task.of_wheel(one.path, source, one.sha256) for one, source in gathered.files(self.KIND))

    def purl(self, artifact: Artifact, part: Part | None, stack: Stack | None) -> PackageURL:
        """Of a wheel that was built here its project and version without a file's name, because nobody published that file."""
        if artifact.origin == BUILT:
            is_published = stack is None or stack.is_built(
                project_name(artifact.name)
            )  # the probe's source is mirror's own
            return project_purl(artifact.name, artifact.version, stack) if is_published else generic(artifact)
        # Its name in the bundle may be a shorter one.
        return project_purl(
            artifact.name, artifact.version, stack, part.download.filename if part else artifact.filename
        )


def project_purl(name: str, version: str, stack: Stack | None, filename: str = "") -> PackageURL:
    """The purl of a project's file. An index is named only where the stack names one of its own for the
    project, a file or an archive by its address."""
    project = project_name(name)
    index = stack.index_of(project) if stack else None
    own = stack.archive_of(project) if stack else None
    where = "download_url" if own or (stack and stack.is_single(project)) else "repository_url"
    qualifiers = {"file_name": filename, where: redacted(index or "")}
    if own:
        qualifiers = {where: own.tree.archive.url if own.tree.archive.url.startswith(WEB) else ""}
    return PackageURL("pypi", None, project, version, {key: value for key, value in qualifiers.items() if value})

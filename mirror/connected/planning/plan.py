"""The plan: which files the bundle will carry, which are here, which are to be fetched, and what is to be built.

A plan is a value: made from locks that are already resolved to files, shown by ``--dry-run``, carried out by
``mirror.connected.bundle``. It makes no request and writes nothing.

Rules: parts are in the bundle's order, wheels and RPMs sorted by file name, so that equal locks give equal plans; every
file has the digest that a lock names.

Example::

    plan.to_fetch(store)      # the downloads that are not here yet
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mirror.connected.fetching.download import Download
from mirror.connected.fetching.store import Store
from mirror.connected.stack.buildsettings import BuildSettings
from mirror.core.errors import MirrorError
from mirror.core.kinds import KINDS, Kind
from mirror.core.names import ProjectName
from mirror.core.target import Target


class UnusableName(MirrorError):
    """A file's name cannot stand in a bundle, or two files have one."""

    ref = "unusable-name"
    exit_code = 84
    hint = "Leave that project or package out of the stack, or take another version of it."
    message = "{filename} cannot go into a bundle: {problem}"

    filename: str
    problem: str


@dataclass(frozen=True)
class Part:
    """A file that goes into the bundle as it is.

    Attributes:
        kind: which kind of artifact it is.
        name: of the project, RPM or component.
        version: of the project or component; version-release of an RPM.
        download: where it comes from.
        unpacked_size: bytes once installed; 0 when only the file itself can tell (wheels, archives).
        nevra: of an RPM; empty otherwise.
        source: URL that the lock names for it, when it is fetched from a copy; empty when ``download`` is from there.
        place: where it goes below the kind's directory; its own file name when empty.
        uploaded: when it came to its index, in seconds since 1970 UTC; 0 when the index does not tell.
        is_optional: whether a bundle is made without it where it is not here and cannot be reached.
    """

    kind: Kind
    name: str
    version: str
    download: Download
    unpacked_size: int = 0
    nevra: str = ""
    source: str = ""
    uploaded: int = 0
    place: str = ""
    is_optional: bool = False

    @property
    def origin(self) -> str:
        """Where its bytes are from, the same whichever copy they were fetched from."""
        return self.source or self.download.shown_url


@dataclass(frozen=True)
class Build:
    """A wheel to be built for the target.

    Attributes:
        sdist: its source; None for the probe, whose source is part of mirror.
        settings: what its build needs beyond that.
    """

    name: ProjectName
    version: str
    sdist: Download | None
    settings: BuildSettings = field(default_factory=BuildSettings)


@dataclass(frozen=True)
class Plan:
    """What a bundle takes.

    Attributes:
        sequence: time of locking in seconds since 1970 UTC.
        parts: the files that go in as they are.
        build_requirements: wheels that the builds need; they do not go into the bundle.
        imports: modules that must import on the closed side; empty to find them in the wheels.
        environment: variables that name something installed: each name, and a path below the generation.
        notes: what a person should know before carrying the bundle across.
        remarks: what only this machine's user should know, of this run: where files came from, and what was locked just now. No
            word of them goes into the bundle.
    """

    name: str
    sequence: int
    target: Target
    parts: tuple[Part, ...]
    builds: tuple[Build, ...] = ()
    build_requirements: tuple[Download, ...] = ()
    imports: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """Notes and remarks."""
        return (*self.notes, *self.remarks)

    def __post_init__(self) -> None:
        ordered = sorted(self.parts, key=lambda part: (KINDS.index(part.kind), part.place or part.download.filename))
        object.__setattr__(self, "parts", tuple(ordered))

    def of(self, kind: Kind) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.kind is kind)

    @property
    def toolchain(self) -> tuple[Part, ...]:
        """The packages of the CUDA toolchain, whichever kind they are of."""
        return tuple(part for part in self.parts if part.kind.is_toolchain)

    def downloads(self) -> Iterator[Download]:
        """Every file that must be here before packing."""
        yield from (part.download for part in self.parts)
        yield from self.for_builds()

    def for_builds(self) -> Iterator[Download]:
        """The files that only the builds take."""
        yield from (build.sdist for build in self.builds if build.sdist)
        yield from (item for build in self.builds for item in build.settings.downloads())
        yield from self.build_requirements

    def to_fetch(self, store: Store) -> tuple[Download, ...]:
        """The files that are not here."""
        return tuple(item for item in self.downloads() if store.find(item.sha256, item.filename) is None)

    def to_dict(self, store: Store) -> dict[str, Any]:
        """The plan for people and machines: what is here, what is fetched, what is built. Sizes are bytes, None if unknown."""
        missing = {item.sha256 for item in self.to_fetch(store)}

        def line(item: Download) -> dict[str, Any]:
            path = store.find(item.sha256, item.filename)
            size = path.stat().st_size if path else item.likely_size
            return {"file": item.filename, "size": size, "from": item.shown_url, "sha256": item.sha256}

        lines = [line(item) for item in sorted(self.downloads(), key=lambda item: item.filename)]
        return {
            "name": self.name,
            "sequence": self.sequence,
            "target": self.target.to_dict(),
            "here": [item for item in lines if item["sha256"] not in missing],
            "fetch": [item for item in lines if item["sha256"] in missing],
            "build": [{"file": f"{build.name} {build.version}"} for build in self.builds],
            "notes": list(self.told),
        }

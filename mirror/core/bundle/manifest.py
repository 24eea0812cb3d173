"""The manifest: what a bundle holds, in order, and what it is for. Its bytes are what gets signed.

The tar is a function of the manifest (see ``mirror.core.bundle.layout``), so this is the whole truth about a bundle.
``mirror.core.trust.verdict`` decides who may sign it; ``mirror.core.bundle.reader`` reads it out of a file.

Rules: parsed only after its signature was checked; unknown keys and unknown format versions are refused; paths are
unique also when case is ignored; the order of ``artifacts`` is the order in the tar.

Example::

    manifest = Manifest.parse(data)
    for artifact in manifest.artifacts: ...
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from mirror.core.bundle.layout import MAX_OCTAL
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, by, canonical_json, strict_json, told
from mirror.core.kinds import DIRECTORIES, KINDS, META, Kind, kind_of
from mirror.core.kinds.tool import MIRROR
from mirror.core.names import Sha256Hex, project_name, stack_name
from mirror.core.target import Target
from mirror.core.wheels.versions import satisfies

FORMATS = tuple(f"mirror-bundle/{version}" for version in range(1, 1 + max(2, *(kind.version for kind in KINDS))))
"""The versions of the format, from 1 on. A bundle is of the lowest that can say what it holds, so that one without anything new
keeps its bytes and is read by installers that know no other. A new kind brings the next.

2 brought kinds whose files lie more than one directory deep, members of 8 GiB and more, and ``environment``.
"""
MAX_BYTES = 4 << 20
"""Largest manifest that is read (SECURITY.md T8)."""

BUILT, MADE = "built", "mirror"
"""Origins of what has no address: built here from source, or made by mirror itself."""

MAX_ARTIFACT_BYTES = 1 << 40
MAX_DEPTH = 8
"""Directories between a kind's own and a file."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!-]*", re.ASCII)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,62}", re.ASCII)
_TAKEN = re.compile(
    r"PATH|HOME|SHELL|IFS|ENV|BASH_ENV|CDPATH|CPATH|LIBRARY_PATH|LD_.*|PYTHON.*|VIRTUAL_ENV|CUDA_.*|MIRROR_.*"
)
"""What decides which programs and libraries run: no bundle may set it."""


def artifact_path(text: str) -> str:
    """Check a member's path: a known directory, and below it one plain file name, or several where the kind is nested.

    A name has at most 100 bytes, what is before the last one at most 155 (ustar's name and prefix fields).

    Raises:
        ValueError: otherwise.
    """
    directory, *names = text.split("/")
    nested = directory in DIRECTORIES and directory != META and kind_of(directory).is_nested
    if (
        directory not in DIRECTORIES
        or not 1 <= len(names) <= (1 + MAX_DEPTH if nested else 1)
        or not all(_NAME.fullmatch(name) and len(name) <= 100 and not name.endswith(".") for name in names)
        or len(text) - len(names[-1]) > 156
    ):
        raise ValueError(f"expected a path such as 'wheels/NAME.whl', got {text!r}")
    return text


def variable_name(text: str) -> str:
    """Check the name of an environment variable that a bundle may set.

    Raises:
        ValueError: for what is no name, and for those that decide which programs and libraries run.
    """
    if not _VARIABLE.fullmatch(text) or _TAKEN.fullmatch(text):
        raise ValueError(f"expected the name of a variable that no shell or loader goes by, got {text!r}")
    return text


@dataclass(frozen=True)
class Artifact:
    """One file of a bundle.

    Attributes:
        path: ``directory/filename`` in the tar.
        size: bytes.
        sha256: of those bytes.
        name: project, RPM or component name; the file's name for files of ``meta/``.
        version: of the project or component; version-release of an RPM; empty for files of ``meta/``.
        origin: URL without credentials that the bytes came from; ``"built"`` for what was built here; ``"mirror"`` for
            what mirror itself made.
        unpacked_size: bytes it takes once installed; 0 when it is not unpacked.
    """

    path: str = field(metadata=by(artifact_path))
    size: int
    sha256: Sha256Hex
    name: str
    version: str = ""
    origin: str = MADE
    unpacked_size: int = 0

    @property
    def directory(self) -> str:
        return self.path.split("/")[0]

    @property
    def kind(self) -> Kind | None:
        """None for files of ``meta/``."""
        return None if self.directory == META else kind_of(self.directory)

    @property
    def filename(self) -> str:
        """The path below the kind's directory."""
        return self.path.partition("/")[2]

    @property
    def is_wheel(self) -> bool:
        """Whether it is a wheel, of the stack or of the installer."""
        return self.kind is not None and self.kind.brings_wheels and self.filename.endswith(".whl")

    @property
    def is_project(self) -> bool:
        """Whether it is a wheel of the stack; the installer's own are none."""
        return self.kind is not None and self.kind.is_project

    @property
    def version_needed(self) -> int:
        """The version of the format that can hold it."""
        return max(2 if self.size > MAX_OCTAL else 1, self.kind.version if self.kind else 1)

    @property
    def unpacked_limit(self) -> int:
        """The most bytes that it may unpack to: its signed size, or a generous ratio when the manifest tells none."""
        return self.unpacked_size or self.size * 16

    @classmethod
    def from_fields(cls, fields: Fields) -> Artifact:
        artifact = fields.fill(cls)
        if artifact.size > MAX_ARTIFACT_BYTES:
            fields.fail("size", f"a tar member holds at most {MAX_ARTIFACT_BYTES} bytes, got {artifact.size}")
        return artifact

    def to_dict(self) -> dict[str, Any]:
        return told(self, "size")


@dataclass(frozen=True)
class Manifest:
    """What is signed.

    Attributes:
        name: the stack's name; it becomes a directory name.
        sequence: time of locking in seconds since 1970 UTC; a later lock has a greater one.
        target: the machine it is for.
        artifacts: every other member of the tar, in order.
        roots: fingerprints of the roots that travel with it, versions 1, 2, ...
        imports: modules that must import from the installed venv.
        tool: version of mirror that packed it.
        environment: variables that name something installed: each name, and a path below the generation.
        host_packages: projects that the host's Python is to bring: each with the carried projects that need it, and which
            versions will do for them (empty: any).
    """

    name: str = field(metadata=by(stack_name))
    sequence: int
    target: Target
    artifacts: tuple[Artifact, ...]
    roots: tuple[Sha256Hex, ...] = ()
    imports: tuple[str, ...] = ()
    tool: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    host_packages: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Parse a manifest whose signature has been checked. Raises InvalidDocument: with the path to the fault."""
        fields = Fields(strict_json(data, "Manifest", MAX_BYTES), "Manifest")
        found = fields.known_format(FORMATS)
        manifest = fields.fill(
            cls,
            sequence=fields.number("sequence", minimum=1),
            environment=_environment(fields.table("environment")) if "environment" in fields else (),
            host_packages=_host_packages(fields.table("host_packages")) if "host_packages" in fields else (),
        )
        if found != manifest.format:
            fields.fail("format", f"what it holds is of {manifest.format!r}, got {found!r}")
        manifest.check()
        return manifest

    @property
    def format(self) -> str:
        """The lowest version of the format that can say this."""
        said = 2 if self.environment or self.host_packages else 1
        return FORMATS[max((said, *(one.version_needed for one in self.artifacts))) - 1]

    def check(self) -> None:
        """Hold the rules that concern more than one artifact.

        Raises:
            InvalidDocument: when two paths differ in nothing but case, one lies in another, or directories are out of order.
        """
        seen: dict[str, int] = {}
        above: dict[str, int] = {}
        last = 0
        for index, artifact in enumerate(self.artifacts):
            where = f"artifacts[{index}].path"
            other = seen.setdefault(artifact.path.casefold(), index)
            if other != index:
                raise InvalidDocument("Manifest", where, f"{artifact.path!r} is artifacts[{other}] already")
            parents = _parents(artifact.path.casefold())
            clash = next((seen[name] for name in parents if name in seen), above.get(artifact.path.casefold()))
            if clash is not None:
                problem = f"of {artifact.path!r} and artifacts[{clash}] one lies in the other"
                raise InvalidDocument("Manifest", where, problem)
            above.update((name, index) for name in parents)
            rank = DIRECTORIES.index(artifact.directory)
            if rank < last:
                raise InvalidDocument("Manifest", where, f"{artifact.path!r} comes after {DIRECTORIES[last]}/")
            last = rank

    def encode(self) -> bytes:
        """The bytes to sign. Equal manifests give equal bytes."""
        document = {
            "format": self.format,
            "name": self.name,
            "sequence": self.sequence,
            "target": self.target.to_dict(),
            "artifacts": [artifact.to_dict() for artifact in self.artifacts],
            "roots": list(self.roots),
            "imports": list(self.imports),
            "tool": self.tool,
            "environment": dict(self.environment),
            "host_packages": {project: dict(needs) for project, needs in self.host_packages},
        }
        return canonical_json({key: value for key, value in document.items() if value not in ("", [], {})})

    def within(self, directory: str) -> tuple[Artifact, ...]:
        """The artifacts of one directory, in order."""
        return tuple(artifact for artifact in self.artifacts if artifact.directory == directory)

    def sizes(self) -> dict[str, tuple[int, int]]:
        """For each directory that is not empty: how many artifacts, and their bytes."""
        groups = {directory: self.within(directory) for directory in DIRECTORIES}
        return {name: (len(group), sum(item.size for item in group)) for name, group in groups.items() if group}

    def of(self, kind: Kind) -> tuple[Artifact, ...]:
        """The artifacts of one kind, in order."""
        return self.within(kind.directory)

    @property
    def wheels(self) -> tuple[Artifact, ...]:
        """The wheels of the stack; the installer's own are none."""
        return tuple(artifact for artifact in self.artifacts if artifact.is_project)

    @property
    def tools(self) -> tuple[Artifact, ...]:
        """The installer's own."""
        return tuple(artifact for artifact in self.artifacts if artifact.kind and artifact.kind.is_installers)

    @property
    def projects(self) -> frozenset[str]:
        """The Python projects that will be there: those it carries, and those that the host brings."""
        return frozenset((*(one.name for one in self.wheels), *(name for name, _ in self.host_packages)))

    @property
    def toolchain(self) -> tuple[Artifact, ...]:
        """The packages of the CUDA toolchain, whichever kind they are of."""
        return tuple(artifact for artifact in self.artifacts if artifact.kind and artifact.kind.is_toolchain)

    def find(self, path: str) -> Artifact | None:
        return next((artifact for artifact in self.artifacts if artifact.path == path), None)

    @property
    def carries_toolchain(self) -> bool:
        """Whether there is a CUDA toolchain in it: RPMs, or NVIDIA's component archives."""
        return bool(self.toolchain)

    @property
    def carries_python(self) -> bool:
        """Whether the Python that the stack runs with is in it."""
        return any(artifact.kind and artifact.kind.is_python for artifact in self.artifacts)

    @property
    def is_data(self) -> bool:
        """Whether it holds data alone: nothing that runs, to be used beside another stack."""
        kinds = {artifact.kind for artifact in self.artifacts if artifact.kind and not artifact.kind.is_installers}
        return bool(kinds) and all(kind.is_data for kind in kinds)

    @property
    def total_bytes(self) -> int:
        return sum(artifact.size for artifact in self.artifacts)

    @property
    def installed_bytes(self) -> int:
        """What stays on a host of what it carries: all but uv, pip and the like, which are used while installing alone."""
        kept = (one.unpacked_size for one in self.artifacts if one.kind is not None and not one.kind.is_installers)
        return sum(kept) + sum(one.size for one in self.artifacts if one.path == MIRROR)


def _parents(path: str) -> list[str]:
    """The directories above a file, below its kind's own."""
    names = path.split("/")
    return ["/".join(names[:count]) for count in range(2, len(names))]


def _host_packages(fields: Fields) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    found = []
    for name in fields.left():
        needs = fields.table(name)
        asking = []
        for asker in needs.left():
            wanted = needs.text(asker)
            try:
                project_name(name), project_name(asker), satisfies("0", wanted)
            except ValueError as exc:
                needs.fail(asker, str(exc))
            asking.append((asker, wanted))
        found.append((name, tuple(sorted(asking))))
    return tuple(sorted(found))


def _environment(fields: Fields) -> tuple[tuple[str, str], ...]:
    found = []
    for name in fields.left():
        path = fields.text(name)
        try:
            variable_name(name)
        except ValueError as exc:
            fields.fail(name, str(exc))
        if not all(map(_NAME.fullmatch, path.split("/"))):
            fields.fail(name, f"expected a path below the generation, got {path!r}")
        found.append((name, path))
    return tuple(sorted(found))

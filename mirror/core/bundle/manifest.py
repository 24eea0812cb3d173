"""The manifest: what a bundle holds, in order, and what it is for. Its bytes are what gets signed.

The tar is a function of the manifest (see ``mirror.core.bundle.layout``), so this is the whole truth about a bundle. Who may
sign it is ``mirror.core.trust.verdict``'s; reading it out of a file is ``mirror.core.bundle.reader``'s.

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

from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, canonical_json, strict_json
from mirror.core.kinds import DIRECTORIES, META, Kind, kind_of
from mirror.core.names import Sha256Hex, sha256_hex, stack_name
from mirror.core.target import Target

FORMAT = "mirror-bundle/1"
MAX_BYTES = 4 << 20
"""Largest manifest that is read (SECURITY.md T8)."""

MAX_ARTIFACT_BYTES = 8 * 2**30 - 1
"""A ustar size field holds 11 octal digits."""

_PATH = re.compile("(?:" + "|".join(DIRECTORIES) + ")/[A-Za-z0-9_][A-Za-z0-9._+!-]*", re.ASCII)


def artifact_path(text: str) -> str:
    """Check a member's path: one known directory and one plain file name of at most 100 bytes (ustar's name field).

    Raises:
        ValueError: otherwise.
    """
    if not _PATH.fullmatch(text) or len(text.split("/")[1]) > 100 or text.endswith("."):
        raise ValueError(f"expected a path such as 'wheels/NAME.whl', got {text!r}")
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

    path: str
    size: int
    sha256: Sha256Hex
    name: str
    version: str = ""
    origin: str = "mirror"
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
    def unpacked_limit(self) -> int:
        """The most bytes that it may unpack to: its signed size, or a generous ratio when the manifest tells none."""
        return self.unpacked_size or self.size * 16

    @classmethod
    def from_fields(cls, fields: Fields) -> Artifact:
        artifact = cls(
            path=fields.checked("path", artifact_path),
            size=fields.number("size"),
            sha256=fields.checked("sha256", sha256_hex),
            name=fields.text("name"),
            version=fields.text("version", ""),
            origin=fields.text("origin", "mirror"),
            unpacked_size=fields.number("unpacked_size", 0),
        )
        if artifact.size > MAX_ARTIFACT_BYTES:
            fields.fail("size", f"a tar member holds at most {MAX_ARTIFACT_BYTES} bytes, got {artifact.size}")
        fields.end()
        return artifact

    def to_dict(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if value != "" and (value or key == "size")}


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
    """

    name: str
    sequence: int
    target: Target
    artifacts: tuple[Artifact, ...]
    roots: tuple[Sha256Hex, ...] = ()
    imports: tuple[str, ...] = ()
    tool: str = ""
    format: str = field(default=FORMAT)

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Parse a manifest whose signature has been checked.

        Raises:
            InvalidDocument: with the path to the fault.
        """
        fields = Fields(strict_json(data, "Manifest", MAX_BYTES), "Manifest")
        found = fields.text("format")
        if found != FORMAT:
            fields.fail("format", f"expected {FORMAT!r}, got {found!r}: it needs another mirror.pyz")
        manifest = cls(
            name=fields.checked("name", stack_name),
            sequence=fields.number("sequence", minimum=1),
            target=Target.from_fields(fields.table("target")),
            artifacts=tuple(Artifact.from_fields(item) for item in fields.tables("artifacts")),
            roots=fields.all_checked("roots", sha256_hex),
            imports=fields.texts("imports", ()),
            tool=fields.text("tool", ""),
        )
        fields.end()
        manifest.check()
        return manifest

    def check(self) -> None:
        """Hold the rules that concern more than one artifact.

        Raises:
            InvalidDocument: when two paths differ in nothing but case, or the directories are out of order.
        """
        seen: dict[str, int] = {}
        last = 0
        for index, artifact in enumerate(self.artifacts):
            where = f"artifacts[{index}].path"
            other = seen.setdefault(artifact.path.casefold(), index)
            if other != index:
                raise InvalidDocument("Manifest", where, f"{artifact.path!r} is artifacts[{other}] already")
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
        }
        return canonical_json({key: value for key, value in document.items() if value not in ("", [])})

    def within(self, directory: str) -> tuple[Artifact, ...]:
        """The artifacts of one directory, in order."""
        return tuple(artifact for artifact in self.artifacts if artifact.directory == directory)

    def of(self, kind: Kind) -> tuple[Artifact, ...]:
        """The artifacts of one kind, in order."""
        return self.within(kind.directory)

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
    def total_bytes(self) -> int:
        return sum(artifact.size for artifact in self.artifacts)

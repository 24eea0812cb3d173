"""What a layer says of itself: what it depends on, and every file with its digest. It is signed with the layer.

``mirror.closed.warm.key`` compares the first part with a host; ``mirror.closed.warm.layer`` holds files to the second.

Rules: paths are plain and below the layer, each there once, none within another; a file that named the cache directory it came
from has ``PLACE`` there instead, or ``WIDE_PLACE`` where only a path of as many bytes can stand, so that it holds no path of
the host that compiled it. Layers of the format's first two versions are refused, for a server that loads one ends: the pickles
of the first name a directory of that host, and torch's checksums in the second are of files that name it.

Example::

    layer = Layer.parse(data)
    layer.key.gpus, len(layer.files)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from mirror.closed.environment.variables import WIDTH
from mirror.closed.warm.programs import counted_by_program
from mirror.core.fields import Fields, canonical_json
from mirror.core.names import Sha256Hex, sha256_hex, stack_name

FORMAT = "mirror-warm/3"
DOCUMENT = "meta/warm.json"
FILES = "files"
CACHES = f"{FILES}/caches.tar"
"""The two members of a layer's file: what it says of itself, and a tar of what it holds."""

TOP = "caches"
"""The one directory in that tar."""

MAX_BYTES = 64 << 20
MAX_FILES = 200_000
PLACE = b"@MIRROR-CACHE-DIRECTORY@"
"""Stands for a user's cache directory in a text."""

PLAIN = re.compile(r"[A-Za-z0-9_./+@:,=~ -]+")
"""A path that is spelt alike in JSON, in Python and in a shell."""

WIDE_PLACE = b"@MIRROR-CACHE-DIRECTORY-OF-THIS-LENGTH".ljust(WIDTH, b"@")
"""Stands for one in a file that tells the lengths of what it holds."""


@dataclass(frozen=True)
class Key:
    """What compiled kernels depend on.

    Attributes:
        stack: the stack's name.
        bundle: sha256 of the manifest of the bundle that the generation was installed from: torch, Triton, vLLM, FlashInfer,
            their kernels' sources and the CUDA toolchain follow from it.
        generation: the generation's path; build commands and vLLM's keys name it.
        python: version of the interpreter, whose bytecode torch's compiled functions hold.
        arch: of the CPU.
        gpus: models of the GPUs that were there, as the driver names them, each once.
        driver: version of the NVIDIA driver; only what lies in ``nv/`` depends on it.
        glibc: the oldest release that all compiled files for the CPU can be loaded with; empty when there are none.
        variables: those of the packing user's environment that programs put into their keys, by name.
    """

    stack: str
    bundle: Sha256Hex
    generation: str
    python: str
    arch: str
    gpus: tuple[str, ...] = ()
    driver: str = ""
    glibc: str = ""
    variables: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_fields(cls, fields: Fields) -> Key:
        table = fields.table("variables")
        variables = tuple((name, table.text(name)) for name in sorted(table.left()))
        return fields.fill(
            cls,
            stack=fields.checked("stack", stack_name),
            bundle=fields.checked("bundle", sha256_hex),
            variables=variables,
        )

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "variables": dict(self.variables)}


@dataclass(frozen=True)
class Member:
    """One file of a layer.

    Attributes:
        path: below the layer.
        size: bytes.
        sha256: of them.
        has_place: whether ``PLACE`` is in it.
        has_wide_place: whether ``WIDE_PLACE`` is in it.
    """

    path: str
    size: int
    sha256: Sha256Hex
    has_place: bool = False
    has_wide_place: bool = False

    @classmethod
    def from_fields(cls, fields: Fields) -> Member:
        path, digest = fields.checked("path", member_path), fields.checked("sha256", sha256_hex)
        return fields.fill(cls, path=path, sha256=digest)

    def to_dict(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if value is not False}


def member_path(text: str) -> str:
    """Check the path of a file in a layer.

    Raises:
        ValueError: when it is not a plain path below it.
    """
    parts = text.split("/")
    if len(text) > 1000 or not all(
        part.isprintable() and part not in ("", ".", "..") and len(part) < 200 for part in parts
    ):
        raise ValueError(f"expected a plain path below the layer, got {text[:100]!r}")
    return text


@dataclass(frozen=True)
class Layer:
    """A layer's own account.

    Attributes:
        key: what it depends on.
        packed: when, in seconds since 1970 UTC.
        files: in order of path.
    """

    key: Key
    packed: int
    files: tuple[Member, ...] = field(default_factory=tuple)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(member.size for member in self.files)

    @property
    def compiled(self) -> dict[str, int]:
        """Compiled objects by program."""
        return counted_by_program(member.path for member in self.files)

    def summary(self) -> dict[str, Any]:
        """It in a document: its files counted, not listed."""
        counts = {"files": len(self.files), "bytes": self.size, "compiled": self.compiled}
        return {"key": self.key.to_dict(), **counts}

    @classmethod
    def parse(cls, data: bytes) -> Layer:
        """Inverse of ``encode``, of bytes whose signature or digest was checked.

        Raises:
            InvalidDocument: with the path to the fault.
        """
        fields = Fields.read(data, "Layer", FORMAT, MAX_BYTES)
        files = tuple(Member.from_fields(item) for item in fields.tables("files"))
        layer = fields.fill(cls, key=Key.from_fields(fields.table("key")), files=files)
        paths = [member.path for member in files]
        above = {path[:at] for path in paths for at, letter in enumerate(path) if letter == "/"}
        if len(files) > MAX_FILES or paths != sorted(set(paths)) or above & set(paths):
            fields.fail("files", f"expected at most {MAX_FILES}, in order of path, each once and none within another")
        return layer

    def encode(self) -> bytes:
        """The bytes that are carried. Equal layers give equal bytes."""
        return canonical_json({
            "format": FORMAT,
            "key": self.key.to_dict(),
            "packed": self.packed,
            "files": [member.to_dict() for member in self.files],
        })  # fmt: skip

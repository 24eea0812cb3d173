"""The receipt: what one generation is, written beside it and printed by ``install`` and ``status``.

It is a record for people and for programs of the site. Nothing of ours decides by it: that a generation is whole is
said by ``COMPLETE``, and what it came from by its name.

Rules: strict as all our documents; ``from_bytes`` and ``encode`` are inverse; what a receipt of an earlier mirror does not
tell is empty, never an error.

Example::

    receipt = read_receipt(generation)
    receipt.sequence, receipt.python
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirror.closed.prefix.check import Check
from mirror.closed.prefix.generations import Generation
from mirror.closed.prefix.toolchainrecord import ToolchainRecord
from mirror.core.errors import MirrorError
from mirror.core.fields import Fields, canonical_json
from mirror.core.kinds import KINDS
from mirror.core.names import Sha256Hex, sha256_hex, stack_name
from mirror.core.system.durable import read_file

FORMAT = "mirror-receipt/1"
_MAX_BYTES = 32 << 20
"""A whole toolkit with all its tools has some 20,000 files: about 2 MB of paths."""


_OMITTED = ("allowed_older", "approvers", "repairs", "size", "files_sha256")
"""What is left out where there is nothing to tell."""


@dataclass(frozen=True)
class Receipt:
    """One installation.

    Attributes:
        name: the stack's.
        sequence: the manifest's.
        manifest_sha256: of the manifest's bytes: the bundle's identity.
        generation: absolute path of the generation.
        installed: when, in seconds since 1970 UTC, by this host's clock.
        python: the interpreter's path.
        python_version: ``"3.11.7"``.
        python_origin: ``"host"``, or ``"bundle"`` when the carried one was unpacked.
        installer: ``"uv"`` or ``"pip"``.
        signers: names of the keys whose signatures counted.
        approvers: those of them that count as approvers'.
        counts: of each kind of artifact that the bundle held, its name and how many.
        mirror: the version that installed.
        checks: the self-test's.
        notes: what the operator should know; one sentence each.
        allowed_older: why the operator installed it although a newer one had been; empty otherwise.
        repairs: name of the generation that this one was built to replace, from the same bundle; empty otherwise.
        size: bytes that it took on the disk when it was installed; 0 when that is not known.
        files_sha256: of ``files.json``, the digests of what was installed; empty when it has none.
        toolchain: where each file of the CUDA toolchain came from; None without one.
    """

    name: str
    sequence: int
    manifest_sha256: Sha256Hex
    generation: str
    installed: int
    python: str
    python_version: str
    python_origin: str
    installer: str
    signers: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]
    mirror: str
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    toolchain: ToolchainRecord | None = None
    allowed_older: str = ""
    approvers: tuple[str, ...] = ()
    repairs: str = ""
    size: int = 0
    files_sha256: str = ""
    format: str = field(default=FORMAT)

    @classmethod
    def from_bytes(cls, data: bytes) -> Receipt:
        """Parse ``receipt.json``.

        Raises:
            InvalidDocument: with the path to the fault.
        """
        fields = Fields.read(data, "Receipt", FORMAT, _MAX_BYTES)
        return fields.fill(
            cls,
            name=fields.checked("name", stack_name),
            sequence=fields.number("sequence", minimum=1),
            manifest_sha256=fields.checked("manifest_sha256", sha256_hex),
            counts=_counts(fields),
            checks=tuple(item.fill(Check) for item in fields.tables("checks")),
            files_sha256=fields.checked("files_sha256", sha256_hex) if "files_sha256" in fields else "",
            toolchain=ToolchainRecord.from_fields(fields.table("toolchain")) if "toolchain" in fields else None,
            format=FORMAT,
        )

    def to_dict(self) -> dict[str, Any]:
        """Inverse of ``from_bytes``, before encoding."""
        toolchain = self.toolchain.to_dict() if self.toolchain else None
        checks = [vars(check) for check in self.checks]
        found = {**vars(self), "checks": checks, "counts": dict(self.counts), "toolchain": toolchain}
        return {key: value for key, value in found.items() if value is not None and (value or key not in _OMITTED)}

    def summary(self) -> dict[str, Any]:
        """``to_dict`` for people and pipes: the toolchain's files are counted, not listed."""
        return {**self.to_dict(), **({"toolchain": self.toolchain.summary()} if self.toolchain else {})}

    def encode(self) -> bytes:
        return canonical_json(self.to_dict())


def _counts(fields: Fields) -> tuple[tuple[str, int], ...]:
    """How many of each kind; receipts of the first versions name three of them, one key each."""
    if "counts" in fields:
        table = fields.table("counts")
        return tuple((name, table.number(name)) for name in table.left())
    return tuple((kind.name, count) for kind in KINDS if (count := fields.number(f"{kind.name}s", 0)))


def read_receipt(generation: Generation) -> Receipt:
    """The receipt of an installed generation.

    Raises:
        Unreadable: when it cannot be read.
        InvalidDocument: when it is damaged.
    """
    return Receipt.from_bytes(read_file(generation.receipt, _MAX_BYTES))


def receipt_or_problem(generation: Generation) -> tuple[Receipt | None, str]:
    """The receipt, or why there is none that can be read; empty when it can."""
    try:
        return read_receipt(generation), ""
    except MirrorError as exc:
        return None, str(exc)


def former_place(generation: Path, receipt: Receipt) -> str:
    """Where a generation was installed, if it was moved or copied from there: its venv holds that path. Empty where it lies.

    Raises:
        OSError: when it cannot be told.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if Path(receipt.generation).samefile(generation):
            return ""
    return receipt.generation


def lost_python(generation: Path) -> str:
    """The Python that a generation's venv was made from, if it is not there any more; else empty.

    Raises:
        OSError: when it cannot be told.
    """
    python = generation / "venv" / "bin" / "python"
    try:
        python.stat()
    except FileNotFoundError:
        return str(python.resolve()) if python.is_symlink() else ""
    return ""

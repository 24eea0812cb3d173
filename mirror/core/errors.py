"""The root of every failure that mirror names.

A failure has an exit code, a kebab-case ``ref``, one sentence that names both sides, and a hint with the next
step. Each module defines the errors that it raises; this one holds only their root and the few that any module may
raise. The library raises; only ``mirror.cli`` prints and exits.

Exit codes are unique and never reused, so that scripts can rely on them. Ranges: 10-29 formats and files, 30-39 trust,
40-49 RPMs and toolchain, 50-69 lock, 70-89 plan, fetch, build and pack, 90-119 the closed side, 120-125 review.
2 is a usage error (argparse), 130 and 143 are SIGINT and SIGTERM.

Example::

    class DigestMismatch(MirrorError):
        ref = "digest-mismatch"
        exit_code = 21
        hint = "Copy the bundle again."
"""

from __future__ import annotations

from typing import ClassVar


class MirrorError(Exception):
    """Root of all named failures. Subclasses set the class attributes and pass their data to ``super().__init__``."""

    ref: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    hint: str = ""

    def context(self) -> str:
        """More lines for the user (a log's tail, a list of issues); empty when the sentence says it all."""
        return ""


class Unwritable(MirrorError):
    """A file or directory of the user's could not be written.

    Attributes:
        path: what was to be written.
        reason: the operating system's words.
    """

    ref = "unwritable"
    exit_code = 10
    hint = "Choose another place with the command's output or prefix option, or free space there."

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"cannot write {self.path}: {self.reason}"


class Unreadable(MirrorError):
    """A file that the user named, or that mirror needs, could not be read."""

    ref = "unreadable"
    exit_code = 11
    hint = "Check the path and its permissions."

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"cannot read {self.path}: {self.reason}"


class InvalidDocument(MirrorError):
    """A JSON or TOML document of ours breaks its format.

    Attributes:
        document: what kind of document, e.g. ``"Manifest"``.
        where: the path to the fault, e.g. ``"artifacts[3].sha256"``; empty for the whole.
        problem: expected and found, e.g. ``"expected 64 hex digits, got 'abc'"``.
    """

    ref = "invalid-document"
    exit_code = 12
    hint = (
        "If you wrote this file, correct it there. If mirror wrote it, it is damaged or of another version of mirror: "
        "make it again."
    )

    def __init__(self, document: str, where: str, problem: str) -> None:
        super().__init__(document, where, problem)
        self.document, self.where, self.problem = document, where, problem

    def __str__(self) -> str:
        place = f" at '{self.where}'" if self.where else ""
        return f"{self.document} invalid{place}: {self.problem}"


class Interrupted(MirrorError):
    """The user or the system asked mirror to stop; what was half written has been removed."""

    ref = "interrupted"
    exit_code = 130
    hint = "Run the same command again: it goes on from what is already there."

    def __str__(self) -> str:
        return "interrupted"

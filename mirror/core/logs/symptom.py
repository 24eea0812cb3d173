"""A symptom: words that a tool prints, and what they mean (a row of CUDA.md section E).

It holds what a row is made of and how its sentences are filled in. ``mirror.core.logs.symptoms`` holds the rows,
``mirror.core.logs.explained.log`` finds them in a log; ``mirror.closed.doctor.installed.caches`` uses the rows without words.

Rules:
(1) a row is looked at only where one of its fragments stands: its pattern begins with the fragment, its lead ends there,
    so that no log can make the search slow;
(2) fragments and patterns are written with plain quotes: the log's backticks and curly quotes are read as such;
(3) an RPM is named only where ``mirror.core.cuda.components`` knows it; whether it is installed is said only when it was asked.

Example::

    symptom = Symptom("8", "compiler", "{file} was not found", "the compiler's package is not whole", "ls $CUDA_HOME/bin",
                      "{bring}", ("ptxas: not found",), file="bin/ptxas")
    symptom.finding({}, Context(release="13.0"), "line 7: sh: 1: ptxas: not found").fix
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Callable

from mirror.core.cuda.components import bringer
from mirror.core.logs.finding import NOTE, PROBLEM, Finding
from mirror.core.logs.layers import MAY_BE, OF_SUBJECT, PACKAGE


@dataclass(frozen=True)
class Context:
    """What is known of the install that the log is from; all of it may be unknown.

    Attributes:
        release: of its CUDA toolkit, ``"13.0"``.
        packages: names of its RPMs, ``"cuda-cccl-13-0"``; empty when not known.
        cuda_home: where its toolkit lies.
        env_script: its ``env.sh``.
    """

    release: str = ""
    packages: tuple[str, ...] = ()
    cuda_home: Path | None = None
    env_script: str = "env.sh"


Groups = Mapping[str, str]
"""What the named groups of a symptom's pattern found; ``path1`` and ``path2`` are parts of ``path``."""


@dataclass(frozen=True)
class Symptom:
    """One row. Texts may hold ``{file}``, ``{rpm}``, ``{bring}`` and the names of the pattern's groups.

    Attributes:
        row: its number in CUDA.md section E; empty for words that only say that something else went wrong.
        subject: a word or two, as a finding has it.
        what: what happened, in one sentence.
        cause: why, in one sentence.
        check: a command, or what to compare, that decides whether it is so.
        fix: the next step, with the command or the line to type.
        fragments: one of them stands wherever the symptom does; none for a symptom that prints nothing.
        pattern: a regular expression that must match from the fragment's start on; empty when the fragment is enough.
        lead: one that must match right before the fragment, in its line; written with ``$`` at its end.
        unless: a regular expression that must not match in the line.
        near: a regular expression that must match in the few thousand characters before; its last match's groups count.
        unless_near: one that must not match there: words of another cause that ends in the same line.
        file: what is missing, for ``{rpm}``; may hold groups.
        over: rows that say less about the same line: they are not told for a line that has this one.
        explains: rows that are a consequence of this one.
        holds: asked with the context where one is known; the symptom counts only when it says so.
        is_late: whether it only counts as the cause where nothing failed before it.
        is_certain: whether no other cause has these words; else the row says "may be".
        level: of the finding.
    """

    row: str
    subject: str
    what: str
    cause: str
    check: str
    fix: str
    fragments: tuple[str, ...] = ()
    pattern: str = ""
    lead: str = ""
    unless: str = ""
    near: str = ""
    unless_near: str = ""
    file: str = ""
    over: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    holds: Callable[[Context, Groups], bool] | None = None
    is_late: bool = False
    is_certain: bool = True
    level: str = PROBLEM

    @property
    def layer(self) -> str:
        """What fails; empty for words that are never a cause."""
        return OF_SUBJECT.get(self.subject, PACKAGE) if self.row else ""

    def missing(self, groups: Groups) -> str:
        """The file that is missing; empty when the row is not about one."""
        return self.file.format_map(groups) if self.file else groups.get("file", "")

    def finding(self, groups: Groups, context: Context, proof: str, follows: str = "") -> Finding:
        """The row as a finding.

        Args:
            groups: what the pattern's named groups found.
            context: of the install.
            proof: where it was seen.
            follows: the row that explains this one, when that was seen too.
        """
        file = self.missing(groups)
        advice = {"rpm": package_of(file, context.release), "bring": bring(file, context)}
        said = {**groups, "file": file or "it", **advice}
        # What a log says may become part of a command that somebody pastes: it is quoted as a shell wants it.
        typed = {name: shlex.quote(value or "FILE") for name, value in {**groups, "file": file}.items()}
        what, cause = (text.format_map(said) for text in (self.what, self.cause))
        check, fix = (text.format_map({**typed, **advice}) for text in (self.check, self.fix))
        if follows:
            cause = f"row {follows} explains it; if it stays when that is mended: {cause}"
        proof = f"{proof}\nto be sure: {check}" if check else proof
        return Finding(
            *(self.level, self.subject, what, cause, proof, fix, self.row),
            key=f"E{self.row}" if self.row else "",
            about=file or groups.get("path") or groups.get("library", ""),
            layer=self.layer,
            certainty="" if self.is_certain else MAY_BE,
        )


def consequence(subject: str, what: str, *fragments: str) -> Symptom:
    """Words that only say that something failed before them."""
    cause, fix = "it is a consequence, never the cause", "look further up in the log"
    return Symptom("", subject, what, cause, "", fix, fragments, level=NOTE)


@lru_cache(maxsize=256)
def package_of(file: str, release: str) -> str:
    """The RPM that brings a file, ``"cuda-cccl-13-0"``, or ``"cuda-cccl-X-Y"`` where the release is not known.

    Empty for a file that ``mirror.core.cuda.components`` does not know.
    """
    if release:
        return bringer(file, release)
    old, new = bringer(file, "12.8"), bringer(file, "13.0")
    stems = dict.fromkeys(name.rpartition("-")[0].rpartition("-")[0] for name in (old, new) if name)
    return " or ".join(f"{stem}-X-Y" for stem in stems)


def bring(file: str, context: Context) -> str:
    """The step that makes a file be there."""
    package = package_of(file, context.release)
    if not package:
        return f"ask 'mirror which {file}' for its RPM and add that to packages under [rpms] in NAME.toml"
    if package in context.packages:
        return (
            f"{package} is part of this install, so another toolkit was used: start the server in a shell that ran "
            f"'. {context.env_script}'"
        )
    return f'add "{package}" to packages under [rpms] in NAME.toml, then lock, bundle and install again'

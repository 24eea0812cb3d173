"""The whole examination: this host, and the stack that is installed on it.

It holds the order and the result, which is the same whether a person, a program or a page is told.

Rules: nothing outside of a temporary directory is written, nothing touches the network; what takes long (reading 500
libraries, the self-test) tells how far it is.

Example::

    checkup = examine(environment, os.environ)
    checkup.of(PROBLEM)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mirror.closed.doctor.facts import Facts, read_facts
from mirror.closed.doctor.installed.files import judge_files
from mirror.closed.doctor.machine import guarded, judge_machine
from mirror.closed.doctor.stack import judge_stack
from mirror.closed.doctor.trial import try_out
from mirror.closed.environment.variables import Environment
from mirror.closed.prefix.generations import generation_at
from mirror.closed.prefix.receipt import Receipt
from mirror.core.errors import MirrorError
from mirror.core.logs.finding import PROBLEM, Finding
from mirror.core.logs.layers import CACHE, COMPILER, DISK, LINKER, LOADER, MAY_BE, PACKAGE, TOOLKIT
from mirror.core.progress import SILENT, Progress


class ProblemsFound(MirrorError):
    """The doctor found something that will hurt. Never raised: its exit code is what ``mirror doctor`` ends with."""

    ref = "problems-found"
    exit_code = 110
    hint = "Each problem is printed with its next step."
    message = "the doctor found problems"


@dataclass(frozen=True)
class Checkup:
    """What was found.

    Attributes:
        facts: what was read.
        findings: in the order in which things were looked at.
    """

    facts: Facts
    findings: tuple[Finding, ...]

    def of(self, level: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level == level)


def examine(
    environment: Environment | None,
    variables: Mapping[str, str],
    receipt: Receipt | None = None,
    quick: bool = False,
    progress: Progress = SILENT,
) -> Checkup:
    """Look at everything.

    Args:
        environment: of the generation; None to look at the host only.
        receipt: the generation's, if it could be read.
        quick: leave out what takes long: comparing all files, and the self-test, which imports and compiles.
    """
    facts = read_facts(environment, variables, receipt, progress)
    findings = [*judge_machine(facts), *judge_stack(facts, progress)]
    generation = generation_at(environment.generation) if environment else None
    files = list(guarded("files", judge_files(generation, progress))) if generation and not quick else []
    findings += files
    if environment and not quick:
        damaged = next((finding for finding in files if finding.level == PROBLEM), None)
        tried = guarded("self-test", try_out(environment, facts.host, progress))
        findings += [_of_damage(finding, damaged) if damaged else finding for finding in tried]
    return Checkup(facts, tuple(findings))


_CARRIED = (PACKAGE, TOOLKIT, COMPILER, LINKER, LOADER, CACHE, DISK, "self-test")
"""Layers whose files the generation holds; a finding's subject where its words are of no layer."""


def _of_damage(failed: Finding, damaged: Finding) -> Finding:
    """A failed check of a generation whose files are not as installed: what it lacks is carried, so it has one remedy."""
    if failed.level != PROBLEM or (failed.layer or failed.subject) not in _CARRIED:
        return failed
    what = failed.what.partition(": ")[0]
    cause = f"it may come of the files that are not as installed ({damaged.what})"
    fix = f"{damaged.fix}; when that is done, 'mirror doctor' again"
    return Finding(PROBLEM, "self-test", what, cause, failed.proof, fix, certainty=MAY_BE)

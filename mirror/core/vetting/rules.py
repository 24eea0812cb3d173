"""The rules that a bundle's wheels, packages and models are held to, what breaks one, and what somebody accepted nevertheless.

``mirror.core.vetting.wheel`` looks at one wheel, ``mirror.core.vetting.together`` at all of them,
``mirror.core.vetting.modelfile`` at a model's files; they only find. Whether a finding stands in the way is decided here.

Rules: a finding that no waiver covers refuses the bundle; a waiver is for one project and one rule, and where it names a
subject, for that alone; some rules have no waiver, for behind them nobody can say what would be installed.

Example::

    judgement = judge(findings, waivers)
    judgement.open        # what refuses the bundle
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Tuple

from mirror.core.bundle.dossier import Waiver
from mirror.core.names import project_name


@dataclass(frozen=True)
class Rule:
    """What is refused, in a few words for people, and whether somebody may accept it."""

    refuses: str
    waivable: bool


COLLISION = "collision"
"""Its waiver names the project whose files are kept: the closed side installs that one after the others."""

RECORD_MISMATCH = "record-mismatch"
"""Its waiver names a project whose RECORD vouches for none of its files, once they are installed."""

GLIBC_FLOOR = "glibc-floor"
CUDA_MAJOR = "cuda-major"
FLASHINFER_SET = "flashinfer-set"
PICKLE = "pickle"
SAFETENSORS = "safetensors"

RULES = {
    "zip-structure": Rule("a zip file that two readers could read differently", False),
    "zip-encrypted": Rule("encrypted members", False),
    "zip-method": Rule("compression other than deflate", False),
    "zip-content": Rule(
        "members that are not what their headers announce, or a path that is a file and a directory", False
    ),
    "zip-data-descriptor": Rule("sizes that follow their member, as the package index refuses them", True),
    "zip-size": Rule("contents far larger than the file: a bomb", True),
    "unpacked-size": Rule("another unpacked size than the manifest's", False),
    "member-type": Rule("links and devices", False),
    "member-path": Rule("paths that lead out of the environment", False),
    "member-name": Rule("names with unseen characters or trailing dots", True),
    "name-clash": Rule("names that differ in nothing but case or Unicode's form", True),
    "dist-info": Rule("a .dist-info that is not the wheel's own, or more than one", False),
    "wheel-format": Rule("a METADATA, WHEEL or entry_points.txt that is missing or cannot be read", False),
    "record-missing": Rule("no RECORD, or one that cannot be read", False),
    "record-incomplete": Rule("files that RECORD does not list", True),
    RECORD_MISMATCH: Rule("files with another digest or size than RECORD's", True),
    "record-stale": Rule("lines of RECORD for files that are not there", True),
    "record-weak": Rule("files without a SHA-256 or better in RECORD", True),
    "record-path": Rule("paths in RECORD that lead out of the environment", False),
    "record-signature": Rule("RECORD.jws and RECORD.p7s: signatures that nobody checks", True),
    "wheel-identity": Rule("another name or version inside than outside", False),
    "wheel-tags": Rule("other tags in WHEEL than in the file name", True),
    "wheel-target": Rule("no tag that the target takes", False),
    GLIBC_FLOOR: Rule("native code that needs a newer glibc than the target promises", True),
    "requires-python": Rule("a Requires-Python that leaves out the target's", True),
    "requires-unmet": Rule("a required project that is not in the set, or in another version", True),
    "entry-point": Rule("scripts with unusual names, or that call nothing", False),
    "environment-file": Rule("files and scripts in place of the environment's own python, pip or activate", True),
    "data-scheme": Rule(
        "what installers do not take in a .data directory: unknown schemes, directories of scripts", False
    ),
    "startup-hook": Rule("files that Python runs at every start (*.pth, sitecustomize)", True),
    "host-command": Rule(
        "scripts named as programs of the host, of a compiler or of CUDA, which run in their place", True
    ),
    "bytecode": Rule("compiled Python beside its source, which runs in the place of what people read", True),
    "gpu-code": Rule("GPU code that cannot be read, so that nobody knows which GPUs it is for", True),
    CUDA_MAJOR: Rule(
        "projects for another major release of CUDA than torch's, or torch for another than the target's", True
    ),
    FLASHINFER_SET: Rule(
        "flashinfer-cubin or flashinfer-jit-cache of another version or CUDA than flashinfer-python's", True
    ),
    COLLISION: Rule("one path with different bytes in two wheels", True),
    PICKLE: Rule("model files in the format of Python's pickle, which run code when they are loaded", True),
    SAFETENSORS: Rule("safetensors files whose header does not describe them", False),
    "package": Rule("an RPM or archive whose signature or digest is not good", False),
    "dossier": Rule("a dossier that says otherwise than the artifact", False),
}


def owner_of(name: str) -> str:
    """By which name a waiver covers an artifact: a project's, or a package's, normalised where it can be."""
    try:
        return project_name(name)
    except ValueError:
        return name


@dataclass(frozen=True)
class Finding:
    """Something that a rule refuses.

    Attributes:
        rule: key of ``RULES``.
        path: of the artifact, in the bundle.
        project: whose waiver covers it.
        what: a sentence's predicate.
        subject: the one thing that it is about, where there is one: a file's installed path, a project's name.
        also: other projects whose waiver covers it just as well.
    """

    rule: str
    path: str
    project: str
    what: str
    subject: str = ""
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.path.rpartition('/')[2]}: {self.what}"


ProjectWaiver = Tuple[str, Waiver]
"""A waiver with the project that it is for."""


@dataclass(frozen=True)
class Judgement:
    """What came of the findings.

    Attributes:
        open: what no waiver covers.
        waived: what one covers, with the waiver.
        idle: waivers that cover nothing.
    """

    open: tuple[Finding, ...]
    waived: tuple[tuple[Finding, ProjectWaiver], ...]
    idle: tuple[ProjectWaiver, ...]

    def waivers_of(self, project: str) -> tuple[Waiver, ...]:
        """The waivers that something of a project needed, each once."""
        return tuple(dict.fromkeys(waiver for _, (owner, waiver) in self.waived if owner == project))


def judge(findings: Iterable[Finding], waivers: Iterable[ProjectWaiver]) -> Judgement:
    """Hold the waivers against the findings."""
    given = tuple(waivers)
    left: list[Finding] = []
    waived: list[tuple[Finding, ProjectWaiver]] = []
    for finding in findings:
        covering = next((waiver for waiver in given if _covers(waiver, finding)), None)
        if covering is None:
            left.append(finding)
        else:
            waived.append((finding, covering))
    # Two waivers for one thing are both at work: neither is idle while the other covers it too.
    used = {waiver for finding, _ in waived for waiver in given if _covers(waiver, finding)}
    return Judgement(tuple(left), tuple(waived), tuple(waiver for waiver in given if waiver not in used))


def _covers(given: ProjectWaiver, finding: Finding) -> bool:
    project, waiver = given
    parties = {finding.project, *finding.also}
    if waiver.rule != finding.rule or not RULES[finding.rule].waivable or project not in parties:
        return False
    # Of two wheels that collide, either has the other one as its subject.
    return waiver.subject in ({"", finding.subject} if len(parties) == 1 else {"", *(parties - {project})})

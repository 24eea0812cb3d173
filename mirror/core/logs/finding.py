"""A finding: one thing that the doctor looked at.

Rules: a finding that is not good says what is so with both sides named, why, what was read to know it, and the next step;
where CUDA.md section E has a row for it, it names the row, so that a symptom in a log and the fault behind it meet.

Example::

    About("driver").problem("CUDA 13.0 needs driver 580 or newer, this host has 535.104.05",
                            cause="the driver's major version is older than the toolkit's",
                            proof="/proc/driver/nvidia/version",
                            fix="ask for driver 580, or lock the stack for CUDA 12", row="46")
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

GOOD, NOTE, WARNING, PROBLEM = "good", "note", "warning", "problem"
LEVELS = (GOOD, NOTE, WARNING, PROBLEM)
"""In order of weight. A note is worth knowing, a warning may hurt, a problem will."""

VERSIONS = "ls $(python -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))')"
"""A command that lists the packages of the Python that runs, with their versions; a venv need not have pip."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, and how it is.

    Attributes:
        level: one of ``LEVELS``.
        subject: a word or two: ``"driver"``, ``"FlashInfer"``.
        what: one sentence; when it is not good it names both sides.
        cause: the likely reason; empty only when it is good.
        proof: what was read or run to know it, so that somebody else can look too.
        fix: the next step, or when none need be taken; empty only when it is good.
        row: of CUDA.md section E, ``"46"``, ``"44b"``; empty when none speaks of it.
        key: of a log's finding, the name of its cause in one word; empty elsewhere.
        about: of a log's finding, the path, library or name that it speaks of; empty elsewhere.
        layer: of a log's finding, one of ``mirror.core.logs.layers.LAYERS``; empty elsewhere.
        certainty: ``"may be"`` where what was seen allows another explanation, ``"unknown"`` where it allows none; else empty.
    """

    level: str
    subject: str
    what: str
    cause: str = ""
    proof: str = ""
    fix: str = ""
    row: str = ""
    key: str = ""
    about: str = ""
    layer: str = ""
    certainty: str = ""

    def to_dict(self) -> dict[str, str]:
        return {key: value for key, value in asdict(self).items() if value}


@dataclass(frozen=True)
class About:
    """A subject, of which findings are made; those that are not good cannot be made without cause, proof and fix."""

    subject: str

    def at(self, level: str, what: str, cause: str, proof: str, fix: str, row: str = "") -> Finding:
        return Finding(level, self.subject, what, cause, proof, fix, row)

    def problem(self, what: str, cause: str, proof: str, fix: str, row: str = "") -> Finding:
        return self.at(PROBLEM, what, cause, proof, fix, row)

    def warning(self, what: str, cause: str, proof: str, fix: str, row: str = "") -> Finding:
        return self.at(WARNING, what, cause, proof, fix, row)

    def note(self, what: str, cause: str, proof: str, fix: str, row: str = "") -> Finding:
        return self.at(NOTE, what, cause, proof, fix, row)

    def good(self, what: str, proof: str = "") -> Finding:
        return Finding(GOOD, self.subject, what, proof=proof)

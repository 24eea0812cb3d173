"""What a log says, once it is searched: sightings of symptoms, and what to do when there are none.

It holds the result; ``mirror.core.logs.log`` searches.

Rule: an explanation always has a finding: a log without a known word is said to be unknown, never to be good.

Example::

    explanation = explain_stream(stream)
    explanation.findings[0].fix
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mirror.core.logs.finding import WARNING, Finding
from mirror.core.logs.suspects import Suspect

_SEND = (
    "send its maintainers what 'mirror doctor' prints, the command that started the server, its version and the log from "
    "the first of these lines on; a compiler's words are known here in English only (export LC_ALL=C)"
)


@dataclass(frozen=True)
class Sighting:
    """A symptom that stands in the log.

    Attributes:
        finding: what it means.
        line: the number of the first line that has it.
        text: of that line, what is around it.
        count: how many lines have it.
    """

    finding: Finding
    line: int
    text: str
    count: int

    def to_dict(self) -> dict[str, Any]:
        return {**self.finding.to_dict(), "line": self.line, "text": self.text, "count": self.count}


@dataclass(frozen=True)
class Explanation:
    """What a log says.

    Attributes:
        sightings: of rows, first cause first.
        consequences: sightings of words that are never a cause.
        suspects: lines that look like errors; only where there are no sightings of rows.
        lines: how many lines the log has.
    """

    sightings: tuple[Sighting, ...]
    consequences: tuple[Sighting, ...]
    suspects: tuple[Suspect, ...]
    lines: int

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of it as findings; never empty."""
        told = tuple(sighting.finding for sighting in (*self.sightings, *self.consequences))
        return told if self.sightings else (self._unknown(), *told)

    def _unknown(self) -> Finding:
        proof = "\n".join(f"line {suspect.line}: {suspect.text}" for suspect in self.suspects)
        if self.consequences:
            what = f"the log ({self.lines} lines) says that it failed, and nowhere why in words that are known here"
        elif self.suspects:
            what = f"the log ({self.lines} lines) has no words that are known here; some lines look like errors"
        else:
            what = f"the log ({self.lines} lines) has no words that are known here, and none that look like an error"
        return Finding(
            WARNING, "log", what, "the cause is not one of CUDA.md E, or it was written to another log", proof, _SEND
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "lines": self.lines,
            "sightings": [sighting.to_dict() for sighting in self.sightings],
            "consequences": [sighting.to_dict() for sighting in self.consequences],
            "suspects": [vars(suspect) for suspect in self.suspects],
        }

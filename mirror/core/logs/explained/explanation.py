"""What a log says, once it is searched: sightings of symptoms, and what to do when there are none.

It holds the result; ``mirror.core.logs.explained.log`` searches.

Rule: an explanation always has a finding: a log without a known word is said to be unknown, and to be good only where a server
says in it that it answered and nothing in it says that something failed.

Example::

    explanation = explain_stream(stream)
    explanation.findings[0].fix
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mirror.core.logs.explained.ending import Failure
from mirror.core.logs.finding import GOOD, NOTE, WARNING, Finding
from mirror.core.logs.layers import MAY_BE, UNKNOWN
from mirror.core.logs.suspects import Suspect
from mirror.core.words import counted

_SEND = (
    "send its maintainers what 'mirror doctor' prints, the command that started the server, its version and the {}; "
    "a compiler's words are known here in English only (export LC_ALL=C)"
)
_FROM_HERE, _WHOLE = "log from the first of these lines on", "whole log"

NO_LOG, EMPTY, ANSWERED, STOPPED, OPEN, KNOWN, UNEXPLAINED = (
    "no-log", "empty", "answered", "stopped", "open", "known", "unknown",
)  # fmt: skip
"""What is to be said of a log, in a word: open where it tells of no failure, and of no server that answers."""

_EMPTY = Finding(
    NOTE,
    "log",
    "the log is empty (0 bytes)",
    cause="the program has not said anything, or says it elsewhere: on its standard error, or to a journal",
    proof="wc -c",
    fix="start it with '> server.log 2>&1', or ask the collector (journalctl, kubectl logs --previous), and give that log",
)

_NO_TEXT = Finding(
    WARNING,
    "log",
    "this is no text, so no log that can be read here",
    cause="it is compressed, a program's own data, damaged, or text in another encoding than UTF-8",
    proof="its bytes: many are no character of UTF-8 (the command 'file' says what it is)",
    fix="give the log as text: unpack it, or 'iconv -f UTF-16 -t UTF-8 FILE | mirror doctor --log -'",
    certainty=UNKNOWN,
)


@dataclass(frozen=True)
class Sighting:
    """A symptom that stands in the log.

    Attributes:
        finding: what it means.
        line: the number of the first line that has it.
        text: of that line, what is around it.
        count: how many lines have it.
        is_survived: whether the program went on after it, by its own word or as the log shows.
    """

    finding: Finding
    line: int
    text: str
    count: int
    is_survived: bool = False

    @property
    def told(self) -> Finding:
        """The finding; of what was survived, a note."""
        if not self.is_survived:
            return self.finding
        certainty = MAY_BE if self.finding.key else ""  # without one it says no cause
        return replace(self.finding, level=NOTE, what=f"survived: {self.finding.what}", certainty=certainty)

    def to_dict(self) -> dict[str, Any]:
        return {**self.told.to_dict(), "line": self.line, "text": self.text, "count": self.count}


@dataclass(frozen=True)
class Explanation:
    """What a log says.

    Attributes:
        sightings: of rows, first cause first.
        consequences: sightings of words that are never a cause.
        suspects: lines that look like errors; only where nothing is known of what ended it.
        lines: how many lines the log has.
        general: what a general rule says of the end; only where there are no sightings.
        survived: sightings of rows that ended nothing.
        deciding: the line that decided, as far as its form tells; None where no line looks like a failure.
        life: where a server says that it answers, and that it ended because it was asked to, by line, 0 for nowhere; None
            where some line says that something failed.
        is_text: whether it can be a log at all.
        kind: what it is instead, in words, where its first bytes say so.
    """

    sightings: tuple[Sighting, ...]
    consequences: tuple[Sighting, ...]
    suspects: tuple[Suspect, ...]
    lines: int
    general: Finding | None = None
    survived: tuple[Sighting, ...] = ()
    deciding: Failure | None = None
    life: tuple[int, int] | None = None
    is_text: bool = True
    kind: str = ""

    @property
    def is_well(self) -> bool:
        """Whether a server answered, and no line says that something failed."""
        return not self.sightings and self.general is None and self.life is not None and self.life[0] > 0

    @property
    def verdict(self) -> str:
        """One of the words above."""
        if self.kind or not self.lines:
            return NO_LOG if self.kind else EMPTY
        if self.sightings or self.general:
            return KNOWN
        if self.is_well or not self.is_text:
            return ANSWERED if self.is_well else NO_LOG
        if self.life and self.life[1]:
            return STOPPED
        return UNEXPLAINED if self.life is None or self.suspects else OPEN

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of it as findings; never empty."""
        if not self.lines:
            return (self._other_kind() if self.kind else _EMPTY,)
        if self.is_well:
            return (self._well(), *(sighting.told for sighting in self.survived))
        causes = tuple(sighting.told for sighting in self.sightings) or (self.general or self._unknown(),)
        return (*causes, *(sighting.told for sighting in (*self.consequences, *self.survived)))

    @property
    def error(self) -> str:
        """In a line, the error that the first finding speaks of, or that there is none."""
        if self.verdict in (ANSWERED, EMPTY, NO_LOG, OPEN):
            return f"none: {self.findings[0].what}"
        if self.sightings:
            return self.sightings[0].text
        proof = self.findings[0].proof.partition("\n")[0]
        return proof.partition(": ")[2] or f"none was found in the {self.lines} lines of the log"

    def _well(self) -> Finding:
        started, stopped = self.life or (0, 0)
        end = f" and was shut down (line {stopped})" if stopped > started else ""
        failed = "it went on after what failed" if self.survived else "no line of {} says that something failed"
        what = f"the server answered (line {started}){end}; {failed.format(self.lines)}"
        return Finding(GOOD, "log", what)

    def _unknown(self) -> Finding:
        if not self.is_text:
            return _NO_TEXT
        if self.life and self.life[1]:
            return self._stopped(self.life[1])
        if self.life and not self.suspects:
            return self._open()
        decided = [f"line {self.deciding.line} decided: {self.deciding.text}"] if self.deciding else []
        others = [one for one in self.suspects if self.deciding is None or one.line != self.deciding.line]
        proof = "\n".join([*decided, *(f"line {suspect.line}: {suspect.text}" for suspect in others)])
        if self.consequences:
            what = f"the log ({self.lines} lines) says that it failed, and nowhere why in words that are known here"
        elif self.suspects:
            what = f"the log ({self.lines} lines) has no words that are known here; some lines look like errors"
        else:
            what = f"the log ({self.lines} lines) has no words that are known here, and none that look like an error"
        why = "the cause is not one of CUDA.md E, or it was written to another log"
        if self.deciding and self.deciding.is_answer:
            answer = f"a server answered that it failed (line {self.deciding.line})"
            what = f"{answer}, and the log ({self.lines} lines) says nowhere why"
            why = "what it raised was written to another log (its standard error), or its log level leaves it out"
        return Finding(WARNING, "log", what, why, proof, _SEND.format(_FROM_HERE), certainty=UNKNOWN)

    def _open(self) -> Finding:
        last = f"line {self.deciding.line}: {self.deciding.text}, its last words" if self.deciding else ""
        failed = (
            "it went on after what failed" if self.survived else "nothing failed so far in words that are known here"
        )
        return Finding(
            NOTE,
            "log",
            f"{failed}, and no server has answered yet ({counted(self.lines, 'line')})",
            cause="it is still starting; or it has ended, and the words of its end are unknown or in another log",
            proof=last or "no line looks like a failure, and none says that a server answers",
            fix=f"where it still runs, wait, and ask again; where it has ended, {_SEND.format(_WHOLE)}",
            certainty=UNKNOWN,
        )

    def _other_kind(self) -> Finding:
        return Finding(
            WARNING,
            "log",
            f"this is {self.kind}, no log",
            cause="another file was named, or the log is inside of it",
            proof="its first bytes",
            fix="name the log itself; where it is in there, unpack it, and give that",
            certainty=UNKNOWN,
        )

    def _stopped(self, line: int) -> Finding:
        return Finding(
            NOTE,
            "log",
            f"the program was asked to end, and ended (line {line}); no line of {self.lines} says that something failed",
            cause="a person, systemd, Kubernetes, Slurm or the program that had started it told it to (SIGTERM, Ctrl-C)",
            proof=f"line {line}\nto see who: journalctl -u UNIT; kubectl describe pod POD; sacct -j JOB",
            fix="ask there who did: a time or memory limit, or a probe that failed, ends a server that is well",
        )

    def to_dict(self) -> dict[str, Any]:
        decided = self.deciding if self.verdict in (KNOWN, UNEXPLAINED) else None
        return {
            "verdict": self.verdict,
            "what": self.findings[0].what,
            "lines": self.lines,
            "sightings": [sighting.to_dict() for sighting in self.sightings],
            "consequences": [sighting.to_dict() for sighting in self.consequences],
            "suspects": [vars(suspect) for suspect in self.suspects],
            "survived": [sighting.to_dict() for sighting in self.survived],
            **({"general": self.general.to_dict()} if self.general else {}),
            **({"deciding": {"line": decided.line, "text": decided.text}} if decided else {}),
        }

"""What ended a program: of all lines of a log that look like failures, those that belong to its end.

A server survives much: what it says as a warning, what it retries, what fails before it goes on. It then ends of one thing,
which several processes tell, each with a traceback, and which others tell again as their own failure. This finds the
beginning of that end.

Rules: a line that its logger calls information or a warning ended nothing; failures are one end as long as nothing but
shutting down stands between them; what a server answered after (``mirror.core.logs.calm``) was survived; in one end the first
failure is the cause, for in a chain of tracebacks the innermost stands first; what stands at the end of a traceback is a
failure whatever it is called; a line that only says that something failed before (``consequences``) is never the cause.

Example::

    ending = Ending()
    for block in blocks(lines): ending.add(block)
    ending.failures[0].text
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from mirror.core.logs.calm import DONE, FAILED, is_calm, last_answer
from mirror.core.logs.logtext import Block
from mirror.core.logs.origin import origin
from mirror.core.logs.suspects import places, shown
from mirror.core.logs.symptoms.consequences import FRAGMENTS as CONSEQUENCES

_ALARMS = (
    "rror", "ERROR", "xception", "atal", "illed", "NCCL WARN", "FAILED", "annot ", "ould not", "ouldn't", "not found",
    "o such ", "not exist",
    "o space left", "ermission denied", "refused", "imed out", "imeout", "ut of memory", "o matching", "unsatisf", "ailed",
    "ailure", "nable to", "upported", "ssertion", "nterface", "Xid", "undefined ref", "cause", "signal ", "Abort", "panick",
    "dumped", "terminate called", "ismatch", "navailable", "non-zero status", "has no wheels", "matching platform", "o locks",
    "eermem", "aused by", "nvalid", "oom_", "oom-", "OOM", "CANCELLED", "FATAL", "externally-managed", "xceed",
    "code 137",
)  # fmt: skip
"""Parts of words, without the letter that may be a capital."""

_A_BLOCK = 12
"""Lines that are looked at of each alarm in each block, from its beginning, and as many from its end."""

_FIRST, _LAST = 48, 48
"""Failures that are kept of one end."""

_TRACEBACK, _DEEPEST = "Traceback (most recent call last)", 400
"""The beginning of a traceback, and the most lines of one."""

_STOPPING = (
    "[Ss]hut|SHUT|xit|ermin|estroy|lean|[Kk]ill|[Ff]ail|[Ss]top|[Ee]rror|Waiting for (?:app|conn)|Finished|Cancel"
)
_LIVES = ("INFO", "Decode batch", "Prefill batch", "throughput")
_LIFE = re.compile(rf"(?:(?<!NCCL )\bINFO\b|{'|'.join(_LIVES[1:])})(?![^\n]{{0,200}}(?:{_STOPPING}))")
_SIGNS = 4
"""So many lines of a program that goes on, and what was before was survived."""

_TAIL_TRIES = 40
"""Lines of a block's end that are looked at for its last word."""

_NOISE = re.compile(
    r"Traceback \(most recent|\s+File \"|\s*\^|\s*raise\b|\s*$|FAILED: |Last error:|The above exception|During handling of"
    r"|Error details|\s*(?:\.\.\.|return|self\.|for |with |await |assert |from |import |if |try|except|def |class |\d+ \|)"
)
_EXCEPTION = re.compile(
    r"(?:- |E {3}|Caused by: |Error: |panicked at )?"
    r"[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Timeout|Failure|Refused|Enabled)\b"
)


@dataclass(frozen=True)
class Failure:
    """A line that says that something failed.

    Attributes:
        line: its number.
        text: what is shown of it.
        message: all of it (2,000 characters at most) without what loggers put before it, quotes made plain.
        process: who says it; empty where the line does not tell.
        is_raised: whether it stands at the end of a traceback.
        announces: whether what failed stands in the lines after it: it ends in a colon, or has its causes told below.
        is_answer: whether it is a line of an access log: a server's answer that it failed.
    """

    line: int
    text: str
    message: str
    process: str
    is_raised: bool = False
    announces: bool = False
    is_answer: bool = False

    @property
    def is_exception(self) -> bool:
        """Whether it is an exception's own line."""
        return self.is_raised or _EXCEPTION.match(self.message) is not None


class Ending:
    """Collects failures block by block, and forgets those after which the program went on."""

    WORDS: ClassVar[tuple[str, ...]] = _ALARMS
    """What is looked for."""

    def __init__(self) -> None:
        self._first: list[Failure] = []
        self._last: deque[Failure] = deque(maxlen=_LAST)
        self._signs = 0
        self._consequence: Failure | None = None
        self.last: Failure | None = None
        """The last line that is neither calm nor part of a traceback."""
        self.survived_to = 0
        """The last line of a failure after which the program went on; 0 for none."""
        self._before: tuple[int, tuple[Failure, ...]] | None = None
        """What the last answer made survived: ``survived_to`` before it, and the failures."""
        self.outlived: Failure | None = None
        """What decided of the last failures after which a server answered what it was asked for."""
        self.started = 0
        """The last line that says that a server answers; 0 for none."""
        self.answered = 0
        """The last line that shows that it did what it was asked for; 0 for none."""
        self.stopped = 0
        """The last line that says that one ended because it was asked to; 0 for none."""
        self._failed_answers: dict[bool, Failure] = {}
        """The last ones to work and to probes, unless it answered better after them."""

    def add(self, block: Block, held: Container[str] = WORDS) -> None:
        """Look through the next block, in which those of ``WORDS`` may stand that are ``held``."""
        raised = set(_raised(block.folded))
        alarmed = raised.union(*(_places(block.folded, alarm) for alarm in _ALARMS if alarm in held))
        lines = {place[1]: (*place, at) for at in sorted(alarmed, reverse=True) for place in [block.line(at)]}
        position = 0
        for start in sorted(lines):
            number, _, end, at = lines[start]
            failure = _failure(block, number, start, end, at)
            if failure is None:
                continue
            if start in raised:
                failure = replace(failure, is_raised=True)
            elif is_calm(failure.message, _ALARMS):
                continue
            self._look_between(block, position, start)
            position = end
            self._note(failure)
        self._look_between(block, position, len(block.folded))
        self._remember_last(block)
        started = max(block.folded.rfind(words) for words in _STARTED)
        stopped = max(block.folded.rfind(words) for words in _STOPPED)
        if started >= 0:
            number, start, end = block.line(started)
            self.started = self.started if _TAKEN.search(block.folded, start, min(end, start + 4000)) else number
        self.stopped = block.line(stopped)[0] if stopped >= 0 else self.stopped

    def _look_between(self, block: Block, start: int, end: int) -> None:
        """What stands between two failures: signs of life, and answers, after which what failed before was survived."""
        self._signs += _signs(block.folded, start, end)
        at = last_answer(block.folded, start, end, DONE)
        self._look_for_failed(block, start, end, at)
        if at < 0:
            return
        self.answered = block.line(at)[0]
        if self.failures:
            self._before = (self.survived_to, self.failures)
            self.outlived = self.deciding
            self._forget()

    def _look_for_failed(self, block: Block, start: int, end: int, done: int) -> None:
        """Answers that the server failed: one to work is made good by work that was done, one to a probe by any answer."""
        for to_probes in (False, True):
            at = last_answer(block.folded, start, end, FAILED, to_probes)
            done = max(done, last_answer(block.folded, start, end, DONE, to_probes=True)) if to_probes else done
            if at >= 0:
                number, first, last = block.line(at)
                message = origin(block.folded[first : min(last, first + 2000)]).message
                told = Failure(number, shown(block.text, at, first, last), message, "", is_answer=True)
                self._failed_answers[to_probes] = told
            if done > at and (survived := self._failed_answers.pop(to_probes, None)) and not to_probes:
                self.outlived = survived

    @property
    def failed_answer(self) -> Failure | None:
        """The last answer that the server failed, after which it answered no better; None for none."""
        return max(self._failed_answers.values(), key=lambda one: one.line, default=None)

    def _forget(self) -> None:
        self.survived_to = max((one.line for one in self.failures), default=self.survived_to)
        self._first.clear()
        self._last.clear()
        self._consequence = None

    def _remember_last(self, block: Block) -> None:
        end = len(block.folded)
        for _ in range(_TAIL_TRIES):
            start = block.folded.rfind("\n", 0, end) + 1
            failure = _failure(block, block.line(start)[0], start, end, start)
            if failure:
                self.last = failure
                return
            if start == 0:
                return
            end = start - 1

    def _note(self, failure: Failure) -> None:
        if any(words in failure.message for words in CONSEQUENCES):
            if self._before and not self.failures and self._consequence is None:
                # One more answer was under way: what failed before it was the end all the same.
                self.survived_to, kept = self._before
                self._first.extend(kept[:_FIRST])
                self.outlived = self._before = None
            self._consequence = self._consequence or failure
            return
        if self._signs >= _SIGNS:
            self._forget()
        self._signs = 0
        if _INNER.match(failure.message) and self._first and not self._last:
            self._first[-1] = replace(self._first[-1], announces=True)
        if len(self._first) < _FIRST:
            self._first.append(failure)
        else:
            self._last.append(failure)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Those of the end, in order; consequences are not among them."""
        return (*self._first, *self._last)

    @property
    def all_failures(self) -> tuple[Failure, ...]:
        """The failures, or where there are none, what only says that something failed before."""
        return self.failures or ((self._consequence,) if self._consequence else ())

    @property
    def deciding(self) -> Failure | None:
        """The line to show where no rule knows one: the first exception of the end that says something, or else its first
        failure."""
        telling = [one for one in self.failures if not one.announces]
        exceptions = [one for one in telling if one.is_exception and len(one.message.partition(":")[2].strip()) > 1]
        otherwise = self._consequence or self.failed_answer or self.last
        return next(iter((*exceptions, *telling, *self.failures)), otherwise)


def _places(text: str, words: str) -> list[int]:
    return places(text, words, _A_BLOCK, _A_BLOCK)


def _raised(text: str) -> Iterator[int]:
    """Where the last lines of tracebacks begin: what was raised."""
    for at in _places(text, _TRACEBACK):
        column = at - text.rfind("\n", 0, at) - 1
        line = text.find("\n", at) + 1
        frame = text.find('  File "', line, line + column + 8)
        column = frame - line if frame >= 0 else column
        for _ in range(_DEEPEST if line else 0):
            end = text.find("\n", line)
            if end < 0:
                end = len(text)
            if end - line > column and text[line + column] not in " |\t":
                yield line
                break
            if end == len(text):
                break
            line = end + 1


def _failure(block: Block, number: int, start: int, end: int, at: int) -> Failure | None:
    whole = block.folded[start : min(end, start + 4000)]
    said = origin(whole)
    if said.level != "ERROR" or _NOISE.match(said.message):
        return None
    if _GOES_ON.search(said.message) and not _EXCEPTION.match(said.message):
        return None
    if (
        said.message.startswith("    ")
        and '  File "' in block.folded[block.folded.rfind("\n", 0, max(start - 1, 0)) + 1 : start]
    ):
        return None  # a traceback's line of code
    message = said.message[:2000]
    announces = _ANNOUNCES.search(message) is not None
    if _BARE.fullmatch(message) or _VAGUE.fullmatch(message):
        frames = block.folded[max(0, start - _FRAMES) : start].splitlines()[-_FRAME_LINES:]
        message = f"{message}: {' | '.join(origin(line).message.strip() for line in frames)}"
    if _COUNTED.search(message):
        told = block.folded[end : end + _FRAMES].splitlines()[1:3]
        message = f"{message}: {' | '.join(origin(line).message.strip() for line in told)}"
    return Failure(number, shown(block.text, at, start, end), message, said.process, announces=announces)


_GOES_ON = re.compile(
    r"^\W*[Ww]arning: |\b[Ff]all(?:ing|s) back\b|\b[Dd]efaulting to\b|\bsub-?optimal\b|\bconsider installing\b"
    r"|^Unable to find image .{1,200} locally$|^\S+\.py:\d+: \w*Warning: "
)
"""What a program says that goes on in another way."""

_STARTED = ("Application startup complete", "istening on ", "istening at: http", " Running on http", "Serving HTTP on ")
_STOPPED = ("Application shutdown complete", "erver stopped", "eceived SIGTERM", "eceived SIGINT", "erminated")
"""What servers say when they answer (uvicorn's, so vLLM's and SGLang's; many; gunicorn; Flask; Python's own), and what they or
their shell say when they were asked to end."""

_TAKEN = re.compile(r"\b(?:[Aa]lready|[Nn]othing|[Nn]ot?|[Nn]obody|[Cc]annot)\b")
"""Then it is another one that listens, or none."""


_ANNOUNCES = re.compile(
    r":\s*$|\.\.\. error\s*$|NCCL error in: |^nccl\w+Error: |OCI runtime create failed|following (?:error|exception)"
    r"|Ninja build failed"
)
_INNER = re.compile(r"\s*(?:Caused by: |cause: |\u2570\u2500\u25b6 )")
"""Words before, and at the beginning of, what tells the cause of the line above."""

_BARE = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception):?\s*")
"""An exception without words: then its traceback's last lines are what it says."""

_VAGUE = re.compile(
    r"(?:[\w.]*\.)?(?:JSONDecodeError|UnpicklingError|EOFError)\b.*"
    r"|(?:[\w.]*\.)?(?:OS|IO|Operational)Error: (?:\[Errno \d+\] )?"
    r"(?:No space left on device|Bad file descriptor|disk I/O error)"
)
"""Exceptions whose words do not say what they speak of: so do their traceback's last lines."""

_COUNTED = re.compile(r"\d+ validation errors? for \w+\s*$")
"""pydantic counts what is wrong, and says it in the lines that follow."""

_FRAMES, _FRAME_LINES = 1000, 4


def _signs(text: str, start: int, end: int) -> int:
    count = 0
    for words in _LIVES:
        at = text.find(words, start, end)
        while at >= 0 and count < _SIGNS:
            count += _LIFE.match(text, at, end) is not None
            at = text.find(words, at + len(words), end)
    return count

"""Lines of a log that look like errors, for the case that no word of it is known.

Rules: a few of the first and a few of the last that differ in more than their numbers; what is shown is short and has no
control characters, whatever the log holds.

Example::

    suspects = Suspects()
    suspects.add(block)
    suspects.result()
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Container
from dataclasses import dataclass
from typing import ClassVar

from mirror.core.logs.calm import is_calm
from mirror.core.logs.logtext import Block

_ALARMS = (
    "rror:", "Error", "ERROR", "fatal", "FATAL", "Fatal", "CRITICAL", "Exception", "Traceback", "Segmentation fault",
    "core dumped", "panicked at", "FAILED", "Aborted", "undefined symbol", "cannot open",
)  # fmt: skip
_CALM = re.compile(r"\b(?:INFO|DEBUG)\b")
_NUMBERS = re.compile(r"\d+")
_FIRST, _LAST = 6, 4
_A_BLOCK = 8
"""Of each block only so many lines of one alarm are looked at: a log that is all errors is no slower."""

_WIDTH, _LOOKED_AT = 240, 4000


@dataclass(frozen=True)
class Suspect:
    """A line that looks like an error."""

    line: int
    text: str


class Suspects:
    """Collects them block by block."""

    WORDS: ClassVar[tuple[str, ...]] = _ALARMS
    """What is looked for."""

    def __init__(self) -> None:
        self._first: list[Suspect] = []
        self._last: deque[Suspect] = deque(maxlen=_LAST)
        self._shapes: set[str] = set()

    def add(self, block: Block, held: Container[str] = WORDS) -> None:
        """Look through the next block, in which those of ``WORDS`` may stand that are ``held``."""
        found: dict[int, Suspect] = {}
        for alarm in (alarm for alarm in _ALARMS if alarm in held):
            for at in places(block.text, alarm, _A_BLOCK, 1):
                self._take(block, at, found)
        for number in sorted(found):
            self._note(found[number])

    def _take(self, block: Block, at: int, found: dict[int, Suspect]) -> None:
        number, start, end = block.line(at)
        if (
            number not in found
            and not _CALM.search(block.text, start, min(end, start + 120))
            and not is_calm(block.text[start : min(end, start + _LOOKED_AT)], _ALARMS)
        ):
            found[number] = Suspect(number, shown(block.text, at, start, end))

    def _note(self, suspect: Suspect) -> None:
        form = shape(suspect.text)
        if len(self._first) < _FIRST:
            if form not in self._shapes:
                self._shapes.add(form)
                self._first.append(suspect)
        elif form not in self._shapes and all(shape(last.text) != form for last in self._last):
            self._last.append(suspect)

    def result(self) -> tuple[Suspect, ...]:
        return (*self._first, *self._last)


def places(text: str, words: str, first: int, last: int) -> list[int]:
    """Where words stand in a text, once in a line: in the first lines that have them, and in the last ones."""
    found: list[int] = []
    at = text.find(words)
    while at >= 0 and len(found) < first:
        found.append(at)
        end = text.find("\n", at)
        at = text.find(words, end) if end >= 0 else -1
    at = text.rfind(words) if len(found) == first else -1
    for _ in range(last):
        if at < 0 or at in found:
            break
        found.append(at)
        start = text.rfind("\n", 0, at)
        at = text.rfind(words, 0, start) if start >= 0 else -1
    return found


def shape(text: str) -> str:
    """A text without what its numbers say."""
    return _NUMBERS.sub("0", text)


def shown(text: str, at: int, start: int, end: int) -> str:
    """What is shown of a line: the part around an offset, printable.

    Args:
        at: the offset that matters.
        start, end: of the line.
    """
    left, right = max(start, at - _WIDTH // 2), min(end, at + _WIDTH)
    part = "".join(character if character.isprintable() else " " for character in text[left:right])
    return ("\u2026" if left > start else "") + " ".join(part.split()) + ("\u2026" if right < end else "")

"""What a server's log says: which symptoms stand in it, where first, how often, and which of them explains the others.

It holds the search and the order. The symptoms are ``mirror.closed.doctor.symptoms``'s, reading the log is
``mirror.closed.doctor.logtext``'s.

Rules:
(1) a log is read once and never held; each fragment is looked for in a whole block at a time, patterns only around a
    fragment, and only so often in a line: time grows with the log's size and with nothing else;
(2) a symptom that is seen a thousand times is one finding, with its first line and the number of lines;
(3) what explains others comes first; words that are never a cause come last, and alone they are called what they are;
(4) a log without a known word is said to be unknown, and the lines that look like errors are shown.

Example::

    with open_log(Path("server.log")) as stream:
        for finding in explain_stream(stream, install_context(generation)).findings: ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from mirror.closed.doctor.explanation import Explanation, Sighting
from mirror.closed.doctor.finding import LEVELS
from mirror.closed.doctor.logtext import Block, blocks, stream_lines, text_lines
from mirror.closed.doctor.suspects import Suspects, shown
from mirror.closed.doctor.symptom import Context, Symptom, package_of
from mirror.closed.doctor.symptoms import CONSEQUENCES, SYMPTOMS

_AHEAD, _BACK = 600, 400
"""Characters around a fragment in which a pattern is looked for."""

_TRIES = 64
"""How many times a fragment is judged in one line; it may stand there a million times."""

_UNKNOWN = Context()


def explain(lines: Iterable[str], context: Context = _UNKNOWN) -> Explanation:
    """Explain a log that is in memory.

    Args:
        lines: each with or without its newline.
        context: of the install that the log is from, so that the very RPM can be named.
    """
    return _explain(text_lines(lines), context)


def explain_stream(stream: BinaryIO, context: Context = _UNKNOWN) -> Explanation:
    """Explain a log of any size; the stream is read to its end, and not closed.

    Raises:
        OSError: as the stream does.
    """
    return _explain(stream_lines(stream), context)


def _explain(lines: Iterable[tuple[int, str]], context: Context) -> Explanation:
    tally, suspects, last = _Tally(context), Suspects(), 0
    for block in blocks(lines):
        tally.add(_hits(block))
        suspects.add(block)
        last = block.last_line
    sightings, consequences = tally.result()
    return Explanation(sightings, consequences, () if sightings else suspects.result(), last)


@dataclass(frozen=True)
class _Rule:
    symptom: Symptom
    pattern: re.Pattern[str] | None
    near: re.Pattern[str] | None

    def judge(self, block: Block, at: int, line_start: int, length: int) -> Mapping[str, str] | None:
        """The groups found when the symptom stands at ``at``, where one of its fragments does; None when it does not."""
        groups: dict[str, str] = {}
        if self.pattern:
            start = max(line_start, at - _BACK)
            match = self.pattern.search(block.folded[start : at + _AHEAD])
            if match is None or match.start() > at - start + length:  # it stands in a later line
                return None
            groups.update(_named(match))
        if self.near:
            before = list(self.near.finditer(block.back(at)))
            if not before:
                return None
            groups.update(_named(before[-1]))
        return groups


def _named(match: re.Match[str]) -> dict[str, str]:
    """The named groups; ``path2`` stands for ``path`` in another branch of the pattern."""
    found: dict[str, str] = {}
    for name, value in match.groupdict().items():
        base = name.rstrip("0123456789")
        found[base] = found.get(base) or value or ""
    return found


@lru_cache(maxsize=1)
def _rules() -> Mapping[str, tuple[_Rule, ...]]:
    """Fragment -> the rules that look where it stands."""
    found: dict[str, list[_Rule]] = {}
    for symptom in (*SYMPTOMS, *CONSEQUENCES):
        pattern, near = (re.compile(text) if text else None for text in (symptom.pattern, symptom.near))
        for fragment in symptom.fragments:
            found.setdefault(fragment, []).append(_Rule(symptom, pattern, near))
    return {fragment: tuple(rules) for fragment, rules in found.items()}


@dataclass(frozen=True)
class _Hit:
    symptom: Symptom
    groups: Mapping[str, str]
    line: int
    text: str


def _hits(block: Block) -> Iterator[_Hit]:
    for fragment, rules in _rules().items():
        at = block.folded.find(fragment)
        while at >= 0:
            number, start, end = block.line(at)
            open_rules, tries = list(rules), 0
            while 0 <= at < end and open_rules and tries < _TRIES:
                tries += 1
                for rule in list(open_rules):
                    groups = rule.judge(block, at, start, len(fragment))
                    if groups is not None:
                        open_rules.remove(rule)
                        yield _Hit(rule.symptom, groups, number, shown(block.text, at, start, end))
                at = block.folded.find(fragment, at + 1)
            if 0 <= at < end:
                at = block.folded.find(fragment, end)


class _Tally:
    """The hits so far, one entry for each thing that is to be done about them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._first: dict[tuple[Symptom, str], _Hit] = {}
        self._count: dict[tuple[Symptom, str], int] = {}
        self._last: dict[tuple[Symptom, str], int] = {}

    def add(self, hits: Iterable[_Hit]) -> None:
        lines: dict[int, list[_Hit]] = {}
        for hit in hits:
            holds = hit.symptom.holds
            if holds is None or holds(self._context, hit.groups):
                lines.setdefault(hit.line, []).append(hit)
        for number in sorted(lines):
            better = {row for hit in lines[number] for row in hit.symptom.over}
            for hit in lines[number]:
                if hit.symptom.row not in better:
                    self._note(hit)

    def _note(self, hit: _Hit) -> None:
        # Two libraries that are missing are two RPMs to add, and so two findings; two headers of one RPM are one.
        key = (hit.symptom, package_of(hit.symptom.missing(hit.groups), self._context) if hit.symptom.names_rpm else "")
        if self._last.get(key) == hit.line:
            return
        self._first.setdefault(key, hit)
        self._last[key] = hit.line
        self._count[key] = self._count.get(key, 0) + 1

    def result(self) -> tuple[tuple[Sighting, ...], tuple[Sighting, ...]]:
        """Sightings of rows, first cause first, and of consequences."""
        depths = _depths({symptom for symptom, _ in self._first})
        told = sorted(
            self._first.items(),
            key=lambda item: (depths[item[0][0]][0], -LEVELS.index(item[0][0].level), item[1].line),
        )
        sightings = [(hit, self._sighting(key, hit, depths[key[0]][1])) for key, hit in told]
        return (
            tuple(sighting for hit, sighting in sightings if hit.symptom.row),
            tuple(sighting for hit, sighting in sightings if not hit.symptom.row),
        )

    def _sighting(self, key: tuple[Symptom, str], hit: _Hit, cause: str) -> Sighting:
        count = self._count[key]
        often = f" ({count} lines have it)" if count > 1 else ""
        finding = hit.symptom.finding(hit.groups, self._context, f"line {hit.line}{often}: {hit.text}", follows=cause)
        return Sighting(finding, hit.line, hit.text, count)


def _depths(seen: set[Symptom]) -> dict[Symptom, tuple[int, str]]:
    """How many of the others explain a symptom, one behind the other, and the row of the nearest that does."""
    found: dict[Symptom, tuple[int, str]] = {}

    def depth(symptom: Symptom, above: frozenset[Symptom]) -> tuple[int, str]:
        if symptom not in found:
            causes = [
                (depth(other, above | {symptom})[0] + 1, other.row)
                for other in seen - above - {symptom}
                if symptom.row and symptom.row in other.explains
            ]
            found[symptom] = max(causes, default=(0, ""))
        return found[symptom]

    for symptom in seen:
        depth(symptom, frozenset())
    return found

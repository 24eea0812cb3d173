"""What a server's log says: which symptoms stand in it, where first, how often, and which of them explains the others.

It holds the search and the order. ``mirror.core.logs.symptoms`` holds the symptoms,
``mirror.core.logs.logtext`` reads the log.

Rules:
(1) a log is read once and never held; a fragment is looked for in a whole block at a time, and only in one whose words allow
    it (``mirror.core.logs.vocabulary``), a pattern only where its fragment stands, and only so often in a line: time grows
    with the log's size and with nothing else;
(2) a symptom that is seen a thousand times is one finding, with its first line and the number of lines;
(3) what explains others comes first; words that are never a cause come last, and alone they are called what they are;
(4) what a program survived, by its own word or because it went on, is told as that and never as the cause
    (``mirror.core.logs.explained.ending``);
(5) where no known text ended it, a general rule says the layer (``mirror.core.logs.rules``); where none fits either, the line
    that decided is shown and called unknown;
(6) a cause is stated as one only where its words stand at the line that decided, or in what led to it: where something else
    failed before them in the same end, or they stand before the end began, it "may be", and the other line is shown.

Example::

    with open_log(Path("server.log")) as stream:
        for finding in explain_stream(stream, context_of(environment)).findings: ...
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from io import StringIO
from typing import BinaryIO

from mirror.core.logs.explained.ending import Ending, Failure
from mirror.core.logs.explained.explanation import Explanation, Sighting
from mirror.core.logs.finding import LEVELS, PROBLEM, Finding
from mirror.core.logs.layers import MAY_BE
from mirror.core.logs.logtext import Block, blocks, known_blocks, text_lines
from mirror.core.logs.origin import origin
from mirror.core.logs.rules import judge
from mirror.core.logs.suspects import Suspect, Suspects, shape, shown
from mirror.core.logs.symptom import Context, Symptom, package_of
from mirror.core.logs.symptoms import CONSEQUENCES, SYMPTOMS
from mirror.core.logs.vocabulary import Vocabulary

_AHEAD, _BACK = 600, 400
"""Characters around a fragment in which a pattern is looked for."""

_TEXT = 8
"""Of a text, at most one character in so many is none."""

_TRIES = 64
"""How many times a fragment is judged in one line; it may stand there a million times."""

_MOST_LOOKS_BACK = 2000
"""How many times a symptom is looked up in what stands before it."""

_UNKNOWN, _ANY_RELEASE = Context(), "13.0"
_TOOLKIT = re.compile(r"/cuda-(1[1-9]\.\d)(?=[/'\"\s])")


def explain(lines: Iterable[str], context: Context = _UNKNOWN) -> Explanation:
    """Explain a log that is in memory.

    Args:
        lines: each with or without its newline.
        context: of the install that the log is from, so that the very RPM can be named.
    """
    return _explain(blocks(text_lines(lines)), context)


def explain_stream(stream: BinaryIO, context: Context = _UNKNOWN) -> Explanation:
    """Explain a log of any size; the stream is read to its end, unless it is a file of another kind, and not closed.

    Raises:
        OSError: as the stream does.
    """
    kind, found = known_blocks(stream)
    return Explanation((), (), (), 0, is_text=False, kind=kind) if kind else _explain(found, context)


def meaning(text: str) -> str:
    """What the words of a program that failed mean, in a line for the end of an error; empty where nothing is known."""
    first = explain(StringIO(text)).findings[0]
    if not first.key:
        return ""
    return f"which {'may mean' if first.certainty else 'means'}: {first.what}; {first.cause}"


def _explain(found: Iterable[Block], context: Context) -> Explanation:
    search, tally, suspects, ending, last = _Search(), _Tally(context), Suspects(), Ending(), 0
    size = strange = 0
    vocabulary = Vocabulary((*_rules(), *Suspects.WORDS, *Ending.WORDS))
    for block in found:
        held = vocabulary.held(block.folded)
        tally.learn(block)
        tally.add(search.hits(block, held))
        suspects.add(block, held)
        ending.add(block, held)
        last, size = block.last_line, size + len(block.text)
        strange += block.text.count("\ufffd") + block.text.count("\0")
    sightings, consequences = tally.result(ending)
    causes = tuple(one for one in sightings if not one.is_survived)
    survived = tuple(one for one in sightings if one.is_survived)
    if survived and not causes and not ending.failures and ending.answered <= ending.survived_to:
        causes, survived = tuple(replace(one, is_survived=False) for one in survived), ()
    general = None if causes else _general(ending)
    is_alive = not ending.all_failures and ending.failed_answer is None
    life = (ending.started or ending.answered, ending.stopped) if is_alive else None
    found_out = Explanation(
        causes, consequences, (), last, general, survived, ending.deciding, life, strange * _TEXT <= size
    )
    if causes or general:
        return found_out
    if not found_out.is_well:
        return replace(found_out, suspects=_in_order(suspects.result(), ending, is_alive))
    if ending.outlived and all(one.line != ending.outlived.line for one in survived):
        return replace(found_out, survived=(*survived, _outlived(ending.outlived, ending.answered)))
    return found_out


def _outlived(failure: Failure, answered: int) -> Sighting:
    """A failure after which a server answered, and of which no row speaks."""
    why = "a request or a part of the start failed, and the server went on"
    proof = f"line {failure.line}: {failure.text}\nline {answered}: it answered what it was asked for"
    fix = "nothing, where nobody missed an answer; else ask for the same again, and look at the lines before this one"
    finding = Finding(PROBLEM, "log", failure.text, why, proof, fix)
    return Sighting(finding, failure.line, failure.text, 1, is_survived=True)


def _in_order(suspects: tuple[Suspect, ...], ending: Ending, is_alive: bool) -> tuple[Suspect, ...]:
    """Lines that look like errors, with the first failures of the end among them; where there are none, the last word of a log
    that says that something failed."""
    found = list(suspects)
    last = [ending.last] if ending.last and not (is_alive or suspects or ending.failures) else []
    for failure in (*ending.failures[:_SHOWN], *last):
        if all(shape(one.text) != shape(failure.text) for one in found):
            found.append(Suspect(failure.line, failure.text))
    return tuple(sorted(found, key=lambda one: one.line))


_SHOWN = 3
"""Failures of an end that are shown where nothing is known of it."""


_KILLED = re.compile(r"\s*Killed\b")
"""A shell's word of a process that ended; after something failed, it is what became of the others."""


def _general(ending: Ending) -> Finding | None:
    """What the first line of the end that any general rule fits says."""
    raised = min((one.line for one in ending.failures if one.is_exception), default=0)
    found = [
        (failure, *judged)
        for failure in ending.all_failures
        if not (0 < raised < failure.line and _KILLED.match(failure.message)) and (judged := judge(failure.message))
    ]
    found.sort(key=lambda one: not one[1].is_certain)  # stable: of those that allow one cause only, the first
    for failure, rule, groups in found[:1]:
        return _weighed(
            rule.finding(groups, f"line {failure.line}: {failure.text}"), failure.line, failure.line, ending
        )
    return None


def _weighed(finding: Finding, first: int, last: int, ending: Ending) -> Finding:
    """The finding, in doubt where its words, from line ``first`` to ``last``, do not lead to what decided (rule 6)."""
    decided = ending.deciding
    if decided is None or not ending.failures or (first <= decided.line and last >= ending.failures[0].line):
        return finding
    proof = f"{finding.proof}\nline {decided.line} decided otherwise: {decided.text}"
    return replace(finding, certainty=MAY_BE, proof=proof)


@dataclass(frozen=True)
class _Rule:
    symptom: Symptom
    pattern: re.Pattern[str] | None
    lead: re.Pattern[str] | None
    unless: re.Pattern[str] | None
    near: re.Pattern[str] | None
    unless_near: re.Pattern[str] | None

    def judge(self, block: Block, at: int, start: int) -> dict[str, str] | None:
        """The groups found when the symptom stands at ``at``, in the line from ``start``; None when it does not stand there."""
        groups: dict[str, str] = {}
        if self.unless and self.unless.search(block.folded, max(start, at - _BACK), _line_end(block, at)):
            return None
        if self.pattern:
            match = self.pattern.match(block.folded, at, at + _AHEAD)
            if match is None:
                return None
            groups = _named(match.groupdict())
        if self.lead:
            before = self.lead.search(block.folded, max(start, at - _BACK), at)
            if before is None:
                return None
            groups = _named({**before.groupdict(), **(match.groupdict() if self.pattern and match else {})})
        return groups


def _line_end(block: Block, at: int) -> int:
    end = block.folded.find("\n", at, at + _AHEAD)
    return end if end >= 0 else at + _AHEAD


def _named(groups: Mapping[str, str | None]) -> dict[str, str]:
    """The named groups; ``path1`` and ``path2`` together are ``path``."""
    found: dict[str, str] = {}
    for name in sorted(groups):
        base = name.rstrip("0123456789")
        found[base] = found.get(base, "") + (groups[name] or "")
    return found


@lru_cache(maxsize=1)
def _rules() -> Mapping[str, tuple[_Rule, ...]]:
    """Fragment -> the rules that look where it stands."""
    found: dict[str, list[_Rule]] = {}
    for symptom in (*SYMPTOMS, *CONSEQUENCES):
        expressions = (symptom.pattern, symptom.lead, symptom.unless, symptom.near, symptom.unless_near)
        rule = _Rule(symptom, *(re.compile(text, re.MULTILINE) if text else None for text in expressions))
        for fragment in symptom.fragments:
            found.setdefault(fragment, []).append(rule)
    return {fragment: tuple(rules) for fragment, rules in found.items()}


@dataclass(frozen=True)
class _Hit:
    """A symptom at a place."""

    symptom: Symptom
    groups: Mapping[str, str]
    block: Block
    at: int
    line: int
    text: str = ""

    @property
    def is_grave(self) -> bool:
        """Whether the line is no warning, and nothing less, by its logger's word."""
        _, start, end = self.block.line(self.at)
        return origin(self.block.folded[start : min(end, start + _BACK)]).level == "ERROR"

    def shown(self) -> _Hit:
        """The same with what is shown of its line."""
        _, start, end = self.block.line(self.at)
        return replace(self, text=shown(self.block.text, self.at, start, end), block=_NOTHING)


_NOTHING = Block("", "", "", 0, 0)


class _Search:
    """Looks through the blocks of one log."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._answer: dict[str, dict[str, str] | None] = {}

    def hits(self, block: Block, held: Container[str]) -> Iterator[_Hit]:
        for fragment, rules in _rules().items():
            at = block.folded.find(fragment) if fragment in held else -1
            while at >= 0:
                number, start, end = block.line(at)
                wanted = rules
                for _ in range(_TRIES):
                    for rule in wanted:
                        groups = self._judge(rule, block, at, start)
                        if groups is not None:
                            wanted = tuple(other for other in wanted if other is not rule)
                            yield _Hit(rule.symptom, groups, block, at, number)
                    at = block.folded.find(fragment, at + 1, end)
                    if at < 0 or not wanted:
                        break
                at = block.folded.find(fragment, end)

    def _judge(self, rule: _Rule, block: Block, at: int, start: int) -> dict[str, str] | None:
        groups = rule.judge(block, at, start)
        if groups is None or (rule.unless_near and self._before(rule.unless_near, block, at) is not None):
            return None
        if rule.near is None:
            return groups
        answer = self._before(rule.near, block, at)
        return None if answer is None else {**groups, **answer}

    def _before(self, pattern: re.Pattern[str], block: Block, at: int) -> dict[str, str] | None:
        """The groups of a pattern's last match in what stands before; None where it does not stand there."""
        # Reading back is the one thing that costs: in a log that says it for ever, the answer is known by then.
        asked = self._asked[pattern.pattern] = self._asked.get(pattern.pattern, 0) + 1
        if asked <= _MOST_LOOKS_BACK:
            last = None
            for match in pattern.finditer(block.back(at)):
                last = match
            self._answer[pattern.pattern] = None if last is None else _named(last.groupdict())
        return self._answer[pattern.pattern]


class _Tally:
    """The hits so far, one entry for each thing that is to be done about them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._first: dict[tuple[str, str], _Hit] = {}
        self._count: dict[tuple[str, str], int] = {}
        self._last: dict[tuple[str, str], int] = {}
        self._gravest: dict[tuple[str, str], int] = {}

    def learn(self, block: Block) -> None:
        """Without an install, the first toolkit that the log names by its directory tells the release."""
        if not self._context.release:
            named = _TOOLKIT.search(block.text)
            if named:
                self._context = replace(self._context, release=named[1])

    def add(self, hits: Iterable[_Hit]) -> None:
        lines: dict[int, list[_Hit]] = {}
        for hit in hits:
            holds = hit.symptom.holds
            if holds is None or holds(self._context, hit.groups):
                lines.setdefault(hit.line, []).append(hit)
        noted: dict[tuple[str, str], list[_Hit]] = {}
        for number in sorted(lines):
            better = {row for hit in lines[number] for row in hit.symptom.over}
            for hit in lines[number]:
                if hit.symptom.row not in better:
                    noted.setdefault(self._note(hit), []).append(hit)
        for key, found in noted.items():  # the last grave one counts, and is soon found from the end
            self._gravest[key] = next((hit.line for hit in reversed(found) if hit.is_grave), self._gravest.get(key, 0))

    def _note(self, hit: _Hit) -> tuple[str, str]:
        """Count a hit; what it is counted as."""
        # Two libraries that are missing are two RPMs to add, and so two findings; two headers of one RPM are one.
        symptom = hit.symptom
        package = package_of(symptom.missing(hit.groups), _ANY_RELEASE) if "{bring}" in symptom.fix else ""
        key = (symptom.row or symptom.what, package)
        if self._last.get(key) != hit.line:
            if key not in self._first:
                self._first[key] = hit.shown()
            self._last[key] = hit.line
            self._count[key] = self._count.get(key, 0) + 1
        return key

    def result(self, ending: Ending) -> tuple[tuple[Sighting, ...], tuple[Sighting, ...]]:
        """Sightings of rows, first cause first, and of consequences."""
        started = min((one.line for one in ending.failures if one.is_exception), default=0)
        late = {key for key, hit in self._first.items() if hit.symptom.is_late and 0 < started < hit.line}
        self._survived = {key for key in self._first if self._gravest.get(key, 0) <= ending.survived_to} | late
        depths = _depths({hit.symptom for key, hit in self._first.items() if key not in self._survived})
        told = sorted(
            self._first.items(),
            key=lambda item: (
                depths.get(item[1].symptom, _ALONE)[0],
                -LEVELS.index(item[1].symptom.level),
                item[1].line,
            ),
        )
        sightings = [(hit, self._sighting(key, hit, depths.get(hit.symptom, _ALONE)[1], ending)) for key, hit in told]
        return (
            tuple(sighting for hit, sighting in sightings if hit.symptom.row),
            tuple(sighting for hit, sighting in sightings if not hit.symptom.row),
        )

    def _sighting(self, key: tuple[str, str], hit: _Hit, cause: str, ending: Ending) -> Sighting:
        count = self._count[key]
        often = f" ({count} lines have it)" if count > 1 else ""
        finding = hit.symptom.finding(hit.groups, self._context, f"line {hit.line}{often}: {hit.text}", follows=cause)
        if hit.symptom.row and not self._explains_the_end(hit.symptom, ending):
            began = hit.line - _NEAR if hit.symptom.near else hit.line
            finding = _weighed(finding, began, self._last[key], ending)
        return Sighting(finding, hit.line, hit.text, count, key in self._survived)

    def _explains_the_end(self, symptom: Symptom, ending: Ending) -> bool:
        """Whether the line that decided has a row that follows from this one."""
        line = ending.deciding.line if ending.deciding else 0
        return any(hit.line == line and hit.symptom.row in symptom.explains for hit in self._first.values())


_ALONE = (0, "")

_NEAR = 8
"""Lines before a symptom that its ``near`` may speak of: what decided there is part of it."""


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

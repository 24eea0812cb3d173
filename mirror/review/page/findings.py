"""The answers one by one, each with its artifacts; and what changed since the earlier bundle, which answers some of them.

Example::

    findings(report)
"""

from __future__ import annotations

from collections.abc import Iterator

from mirror.core.words import counted, human_bytes
from mirror.review.markup import Html, element, join, word
from mirror.review.questions.diff import Change, Changes
from mirror.review.questions.question import KNOW, Finding, Question
from mirror.review.report.report import Report

_WEIGHTS = {"decide": "decide about it", "look": "look at it", "know": "good to know"}

_GROUPS = {
    "replaced": "Same version, other bytes",
    "added": "New",
    "removed": "Gone",
    "updated": "Another version",
    "rebuilt": "Built again with other bytes",
    "relabelled": "Same bytes under another version",
    "moved": "Same bytes from another place",
}


_WITHOUT_QUESTION = {
    "removed": "What needed these may miss them; nothing of them is installed.",
    "moved": "The bytes are the approved ones; only where they were fetched from differs.",
}


def anchor(path: str) -> str:
    """The id of an artifact's row: the characters of a path are fit for one."""
    return f"a-{path}"


def question_anchor(key: str) -> str:
    """The id of an answer: what changed has a section of its own."""
    return f"changes-{key}" if key in _GROUPS else f"question-{key}"


def findings(report: Report) -> Html:
    """Every question that found something, but for those of the section about changes."""
    found = [question for question in report.questions if question.findings and question.key not in _GROUPS]
    if not found:
        return element(
            "p", "Nothing that was looked for was found. What could not be looked for stands in the summary."
        )
    names = {row.artifact.path: f"{row.artifact.name} {row.artifact.version}".rstrip() for row in report.rows}
    return join(_answer(report, question, names) for question in found)


def _answer(report: Report, question: Question, names: dict[str, str]) -> Html:
    """One item for each finding, so that the heading's count is what the reader counts."""
    title = element("span", _WEIGHTS[question.weight], class_=f"weight {question.weight}")
    narrow = element("ul", *(_item(finding, names) for finding in question.findings), class_="found narrow")
    return element(
        "section",
        element("h3", f"{question.title} ({len(question.findings)}) ", title),
        element("p", question.why + _source(report, question)),
        *([narrow] if question.weight == KNOW else _grouped(question, names)),
        id=question_anchor(question.key),
        class_="answer",
    )


def _grouped(question: Question, names: dict[str, str]) -> Iterator[Html]:
    """The same words of many artifacts are told once, above their list."""
    alike: dict[str, list[Finding]] = {}
    for finding in question.findings:
        alike.setdefault(finding.detail, []).append(finding)
    single = [_item(found[0], names) for words, found in alike.items() if words and len(found) == 1]
    if single:
        yield element("ul", *single, class_="found")
    for words, found in alike.items():
        if not words or len(found) > 1:
            yield element("p", word(words), ":") if words else join(())
            yield element("ul", *(element("li", _to_row(one.path, names)) for one in found), class_="found narrow")


def _item(finding: Finding, names: dict[str, str]) -> Html:
    words = word(finding.detail) if finding.detail else None
    return element("li", _to_row(finding.path, names), ": " if words else None, words)


def _source(report: Report, question: Question) -> str:
    """By what an answer was found, where it is not the bundle alone."""
    if question.key == "policy":
        return f" By {report.policy_result.policy}."
    advisories = report.policy_result.advisories
    return f" By {advisories.source}." if question.key == "vulnerable" and advisories else ""


def _to_row(path: str, names: dict[str, str]) -> Html:
    if path not in names:
        return element("code", path)
    return element("a", word(names[path]), href=f"#{anchor(path)}")


def changes(report: Report) -> Html | None:
    """What differs from the earlier bundle; None without one."""
    if report.changes is None:
        return None
    if report.changes.is_empty:
        return element("p", f"Nothing differs: {_same(report.changes)}.")
    sentence = f"{_same(report.changes)}; {_signed(report.changes.growth)} in all."
    return join((element("p", sentence), *_groups(report)))


def _same(found: Changes) -> str:
    are = "is" if found.same == 1 else "are"
    return f"{counted(found.same, 'artifact')} {are} the same, byte for byte"


def _groups(report: Report) -> Iterator[Html]:
    assert report.changes, "asked only with an earlier bundle"
    for group, title in _GROUPS.items():
        found = getattr(report.changes, group)
        if found:
            yield element("h3", f"{title} ({len(found)})", id=question_anchor(group))
            why = next((question.why for question in report.questions if question.key == group), None)
            yield element("p", why) if why else element("p", _WITHOUT_QUESTION[group])
            yield element("ul", *(_change(change) for change in found), class_="found")
    for title, facts in (("Licence reads differently", report.changes.licences), ("Also", report.changes.facts)):
        if facts:
            yield element("h3", f"{title} ({len(facts)})")
            yield element("ul", *(element("li", word(str(fact))) for fact in facts), class_="found")


def _change(change: Change) -> Html:
    words = word(str(change).replace(" -> ", " \u2192 "))
    shown = element("a", words, href=f"#{anchor(change.new.path)}") if change.new else words
    is_same = change.group in ("replaced", "rebuilt")
    before = join((", before: sha256 ", element("code", change.old.sha256))) if change.old and is_same else None
    return element("li", shown, f" {_signed(change.growth)}" if change.growth else None, before)


def _signed(size: int) -> str:
    sign = "+" if size >= 0 else "\u2212"
    return f"{sign}{human_bytes(abs(size))}"

"""One OSV record: which versions of which Python projects a vulnerability affects, and how bad it is.

``mirror.core.advisories.affected`` decides whether a version is in its ranges; ``mirror.core.advisories.dump`` reads many
records out of a dump, ``mirror.core.advisories.search`` puts those of a bundle together.
The format: https://ossf.github.io/osv-schema/.

Rules: records come from strangers: what is no record is refused with a reason, texts are cut and lose what a terminal would
obey; ranges in git commits say nothing of a wheel; the worst that is said about a vulnerability counts.

Example::

    record = OsvRecord.parse(data)
    record.affects(project_name("torch"), "2.11.0+cu130")       # a Match, or None
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Iterable, NoReturn, Optional

from mirror.core.advisories.affected import MAX_VERSION, Affected, Event, as_version
from mirror.core.advisories.cvss import base_score, severity_of, worst
from mirror.core.names import ProjectName, project_name

MAX_BYTES = 4 << 20
"""The largest record of the Python ecosystem has some hundred kB."""

ECOSYSTEM = "PyPI"

_MAX_SUMMARY, _MAX_ALIASES = 300, 64
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?Z", re.ASCII)
_WORDS = {"critical": "critical", "high": "high", "moderate": "medium", "medium": "medium", "low": "low"}
_EVENTS = ("introduced", "fixed", "last_affected", "limit")


@dataclass(frozen=True)
class Match:
    """What a record says of one version.

    Attributes:
        severity: one of ``cvss.SEVERITIES``.
        score: CVSS 3 base score in tenths; -1 for none.
        fixed: later versions without it, in any order.
    """

    severity: str
    score: int
    fixed: frozenset[str]


@dataclass(frozen=True)
class OsvRecord:
    """One record, as far as Python projects are concerned.

    Attributes:
        id: ``"GHSA-..."``, ``"PYSEC-..."``.
        aliases: other names of the same thing.
        modified: when the source changed it last, to the second, UTC; empty when it does not say.
        withdrawn: whether the source took it back.
        summary: one line, cut.
        affected: by project; empty when it is about other ecosystems only.
    """

    id: str
    aliases: tuple[str, ...]
    modified: str
    withdrawn: bool
    summary: str
    affected: tuple[Affected, ...]

    @classmethod
    def parse(cls, data: bytes) -> OsvRecord:
        """Read a record. Raises ValueError: when it is none, with a reason."""
        if len(data) > MAX_BYTES:
            raise ValueError(f"{len(data)} bytes, more than the {MAX_BYTES} allowed")
        try:
            value = json.loads(data.decode("utf-8"), parse_int=_integer, parse_constant=_no_number)
        except RecursionError:
            raise ValueError("nested too deep") from None
        return cls.of(value)

    @classmethod
    def of(cls, value: Any) -> OsvRecord:
        """The same of a parsed document. Raises ``ValueError`` likewise."""
        record = _table(value, "the record")
        rating = _rating(record)
        affected = [_affected(one, rating) for one in _list(record.get("affected"), "affected")]
        time = _TIME.fullmatch(_text(record.get("modified", ""), "modified"))
        # Real records hold slips of the pen here ("GHSA-jf66-3q76-h5p5,"): no reason to be blind to the rest.
        aliases = sorted({one for one in _list(record.get("aliases"), "aliases") if _is_id(one)})
        return cls(
            id=osv_id(record.get("id")),
            aliases=tuple(aliases[:_MAX_ALIASES]),
            modified=f"{time[1]}Z" if time else "",
            withdrawn=bool(record.get("withdrawn")),
            summary=one_line(_text(record.get("summary") or record.get("details") or "", "summary")),
            affected=tuple(one for one in affected if one),
        )

    def affects(self, project: ProjectName, version: str) -> Optional[Match]:
        """What it says of a project's version; None when it says nothing of it, or was withdrawn.

        Raises:
            ValueError: when it names the project, and whether that version is affected cannot be told.
        """
        if self.withdrawn:
            return None
        ours, problem = as_version(version), ""
        found = []
        for one in self.affected:
            try:
                if one.project == project and one.holds(ours):
                    found.append(one)
            except ValueError as exc:
                problem = str(exc)
        if not found:
            if problem:
                raise ValueError(problem)
            return None
        # Malicious packages are published without a rating: there is nothing to weigh.
        severities = [one.severity for one in found] + ["critical"] * self.id.startswith("MAL-")
        fixed = frozenset(text for one in found for text in one.fixed_after(ours))
        return Match(worst(*severities), max(one.score for one in found), fixed)


def one_line(text: str) -> str:
    """A stranger's text as one line of printable characters, cut."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * _MAX_SUMMARY]).split())
    return line if len(line) <= _MAX_SUMMARY else line[: _MAX_SUMMARY - 3] + "..."


def _affected(value: Any, rating: tuple[str, int]) -> Optional[Affected]:
    one = _table(value, "affected")
    package = _table(one.get("package", {}), "package")
    if package.get("ecosystem") != ECOSYSTEM:
        return None
    severity, score = _rating(one)
    ranges = [_events(each) for each in _list(one.get("ranges"), "ranges")]
    return Affected(
        project=project_name(_text(package.get("name"), "name")[:MAX_VERSION]),
        versions=tuple(_text(version, "versions") for version in _list(one.get("versions"), "versions")),
        ranges=tuple(events for events in ranges if events),
        severity=worst(severity, rating[0]),
        score=max(score, rating[1]),
    )


def _events(value: Any) -> tuple[Event, ...]:
    """The events of a range; none for one in commits."""
    one = _table(value, "ranges")
    if one.get("type") not in ("ECOSYSTEM", "SEMVER"):
        return ()
    events = [_table(event, "events") for event in _list(one.get("events"), "events")]
    return tuple((kind, _text(event[kind], kind)) for event in events for kind in _EVENTS if kind in event)


def _rating(value: dict[str, Any]) -> tuple[str, int]:
    """The worst of what is said about how bad it is, and the highest score."""
    found, scores = ["unknown"], [-1]
    for one in _list(value.get("severity"), "severity"):
        rating = _table(one, "severity")
        score = base_score(_text(rating.get("score"), "score")) if rating.get("type") == "CVSS_V3" else None
        if score is not None:
            scores.append(score)
            found.append(severity_of(score))
    said = value.get("database_specific")
    word = said.get("severity") if isinstance(said, dict) else None
    if isinstance(word, str):
        found.append(_WORDS.get(word.lower(), "unknown"))
    return worst(*found), max(scores)


def osv_id(value: Any) -> str:
    """Check a record's id. Raises ``ValueError`` for what could not be one."""
    text = _text(value, "id")
    if not _is_id(text):
        raise ValueError(f"{one_line(text)!r} is no id")
    return text


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _table(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what}: expected an object, got {type(value).__name__}")
    return value


def _list(value: Any, what: str) -> Iterable[Any]:
    if value is not None and not isinstance(value, list):
        raise ValueError(f"{what}: expected a list, got {type(value).__name__}")
    return value or ()


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what}: expected a text, got {type(value).__name__}")
    return value


def _integer(digits: str) -> int:
    # A number of a million digits takes minutes to read on an old Python, and no field that counts here is one.
    return int(digits) if len(digits) <= 18 else 0


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")

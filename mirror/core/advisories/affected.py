"""The versions of a project that an OSV record is about: listed one by one, and in ranges between events.

``mirror.core.advisories.record`` reads them out of a record.

Rules: the evaluation algorithm of the OSV schema; versions are compared as PEP 440 orders them; the local part of ours
(``+cu130``) is left aside, for publishers of vulnerabilities know no builds; what is listed is affected whatever the ranges
say; what cannot be compared is an error, never a no.

Example::

    Affected(name, (), ((("introduced", "0"), ("fixed", "2.12")),)).holds(Version("2.11.0+cu130"))      # True
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Callable, Tuple

from mirror.core.names import ProjectName
from mirror.core.wheels.versions import Version

MAX_VERSION = 128
"""Characters of a version or a name; real ones have some twenty."""

Event = Tuple[str, str]
"""Its kind, and the version."""


@dataclass(frozen=True)
class Affected:
    """The versions of one project that a record is about.

    Attributes:
        project: normalised.
        versions: listed one by one.
        ranges: each a list of events, in the record's order.
        severity, score: where the record rates this project apart; ``"unknown"`` and -1 when not.
    """

    project: ProjectName
    versions: tuple[str, ...]
    ranges: tuple[tuple[Event, ...], ...]
    severity: str = "unknown"
    score: int = -1

    def holds(self, version: Version) -> bool:
        """Whether a version is affected.

        Raises:
            ValueError: when that cannot be told: only commits are named, or something that is no version.
        """
        if any(_is(operator.eq, listed, version) for listed in self.versions):
            return True
        if not self.ranges and not self.versions:
            raise ValueError("it names no versions, only commits or nothing")
        return any(_in_range(events, version) for events in self.ranges)

    def fixed_after(self, version: Version) -> frozenset[str]:
        """The versions above one that are named as fixed."""
        named = {text for events in self.ranges for kind, text in events if kind == "fixed"}
        return frozenset(text.strip() for text in named if _is(operator.gt, text, version))


def _in_range(events: tuple[Event, ...], version: Version) -> bool:
    """The evaluation algorithm of the OSV schema; events of one version count in the record's order."""
    limits = [text for kind, text in events if kind == "limit" and text != "*"]
    if limits and not any(as_version(text).public > version.public for text in limits):
        return False
    affected = False
    for kind, text in sorted((one for one in events if one[0] != "limit"), key=_event_key):
        if text == "0":
            reached = passed = True
        else:
            reached, passed = version.public >= as_version(text).public, version.public > as_version(text).public
        if kind == "introduced":
            affected = affected or reached
        elif passed if kind == "last_affected" else reached:
            affected = False
    return affected


def _event_key(event: Event) -> tuple[Any, ...]:
    return (0,) if event[1] == "0" else (1, *as_version(event[1]).public)


def _is(compare: Callable[[Any, Any], bool], text: str, version: Version) -> bool:
    """Whether a text compares so with a version; what is none does not."""
    try:
        return compare(as_version(text).public, version.public)
    except ValueError:
        return False


def as_version(text: str) -> Version:
    if len(text) > MAX_VERSION:
        raise ValueError(f"a version of {len(text)} characters")
    return Version(text)

"""What an advisory database says of a bundle's artifacts, on the day of the database: ``meta/vulnerabilities.json``.

The connected side asks a database when a bundle is made (``mirror.connected.papers.osv``); the review room asks a newer dump
later (``mirror.review.report.rescan``); both put the answers together with ``mirror.core.advisories.search``. A site's policy
decides about them.

Rules: the date is the source's own, never a machine's, so that equal inputs give equal bytes; what was not looked at and what
could not be told is said, never left out; strict as all our documents.

Example::

    Advisories.parse(bundle.read(artifact)).counts()        # "1 critical, 2 high"
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mirror.core.advisories.cvss import SEVERITIES, severity
from mirror.core.bundle.manifest import artifact_path
from mirror.core.fields import Fields, by, canonical_json, told
from mirror.core.names import one_of

FORMAT = "mirror-vulnerabilities/1"
PATH = "meta/vulnerabilities.json"
MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Source:
    """Where the knowledge is from.

    Attributes:
        kind: ``"api"`` or ``"dump"``.
        name: URL without credentials, or the dump's file name.
        sha256: of the dump; empty for an API.
        date: the newest change that the source's records show, ``"2026-11-20T08:00:00Z"``; empty when they show none.
        records: how many were read.
        unreadable: how many could not be.
    """

    kind: str = field(metadata=by(one_of(("api", "dump"))))
    name: str
    sha256: str = ""
    date: str = ""
    records: int = 0
    unreadable: int = 0

    @classmethod
    def from_fields(cls, item: Fields) -> Source:
        """All of it must be there, also what is empty."""
        numbers = {name: item.number(name) for name in ("records", "unreadable")}
        return item.fill(cls, sha256=item.text("sha256"), date=item.text("date"), **numbers)

    def __str__(self) -> str:
        return f"{self.name} of {self.date[:10]}" if self.date else f"{self.name}, which gives no date"


@dataclass(frozen=True)
class Finding:
    """One published vulnerability of one artifact.

    Attributes:
        path: of the artifact.
        project, version: what was looked up.
        id: the name that most people know it by.
        aliases: its other names, sorted.
        severity: one of ``cvss.SEVERITIES``.
        score: CVSS 3 base score, ``"9.8"``; empty for none.
        summary: the source's one line.
        fixed: later versions without it, in their order; empty when none is named.
        modified: when the source changed it last.
    """

    path: str = field(metadata=by(artifact_path))
    project: str
    version: str
    id: str
    aliases: tuple[str, ...] = ()
    severity: str = field(default="unknown", metadata=by(severity))
    score: str = ""
    summary: str = ""
    fixed: tuple[str, ...] = ()
    modified: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Everything that it is called."""
        return frozenset((self.id, *self.aliases))

    def __str__(self) -> str:
        fixed = f"fixed in {', '.join(self.fixed[:3])}" if self.fixed else "no fixed version is named"
        score = f" {self.score}" if self.score else ""
        words = f": {self.summary}" if self.summary else ""
        return f"{self.project} {self.version}: {self.id}, {self.severity}{score}, {fixed}{words}"


@dataclass(frozen=True)
class Remark:
    """An artifact and why nothing was found out about it; ``id`` names the record, where it is about one."""

    path: str = field(metadata=by(artifact_path))
    reason: str
    id: str = ""


@dataclass(frozen=True)
class Advisories:
    """``meta/vulnerabilities.json``.

    Attributes:
        source: where the knowledge is from.
        looked_at: paths of the artifacts that were looked up.
        not_covered: those that the source can say nothing about.
        unjudged: records that name an artifact's project, and cannot be held against its version.
        findings: by path, the worst first.
    """

    source: Source
    looked_at: tuple[str, ...] = field(metadata=by(artifact_path))
    not_covered: tuple[Remark, ...] = ()
    unjudged: tuple[Remark, ...] = ()
    findings: tuple[Finding, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Advisories:
        """Inverse of ``encode``. Raises InvalidDocument: with the path to the fault."""
        return Fields.read(data, "Advisories", FORMAT, MAX_BYTES).fill(cls)

    def encode(self) -> bytes:
        return canonical_json(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        lists = told(self, "looked_at", "not_covered", "unjudged", "findings")
        return {**lists, "format": FORMAT, "source": vars(self.source)}

    def counts(self) -> str:
        """``"1 critical, 2 high"``; ``"none"``."""
        severities = [finding.severity for finding in self.findings]
        return ", ".join(f"{severities.count(word)} {word}" for word in SEVERITIES if word in severities) or "none"

    def summary(self) -> str:
        """One sentence for whoever made or checks the bundle."""
        gaps = [f"{len(self.not_covered)} files are not covered by it"] * bool(self.not_covered)
        gaps += [f"{len(self.unjudged)} of its records could not be judged"] * bool(self.unjudged)
        gaps += [f"{self.source.unreadable} of its records could not be read"] * bool(self.source.unreadable)
        return f"known vulnerabilities by {self.source}: " + "; ".join([self.counts(), *gaps])

"""Judging a bundle again, offline, with a newer dump of an advisory database: what has become known since it was made.

``mirror.core.advisories.dump`` reads the dump; a site's policy (``mirror.core.policy.rules``) decides about it.

Rules: the bundle is trusted before anything in it is read, and is not changed; what it was said to be free of then is compared
with what is known now, by every name that a vulnerability has; a dump that is older than the bundle's own is told.

Example::

    result = rescan(bundle, Path("PyPI/all.zip"))
    result.new
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from mirror.core.advisories.cvss import SEVERITIES
from mirror.core.advisories.dump import search_dump
from mirror.core.advisories.known import Advisories, Finding
from mirror.core.bundle.manifest import Manifest
from mirror.core.bundle.reader import Bundle
from mirror.core.fields import told
from mirror.core.progress import SILENT, Progress
from mirror.review.questions.contents import advisories_of


@dataclass(frozen=True)
class Rescan:
    """What is known now, beside what was known when the bundle was made.

    Attributes:
        manifest: of the bundle.
        before: the bundle's own advisories; None when it carries none.
        now: the dump's.
        new: findings that the bundle's own advisories do not have, the worst first.
        gone: findings of theirs that were withdrawn or corrected since.
        fixed: findings of both for which a fixed version is named now, and was not then.
        worse: findings of both that are rated worse now.
    """

    manifest: Manifest
    before: Optional[Advisories]
    now: Advisories
    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    fixed: tuple[Finding, ...]
    worse: tuple[Finding, ...]

    @property
    def is_older(self) -> bool:
        """Whether the dump is older than what the bundle carries."""
        return self.before is not None and self.now.source.date < self.before.source.date

    @property
    def known(self) -> int:
        """How many findings both have."""
        return len(self.now.findings) - len(self.new)

    def to_dict(self) -> dict[str, Any]:
        groups = {name: getattr(self, name) for name in ("new", "gone", "fixed", "worse")}
        return {
            "name": self.manifest.name,
            "sequence": self.manifest.sequence,
            "before": vars(self.before.source) if self.before else None,
            "known": self.known,
            **{name: [told(finding) for finding in group] for name, group in groups.items()},
            "now": self.now.to_dict(),
        }


def rescan(bundle: Bundle, dump: Path, progress: Progress = SILENT) -> Rescan:
    """Judge a trusted bundle by a dump.

    Raises:
        BadDump, Unreadable: as ``search_dump``.
        DigestMismatch, InvalidDocument: when the bundle's own advisories are not as signed, or break their form.
    """
    return compare(bundle.manifest, advisories_of(bundle), search_dump(dump, bundle.manifest.artifacts, progress))


def compare(manifest: Manifest, before: Optional[Advisories], now: Advisories) -> Rescan:
    """What has changed from one to the other."""
    then = before.findings if before else ()
    pairs = [(finding, _same(finding, then)) for finding in now.findings]
    both = [(finding, old) for finding, old in pairs if old]
    return Rescan(
        manifest,
        before,
        now,
        new=_ordered(finding for finding, old in pairs if old is None),
        gone=_ordered(old for old in then if _same(old, now.findings) is None),
        fixed=_ordered(finding for finding, old in both if finding.fixed and not old.fixed),
        worse=_ordered(finding for finding, old in both if _rank(finding) < _rank(old)),
    )


def _same(finding: Finding, others: Iterable[Finding]) -> Optional[Finding]:
    """The finding that is about the same thing in the same artifact."""
    return next((one for one in others if one.path == finding.path and one.names & finding.names), None)


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda one: (_rank(one), one.path, one.id)))


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)

"""What a reviewer holds a bundle against: published vulnerabilities, and their site's policy.

``mirror.core.policy.rules`` holds the rules, ``mirror.core.advisories.known`` the advisories; here is only which of them are
applied, and what it means that they cannot be.

Rules: newer advisories take the place of the bundle's own; a policy that cannot be applied is said to be so, never taken for
kept; the day is an argument, for it decides what is ignored until a date.

Example::

    Judgement(policy=read_policy(path), policy_file=path.name, today="2026-11-21").apply(contents, carried)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mirror.core.advisories.known import Advisories
from mirror.core.policy.document import Ignored, Policy
from mirror.core.policy.rules import Breach, FactsMissing, hold
from mirror.review.questions.contents import Contents


@dataclass(frozen=True)
class PolicyResult:
    """What the advisories and the policy say of a bundle.

    Attributes:
        advisories: those that count; None when nobody asked a database.
        breaches: of the policy, as far as it could be applied; None when none was given.
        ignored: what the policy says of the findings that it ignores on that day, by the finding's path and id.
        lacking: why it was not applied, or not all of it; empty when it was.
        policy: its file and the day on which it was applied, in words; empty without one.
    """

    advisories: Advisories | None = None
    breaches: tuple[Breach, ...] | None = None
    lacking: str = "no policy was given"
    policy: str = ""
    ignored: Mapping[tuple[str, str], Ignored] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """What the reviewer brings along.

    Attributes:
        advisories: newer ones than the bundle's own.
        policy: of their site, and the name of its file.
        today: ``"2026-11-21"``; this machine's date by default.
    """

    advisories: Advisories | None = None
    policy: Policy | None = None
    policy_file: str = "policy.toml"
    today: str = ""

    def apply(self, contents: Contents, carried: Advisories | None) -> PolicyResult:
        """Judge a bundle by it, which carries these advisories itself."""
        advisories = self.advisories or carried
        if self.policy is None:
            return PolicyResult(advisories)
        words = f"{self.policy_file} on {self.today}" if self.today else self.policy_file
        verdict = hold(contents.manifest, contents.dossier, advisories, self.policy, self.today)
        lacking = str(FactsMissing(verdict.missing)) if verdict.missing else ""
        ignored = {(finding.path, finding.id): why for finding, why in verdict.ignored}
        return PolicyResult(advisories, verdict.breaches, lacking, words, ignored)

"""What is known of a bundle's artifacts beyond their own bytes: published vulnerabilities, and what the site's policy forbids.

It holds values only; where they come from is ``mirror.core.advisories``'s and the policy's, how they are shown the report's.

Example::

    Judgement(Advisories.parse(bundle.read(carried)), breaches=(Breach(path, "licences", "GPL-3.0-only is not allowed"),))
"""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.advisories import Advisories


@dataclass(frozen=True)
class Breach:
    """Something in which an artifact is against the site's policy.

    Attributes:
        path: the artifact.
        rule: which rule of the policy.
        words: what it asks for and what was found.
    """

    path: str
    rule: str
    words: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.words}"


@dataclass(frozen=True)
class Judgement:
    """All of it; None where nobody asked.

    Attributes:
        advisories: what a database of vulnerabilities says of the bundle.
        breaches: of the policy.
    """

    advisories: Advisories | None = None
    breaches: tuple[Breach, ...] | None = None

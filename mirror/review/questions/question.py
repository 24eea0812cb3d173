"""A question that a reviewer asks of a bundle, and the artifacts that are its answer.

``mirror.review.questions.questions`` holds the questions themselves; ``mirror.review.page`` shows the answers.

Rules: a question that cannot be answered says so and is never taken for answered with no; every answer names its artifact;
nothing here refuses anything.

Example::

    Question("yanked", LOOK, "Withdrawn by its publisher", "...", (Finding("wheels/a-1-py3-none-any.whl", "broken metadata"),))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mirror.core.bundle.dossier import FileFacts
from mirror.core.bundle.manifest import Artifact
from mirror.review.questions.contents import Contents
from mirror.review.questions.diff import Changes
from mirror.review.questions.judgement import PolicyResult
from mirror.review.questions.paths import Reason

DECIDE, LOOK, KNOW = "decide", "look", "know"
"""How much an answer weighs: decide about it before anything else, look at it, or know it."""


@dataclass(frozen=True)
class Subject:
    """What the questions are asked of.

    Attributes:
        reasons: why each artifact is in it, by its path.
        changes: since an earlier bundle; None without one.
        policy_result: what the advisories and the policy say of it.
    """

    contents: Contents
    reasons: Mapping[str, Reason]
    changes: Changes | None = None
    policy_result: PolicyResult = field(default_factory=PolicyResult)

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """All but what mirror itself wrote about them."""
        return tuple(one for one in self.contents.manifest.artifacts if one.kind is not None)

    @property
    def facts(self) -> tuple[FileFacts, ...]:
        """What is known of them; nothing without a dossier."""
        return self.contents.dossier.files if self.contents.dossier else ()


@dataclass(frozen=True)
class Finding:
    """One artifact to look at, by its path in the bundle, and what was found; ``detail`` may be empty."""

    path: str
    detail: str = ""


@dataclass(frozen=True)
class Question:
    """One question and its answer.

    Attributes:
        key: ``"built-here"``; the same in every report.
        weight: ``DECIDE``, ``LOOK`` or ``KNOW``.
        title: what was looked for.
        why: why it matters; one sentence.
        findings: the artifacts concerned; one may be there several times, and each time counts.
        unknown: why there is no answer, or none in full beside ``findings``; empty when there is one.
    """

    key: str
    weight: str
    title: str
    why: str
    findings: tuple[Finding, ...] = ()
    unknown: str = ""

    @property
    def looked(self) -> str:
        """How far it was answered, where it was not in full; empty where it was."""
        return "" if not self.unknown else "looked for in part" if self.findings else "not looked for"

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "findings": [vars(finding) for finding in self.findings]}

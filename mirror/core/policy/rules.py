"""Holding a bundle against a site's policy: every breach at once, each a sentence that names both sides.

``mirror.core.policy.document`` reads the policy's file. The facts are the bundle's own, signed with it: its dossier and its
advisories.

Rules: a rule whose facts the bundle does not carry is not taken for kept: the others are applied, and it is said what could not
be judged and why; what a rule cannot tell of one file is a breach of it; the day matters only for what is ignored until a date.

Example::

    judge(policy, manifest, bundle.read).enforce()      # raises PolicyBreached
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Callable, Optional

from mirror.core.advisories import known as advisory
from mirror.core.advisories.known import Advisories, Finding, Remark
from mirror.core.bundle import dossier as dossiers
from mirror.core.bundle.dossier import Dossier, FileFacts
from mirror.core.bundle.manifest import BUILT, Artifact, Manifest
from mirror.core.errors import MirrorError
from mirror.core.kinds import KINDS, kind_named
from mirror.core.policy.document import Ignored, LicenceRule, Policy, VulnerabilityRule
from mirror.core.policy.spdx import is_allowed

_SHOWN = 8
_IGNORED = "vulnerabilities.ignored"


@dataclass(frozen=True)
class Breach:
    """Something in which an artifact is against the policy.

    Attributes:
        path: the artifact.
        rule: ``"licences"``, ``"vulnerabilities"``, ``"waivers"``, or ``"files.hooks"`` and the like.
        words: a sentence that names both sides.
        allow: what would allow it, as a policy says it in TOML; empty where no policy can.
    """

    path: str
    rule: str
    words: str
    allow: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.words


class PolicyBreached(MirrorError):
    """A bundle holds what the site's policy forbids.

    Attributes:
        breaches: all of them.
        missing: what could not be judged besides, each a phrase; as in ``FactsMissing``.
    """

    ref = "policy-breached"
    exit_code = 123
    hint = (
        "Replace what is named, or let whoever answers for the policy allow it there, as shown, with a reason; then run the "
        "command again."
    )
    message = "against the policy: {breaches:first}"

    breaches: tuple[Breach, ...]
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        kinds = {one.path.partition("/")[0] for one in self.breaches if one.rule == "licences"}
        for kind in KINDS:
            if kind.licensed_by and kind.directory in kinds:
                self.hint += f" The licence of a {kind.singular} is said by {kind.licensed_by}."
        if self.missing:
            self.hint += f" {FactsMissing.hint}"

    def context(self) -> str:
        first: dict[str, str] = {}
        for one in self.breaches:
            if one.allow:
                first.setdefault(one.rule, one.allow)
        return "\n".join(
            (
                *map(str, self.breaches[1:]),
                *(f"not judged: the bundle carries {one}" for one in self.missing),
                *(["a policy that allows such a thing says:"] if first else []),
                *(f"    {line}" for allow in first.values() for line in allow.splitlines()),
            )
        )


class FactsMissing(MirrorError):
    """The policy asks for something that the bundle does not tell, so that it cannot be applied in full.

    Attributes:
        missing: each a phrase: what is missing and what needs it.
    """

    ref = "policy-facts-missing"
    exit_code = 124
    hint = "Make the bundle again with this mirror, with --osv for a policy about vulnerabilities."
    message = "the policy cannot be applied in full: the bundle carries {missing: and }"

    missing: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What came of holding a bundle against a policy.

    Attributes:
        breaches: all that the facts tell, in the manifest's order, then by rule.
        missing: facts that the policy needs and the bundle does not carry: a phrase each, what is missing and what needs it.
        ignored: findings that the policy ignores on this day, each with its words about that.
    """

    breaches: tuple[Breach, ...]
    missing: tuple[str, ...] = ()
    ignored: tuple[tuple[Finding, Ignored], ...] = ()

    def enforce(self) -> None:
        """Refuse what is against the policy, or cannot be judged by it.

        Raises:
            PolicyBreached: with every breach, and what could not be judged besides.
            FactsMissing: when there is none, and not all could be judged.
        """
        if self.breaches:
            raise PolicyBreached(self.breaches, self.missing)
        if self.missing:
            raise FactsMissing(self.missing)


def judge(policy: Policy, manifest: Manifest, read: Callable[[Artifact], bytes], today: str = "") -> Verdict:
    """Everything in which a bundle is against a policy, by the facts that it carries.

    Args:
        read: gives a small artifact's bytes.
        today: ``"2026-11-20"``; this machine's date by default.

    Raises:
        InvalidDocument: when the dossier or the advisories break their form.
    """
    there = {path: manifest.find(path) for path in (dossiers.PATH, advisory.PATH)}
    described, known = (read(artifact) if artifact else None for artifact in there.values())
    dossier = Dossier.parse(described) if described is not None else None
    advisories = Advisories.parse(known) if known is not None else None
    return hold(manifest, dossier, advisories, policy, today)


def hold(
    manifest: Manifest,
    dossier: Optional[Dossier],
    advisories: Optional[Advisories],
    policy: Policy,
    today: str = "",
) -> Verdict:
    """``judge``, by facts that were read already.

    Args:
        dossier, advisories: as the bundle carries them; None where it does not.
        today: as for ``judge``.
    """
    missing = []
    if policy.needs_dossier and dossier is None:
        missing.append(f"no {dossiers.PATH}, which tells licences, waivers and what is in the files")
    if policy.vulnerabilities and advisories is None:
        missing.append(f"no {advisory.PATH}, which tells known vulnerabilities")
    artifacts = [artifact for artifact in manifest.artifacts if artifact.kind is not None]
    facts = {one.path: one for one in dossier.files} if dossier else None
    found: list[Breach] = []
    ignored: tuple[tuple[Finding, Ignored], ...] = ()
    for artifact in artifacts:
        found += _of_artifact(artifact, facts, policy)
    if policy.vulnerabilities and advisories:
        day = today or time.strftime("%Y-%m-%d", time.gmtime())
        found += _vulnerabilities(policy.vulnerabilities, advisories, artifacts, day)
        pairs = ((finding, policy.vulnerabilities.ignoring(finding.names, day)) for finding in advisories.findings)
        ignored = tuple((finding, one) for finding, one in pairs if one)
    return Verdict(tuple(found), tuple(missing), ignored)


def _of_artifact(artifact: Artifact, facts: Optional[Mapping[str, FileFacts]], policy: Policy) -> Iterator[Breach]:
    title = f"{artifact.name} {artifact.version}".strip()
    for rule, words in _built(artifact, policy):
        yield Breach(artifact.path, rule, f"{title} {words}", _allows_too(policy, rule, artifact.name))
    if facts is None or not policy.needs_dossier:
        return
    known = facts.get(artifact.path)
    if known is None:
        yield Breach(artifact.path, "dossier", f"{title}: the dossier says nothing of it, the policy asks")
        return
    words = _licence(artifact, known, policy.licences) if policy.licences else ""
    if words:
        allow = _with_reason("licences.exception", "name", artifact.name)
        yield Breach(artifact.path, "licences", f"{title} {words}", allow)
    for waiver in known.waivers if policy.waivers is not None else ():
        if waiver.by not in (policy.waivers or ()):
            who = f"lets {_listed(policy.waivers)} waive" if policy.waivers else "lets nobody waive"
            sentence = f"{title}: {waiver.rule} is waived by {waiver.by!r}, the policy {who}"
            allow = f"[waivers]\nby = {json.dumps([*(policy.waivers or ()), waiver.by])}"
            yield Breach(artifact.path, "waivers", sentence, allow)
    for rule, words in _contents(artifact, known, policy):
        yield Breach(artifact.path, rule, f"{title} {words}", _allows_too(policy, rule, artifact.name))


def _allows_too(policy: Policy, rule: str, name: str) -> str:
    """A rule of ``[files]`` as it reads when it allows this name besides."""
    key = rule.partition(".")[2]
    allowed = dict(policy.files)[key].allows
    return f"[files]\n{key} = {json.dumps([*(allowed if isinstance(allowed, tuple) else ()), name])}"


def _with_reason(table: str, key: str, name: str) -> str:
    return f'[[{table}]]\n{key} = {json.dumps(name)}\nreason = "..."'


def _licence(artifact: Artifact, facts: FileFacts, rule: LicenceRule) -> str:
    """What is wrong with a licence; empty for nothing."""
    if artifact.name in (name for name, _ in rule.exceptions):
        return ""
    try:
        if facts.licence and not is_allowed(facts.licence, rule.allowed):
            return f"is under {facts.licence!r}, the policy allows {_listed(rule.allowed)}"
        if facts.licence:
            return ""
    except ValueError:  # no expression: words, whatever the dossier calls it
        pass
    said = facts.licence or facts.licence_stated
    if rule.unknown or (said and _plain(said) in (_plain(words) for words in rule.words)):
        return ""
    if said:
        return f"is under {said!r} in its publisher's words, the policy allows {_listed((*rule.allowed, *rule.words))}"
    return f"names no licence, the policy allows {_listed(rule.allowed)}"


def _built(artifact: Artifact, policy: Policy) -> Iterator[tuple[str, str]]:
    rule = dict(policy.files).get("built")
    if rule and artifact.origin == BUILT and not rule.allows_for(artifact.name):
        yield "files.built", f"was built by the bundle's maker, the policy allows that for {_who(rule.allows)}"


def _contents(artifact: Artifact, facts: FileFacts, policy: Policy) -> Iterator[tuple[str, str]]:
    """What is in a file and forbidden there."""
    unsigned = kind_named(facts.kind).unsigned and not facts.signer
    told = {
        "hooks": f"runs {_listed(facts.hooks)} whenever Python starts" if facts.hooks else "",
        "native": f"holds {facts.native} native files" if facts.native else "",
        "setuid": f"asks for setuid or setgid ({_listed(facts.setuid)})" if facts.setuid else "",
        "unsigned": "carries no signature of its publisher" if unsigned else "",
    }
    for key, rule in policy.files:
        if told.get(key) and not rule.allows_for(artifact.name):
            yield f"files.{key}", f"{told[key]}, the policy allows that for {_who(rule.allows)}"


def _vulnerabilities(
    rule: VulnerabilityRule, advisories: Advisories, artifacts: Iterable[Artifact], today: str
) -> Iterator[Breach]:
    blocks = f"the policy blocks {_listed(rule.block)}"
    expired = {one.id: one.expires for one in rule.ignored if not one.counts(today)}
    for finding in advisories.findings:
        if finding.severity in rule.block and not rule.ignoring(finding.names, today):
            late = [
                f" (ignored until {expired[name]}, it is {today})" for name in sorted(finding.names & expired.keys())
            ]
            sentence = f"{finding}; {blocks}{''.join(late)}"
            yield Breach(finding.path, "vulnerabilities", sentence, _with_reason(_IGNORED, "id", finding.id))
    if "unknown" not in rule.block:
        return
    seen = {*advisories.looked_at, *(one.path for one in advisories.not_covered)}
    nothing = [Remark(one.path, "it was not looked up") for one in artifacts if one.path not in seen]
    for remark in (*advisories.unjudged, *nothing):
        if not rule.ignoring((remark.id,), today):
            name = remark.path.rpartition("/")[2]
            about = f"{remark.id} cannot be judged: " if remark.id else ""
            allow = _with_reason(_IGNORED, "id", remark.id) if remark.id else ""
            yield Breach(remark.path, "vulnerabilities", f"{name}: {about}{remark.reason}; {blocks}", allow)


def _plain(words: str) -> str:
    return " ".join(words.casefold().split())


def _who(allows: object) -> str:
    return _listed(allows) if isinstance(allows, tuple) else "nobody"


def _listed(names: Iterable[str]) -> str:
    every = tuple(names)
    return ", ".join(every[:_SHOWN]) + (f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "") or "nothing"

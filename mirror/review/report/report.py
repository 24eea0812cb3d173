"""The review report: everything that a person needs to decide about one bundle, as plain data.

``mirror.review.page`` makes the page of it; ``to_dict`` is the same for machines: `mirror help json` tells its keys.
The build logs and licence texts are in the page only: they are members of the bundle.

Rules: every byte of the bundle was checked before; nothing in it depends on a clock; what is not known is told as not known.

Example::

    with open_bundle(path) as bundle:
        report = make_report(bundle, root)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mirror import __version__
from mirror.core.bundle import dossier as dossiers
from mirror.core.bundle.dossier import Dossier, FileFacts
from mirror.core.bundle.manifest import BUILT, Artifact
from mirror.core.bundle.reader import Bundle
from mirror.core.fields import told
from mirror.core.progress import SILENT, Progress
from mirror.core.trust.root import Root
from mirror.core.trust.verdict import BundleRejected, check_refusals
from mirror.review.decisions.commands import Commands, commands
from mirror.review.decisions.recipes import with_openssl, with_ssh_keygen
from mirror.review.questions.contents import Contents, advisories_of, dossier_of, last_root_of
from mirror.review.questions.diff import Changes, compare
from mirror.review.questions.judgement import Judgement, PolicyResult
from mirror.review.questions.paths import Reason, reasons
from mirror.review.questions.question import Question, Subject
from mirror.review.questions.questions import look
from mirror.review.report.inventory import Inventory, take_inventory

REFUSED, WAITING, APPROVED, UNASKED = "refused", "waiting", "approved", "unasked"

MAX_LOG_BYTES = 200 << 10
MAX_LICENCES_BYTES = 4 << 20
_HEAD_SHARE = 8
"""Of a text that is cut, one part in so many is its beginning; the rest its end, where a build says how it ended."""


@dataclass(frozen=True)
class Row:
    """One artifact.

    Attributes:
        facts: from the dossier; None when it tells nothing of it.
        why: why it is in the bundle.
        log: path of its build log in the bundle; empty when it came as it is.
        questions: the keys of the questions that found something.
    """

    artifact: Artifact
    facts: FileFacts | None
    why: Reason
    log: str = ""
    questions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        facts = told(self.facts) if self.facts else None
        return {**self.artifact.to_dict(), "facts": facts, "why": self.why.to_dict(), "questions": list(self.questions)}


@dataclass(frozen=True)
class Signatory:
    """A key that may sign the bundle, and whether it has."""

    role: str
    name: str
    fingerprint: str
    signed: bool


@dataclass(frozen=True)
class Report:
    """All of it.

    Attributes:
        file: the bundle's name.
        inventory: what it holds and who signed, every byte checked.
        root: the one that judged.
        dossier: what it says of its artifacts; None when it says nothing.
        rows: its artifacts outside ``meta/``, in order.
        questions: every question with its answer.
        commands, recipes: how to decide, and how to check without mirror (by the program that it needs).
        refusal: the refusal that stands; None without one.
        since, changes: the earlier bundle and what changed; None without one.
        policy_result: what the advisories and the policy say of it.
        logs, licences: texts for people, cut where they are too long.
    """

    file: str
    inventory: Inventory
    root: Root
    dossier: Dossier | None
    rows: tuple[Row, ...]
    questions: tuple[Question, ...]
    commands: Commands
    recipes: Mapping[str, str]
    refusal: BundleRejected | None = None
    since: Contents | None = None
    changes: Changes | None = None
    policy_result: PolicyResult = field(default_factory=PolicyResult)
    logs: Mapping[str, str] = field(default_factory=dict)
    licences: str = ""

    @property
    def standing(self) -> str:
        """What the signatures say: ``REFUSED``, ``WAITING``, ``APPROVED``, or ``UNASKED`` where nobody has to approve."""
        if self.refusal:
            return REFUSED
        if self.inventory.missing:
            return WAITING
        return APPROVED if self.root.approver.threshold else UNASKED

    @property
    def documents(self) -> tuple[Artifact, ...]:
        """What mirror wrote about the rest: locks, logs, licences, the list of parts."""
        return self.inventory.manifest.within("meta")

    def signatories(self) -> tuple[Signatory, ...]:
        """The builders' and approvers' keys."""
        signed = {(role, name) for role, names in self.inventory.signers.items() for name in names}
        return tuple(
            Signatory(word, key.name, key.public.fingerprint, (word, key.name) in signed)
            for word, role in self.root.roles()
            if word != "root"
            for key in role.keys
        )

    def to_dict(self) -> dict[str, Any]:
        """For machines: ``mirror-report/1``."""
        refusal, dossier = self.refusal, self.dossier
        return {
            "file": self.file,
            "made_by": f"mirror {__version__}",
            "verified": "every byte",
            "inventory": self.inventory.to_dict(),
            "standing": self.standing,
            "refusal": {"who": refusal.who, "at": refusal.at, "note": refusal.note} if refusal else None,
            "keys": [vars(one) for one in self.signatories()],
            "root": {"version": self.root.version, "fingerprint": self.root.fingerprint, "expires": self.root.expires},
            "dossier": dossier is not None,
            **{key: list(getattr(dossier, key, ())) for key in ("requirements", "packages", "notes")},
            "questions": [question.to_dict() for question in self.questions],
            "since": self._since(),
            "artifacts": [row.to_dict() for row in self.rows],
            "documents": [{"path": one.path, "size": one.size, "sha256": one.sha256} for one in self.documents],
            "advisories": self.policy_result.advisories.to_dict() if self.policy_result.advisories else None,
            "policy": self.policy_result.policy or None,
            "recipes": dict(self.recipes),
            "commands": vars(self.commands),
        }

    def _since(self) -> dict[str, Any] | None:
        if self.since is None or self.changes is None:
            return None
        signers = self.since.signers
        return {
            "file": self.since.label,
            "approved_by": None if signers is None else list(signers.get("approver", ())),
            "changes": self.changes.to_dict(),
        }


def make_report(
    bundle: Bundle,
    root: Root,
    since: Contents | None = None,
    judgement: Judgement | None = None,
    progress: Progress = SILENT,
) -> Report:
    """Check every byte of a bundle, and gather what is known of it.

    Args:
        root: the trusted one. Approvals may be missing, and the bundle may have been refused: the report says so.
        since: the earlier bundle that was approved.
        judgement: what the reviewer holds it against; by default the vulnerabilities that it carries.

    Raises:
        MirrorError: as ``Bundle.trust``, ``Bundle.verify`` and ``Dossier.parse``.
    """
    inventory = take_inventory(bundle, root, complete=True, progress=progress)
    judge = bundle.root or root
    contents = Contents(
        bundle.path.name, inventory.manifest, dossier_of(bundle), inventory.signers, last_root_of(bundle)
    )
    why = reasons(inventory.manifest, contents.dossier)
    changes = compare(since, contents) if since else None
    policy_result = (judgement or Judgement()).apply(contents, advisories_of(bundle))
    questions = look(Subject(contents, why, changes, policy_result))
    rows = _rows(contents, why, questions)
    return Report(
        file=bundle.path.name,
        inventory=inventory,
        root=judge,
        dossier=contents.dossier,
        rows=rows,
        questions=questions,
        commands=commands(bundle.path, bundle.digest),
        recipes={
            "ssh-keygen": with_ssh_keygen(bundle.path.name, judge),
            "openssl": with_openssl(bundle.path.name, judge),
        },
        refusal=_refusal(bundle, judge),
        since=since,
        changes=changes,
        policy_result=policy_result,
        logs={row.log: _text(bundle, row.log, MAX_LOG_BYTES) for row in rows if row.log},
        licences=_text(bundle, dossiers.LICENCES, MAX_LICENCES_BYTES),
    )


def _rows(contents: Contents, why: Mapping[str, Reason], questions: tuple[Question, ...]) -> tuple[Row, ...]:
    found: dict[str, list[str]] = {}
    for question in questions:
        for path in dict.fromkeys(finding.path for finding in question.findings):
            found.setdefault(path, []).append(question.key)
    documents = {one.path for one in contents.manifest.within("meta")}
    rows = []
    for artifact in contents.manifest.artifacts:
        if artifact.kind is not None:
            facts, path = contents.facts(artifact.path), artifact.path
            # Older mirrors tell no log's place, but have always called it so.
            log = facts.built if facts else f"meta/build-{artifact.name}.log" if artifact.origin == BUILT else ""
            log = log if log in documents else ""
            rows.append(Row(artifact, facts, why[path], log, tuple(found.get(path, ()))))
    return tuple(rows)


def _refusal(bundle: Bundle, root: Root) -> BundleRejected | None:
    try:
        check_refusals(bundle.sidecars, root)
    except BundleRejected as exc:
        return exc
    return None


def _text(bundle: Bundle, path: str, limit: int) -> str:
    """A text of the bundle, its middle left out when it is longer than ``limit`` bytes; empty when it is not there."""
    artifact = bundle.manifest.find(path)
    if artifact is None:
        return ""
    if artifact.size <= limit:
        data = bundle.read(artifact)
    else:
        head, tail, left_out = limit // _HEAD_SHARE, limit - limit // _HEAD_SHARE, artifact.size - limit
        note = f"\n\n[{left_out} bytes left out here; all of it: tar -xOf {bundle.path.name} {path}]\n\n"
        with bundle.open(
            artifact
        ) as stream:  # never all of it in memory: the bundle was verified, its maker need not be kind
            data = stream.read(head) + note.encode()
            stream.seek(-tail, os.SEEK_END)
            data += stream.read()
    return data.decode("utf-8", "replace").replace("\r\n", "\n")

"""Approving and refusing a bundle: signatures that people write beside it, its own bytes untouched.

Approving is signing: as an approver, or as a builder other than the one who packed it. The root says for which a key counts.

``mirror.core.trust.sidecars`` knows what may lie beside a bundle, and its form; ``mirror.core.trust.verdict`` decides which
signatures count. The caller makes the signature: with a key file, an agent, or the reviewer's own ``ssh-keygen``
(``mirror.review.decisions.sshkeygen``).

Rules: only a bundle that a builder signed and whose every byte was checked is approved; only a key that the root names as a
builder's or an approver's approves, any key of the root's refuses; every signature is verified before it is written; nothing
is replaced; what somebody says last is dated last, whatever their clocks have said.

Example::

    decide(Path("bundle.tar"), root, APPROVED, sign, note="read on 2026-11-21", now=time.time())
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import FAMILIES, MirrorError, reading, writing
from mirror.core.progress import SILENT, Progress
from mirror.core.signatures import sshsig
from mirror.core.system.durable import create_file, facts_of, write_file
from mirror.core.trust.quorum import Tally, unmet
from mirror.core.trust.root import MANIFEST_NAMESPACE, STATEMENT_NAMESPACE, Root
from mirror.core.trust.sidecars import (
    APPROVED,
    REJECTED,
    Signed,
    Statement,
    sidecar_paths,
    sidecar_places,
    signed,
    signer_of,
    signing_command,
)
from mirror.core.trust.verdict import REVIEW, BundleRejected, check_refusals

Sign = Callable[[bytes, str], bytes]
"""Makes an armored sshsig block over given bytes for a given namespace."""


class NoSay(MirrorError):
    """A key signed that the root does not name for this."""

    ref = "no-say"
    exit_code = 119
    hint = "Sign with a key that the root names (--key FILE), or ask the holders of the root for that role."
    message = "{signer} has no say in this: the trusted root names as {role}: {holders:|nobody}"

    signer: str
    role: str
    holders: tuple[str, ...]


class NotHeard(MirrorError):
    """What was written beside a bundle does not count, for something else stands in its place by now."""

    ref = "not-heard"
    exit_code = FAMILIES["review"]
    hint = "Run the same command again. If it ends so again, see who else writes into that directory."
    message = "{path} was written, and is another file now: the decision does not count"

    path: str


@dataclass(frozen=True)
class Decision:
    """What was decided, and where it was written.

    Attributes:
        decision: ``APPROVED`` or ``REJECTED``.
        bundle: the file.
        who: the name of the key.
        role: the one that the root gives it.
        manifest_sha256: the bundle.
        written: the files beside it.
        tallies: who has signed now, by role, and how many must.
        refused: whose refusal stands now, in a sentence, and why; empty where none does.
        said_before: what the same key had decided last before; empty when nothing.
    """

    decision: str
    bundle: Path
    who: str
    role: str
    manifest_sha256: str
    written: tuple[Path, ...]
    tallies: tuple[Tally, ...]
    refused: str = ""
    said_before: str = ""

    @property
    def missing(self) -> tuple[Tally, ...]:
        """Roles that still lack signatures."""
        return unmet(self.tallies)

    def to_dict(self) -> dict[str, Any]:
        return {
            "decision": self.decision,
            "who": self.who,
            "role": self.role,
            "manifest_sha256": self.manifest_sha256,
            "written": [str(path) for path in self.written],
            "signatures": {one.role: one.to_dict() for one in self.tallies},
            "missing": [str(one) for one in self.missing],
            "next": [signing_command(self.bundle)] if self.missing and not self.refused else [],
            "refused": self.refused,
            "said_before": self.said_before,
        }


def decide(
    path: Path,
    root: Root,
    decision: str,
    sign: Sign,
    note: str,
    now: float,
    progress: Progress = SILENT,
    volumes: Sequence[Path] = (),
) -> Decision:
    """Sign an approval or a refusal, and write it beside the bundle.

    Args:
        root: the trusted one.
        note: why; shown to everyone who verifies or installs.
        now: seconds since 1970 UTC.
        volumes: directories in which volumes of the bundle may lie.

    Raises:
        NoSay: when the key may not decide this.
        InvalidDocument: when the note cannot be shown.
        Unwritable: when the directory cannot be written, or too many have decided already.
        MirrorError: as ``Bundle.trust`` and ``Bundle.verify`` do; nothing is written then.
    """
    with open_bundle(path, volumes) as bundle:
        bundle.trust(root, required=REVIEW)
        if decision == APPROVED:
            bundle.verify(progress)
        manifest, digest, judge = bundle.manifest_bytes, bundle.digest, bundle.root or root
        said, beside = bundle.sidecars.statements, bundle.path
    statement = Statement.parse(Statement(digest, decision, int(now), note).encode()).encode()
    block = sign(statement, STATEMENT_NAMESPACE)
    public = sshsig.verify(statement, block, STATEMENT_NAMESPACE)
    who, role = _holder(judge, public, decision)
    begun = _begun(beside, decision, public, said)
    earlier = [one.statement for one in said if one.signer == public and (not begun or one.path != begun[1])]
    said_before = max(earlier, key=lambda one: one.at).decision if earlier else ""
    before = max((one.statement.at for one in said if one.signer == public), default=-1)
    if before >= int(now):  # the same second, or a clock that was ahead: this one would count for nothing
        statement = Statement.parse(Statement(digest, decision, before + 1, note).encode()).encode()
        block = sign(statement, STATEMENT_NAMESPACE)
        sshsig.verify(statement, block, STATEMENT_NAMESPACE)
    approval = sign(manifest, MANIFEST_NAMESPACE) if decision == APPROVED else b""
    if approval:
        _holder(judge, sshsig.verify(manifest, approval, MANIFEST_NAMESPACE), decision)
    written = _write(beside, begun, _KINDS[decision], statement, block, approval)
    with open_bundle(path, volumes) as bundle:
        bundle.trust(root, required=REVIEW)
        if not any((one.path, one.statement.encode()) == (written[1], statement) for one in bundle.sidecars.statements):
            raise NotHeard(str(written[1]))
        tallies, refused = bundle.signers.tallies if bundle.signers else (), ""
        try:
            check_refusals(bundle.sidecars, bundle.root or root)
        except BundleRejected as exc:
            refused = str(exc)
    return Decision(decision, path, who, role, digest, written, tallies, refused, said_before)


_KINDS = {APPROVED: "approval", REJECTED: "rejection"}


def _begun(beside: Path, decision: str, public: sshsig.PublicKey, said: Sequence[Signed]) -> tuple[Path, Path] | None:
    """Where a run that was killed began to write what this key decides now: it is gone on with."""
    whole = [one.path for one in said if one.signer == public and one.statement.decision == decision]
    with reading(beside, below=True):
        for signature, statement in sidecar_places(beside, _KINDS[decision]):
            if facts_of(statement):
                is_half = decision == APPROVED and statement in whole and facts_of(signature) is None
            else:
                is_half = facts_of(signed(statement)) is not None and signer_of(signed(statement)) == public
            if is_half:
                return signature, statement
    return None


def _write(
    beside: Path, begun: tuple[Path, Path] | None, kind: str, statement: bytes, block: bytes, approval: bytes
) -> tuple[Path, ...]:
    """Write a statement's signature, the statement, and the approval, which is what counts; the files.

    The first one is new, so that what two people write at once has two places. Where one cannot be written, those before it go,
    for half a decision is none.
    """
    while True:
        signature_path, statement_path = begun or _places(beside, kind)
        files = [(signed(statement_path), block), (statement_path, statement)]
        files += [(signature_path, approval)] if approval else []
        written: list[Path] = []
        try:
            for place, data in files:
                written.append(place)  # before it is there: it may have its name already when an error comes
                (write_file if begun or len(written) > 1 else create_file)(place, data)
        except FileExistsError:
            continue
        except BaseException:
            for place in written:
                place.unlink(missing_ok=True)
            raise
        return tuple(written)


def _places(path: Path, kind: str) -> tuple[Path, Path]:
    with writing(path):
        return sidecar_paths(path, kind)


def _holder(root: Root, public: sshsig.PublicKey, decision: str) -> tuple[str, str]:
    """The name and the role of a key that may decide this."""
    roles = {name: role for name, role in root.roles() if decision != APPROVED or name != "root"}
    holders = {key.public: (key, name) for name, role in roles.items() for key in role.keys}
    if public not in holders:
        words = "builder or approver" if decision == APPROVED else "root, builder or approver"
        raise NoSay(public.fingerprint, words, tuple(str(key) for key, _ in holders.values()))
    key, name = holders[public]
    return key.name, name

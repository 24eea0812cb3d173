"""A quorum: whether enough keys of a root's roles have signed a document's exact bytes.

It counts; what the document is, and whether the root itself is trusted, is left to ``mirror.core.trust.verdict``.

Rules: every signature offered must be good, whoever made it, so that a flipped bit is never excused as "unknown"; a good
one by a key without the role is listed and counts for nothing; keys count by their bytes, once.

Example::

    signers = check_quorum("manifest", data, signatures, "mirror-manifest@v1", root, ("builder", "approver"))
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.signatures import sshsig
from mirror.core.signatures.sshsig import PublicKey, UnacceptableSignature
from mirror.core.trust.root import Role, Root

MAX_SIGNATURES = 16
"""More are not read (SECURITY.md T8)."""

PACK_AGAIN = (
    "No builder of the trusted root has signed this: somebody else packed it, or the builder's key was taken out of the root "
    "since (compare `mirror trust show` on both machines). `mirror approve` does not make up for that: if it is still wanted, "
    "a builder whom the root names packs it again from the same lock, `mirror bundle NAME --key KEY` (a layer: `mirror cache "
    "pack --key KEY`), and approvers sign that one."
)
"""What helps where approvals cannot."""


class NotSigned(MirrorError):
    """A document came without any signature.

    Attributes:
        document: ``"manifest"`` or ``"root"``.
    """

    ref = "not-signed"
    exit_code = 36
    hint = "Get the file again from its maker; there is no way to use it unsigned."
    message = "the {document} is not signed"

    document: str


class UnknownSigner(MirrorError):
    """The signatures are good, but by keys that the trusted root does not name for this.

    Attributes:
        document: ``"manifest"`` or ``"root"``.
        signers: fingerprints of the keys that signed.
        trusted: the keys that could have.
    """

    ref = "unknown-signer"
    exit_code = 37
    hint = (
        "Someone else made this, or it was made under another root, or the key was taken out of the root since: compare "
        "`mirror trust show` on both machines."
    )
    message = "the {document} is signed by {signers}; the root trusts {trusted}"

    document: str
    signers: tuple[str, ...]
    trusted: tuple[str, ...]


@dataclass(frozen=True)
class Tally:
    """How many of a role have signed, and how many must.

    Attributes:
        role: ``"builder"`` and the like, or a phrase that begins with such a word.
        threshold: how many must.
        signed, missing: the names of its keys.
    """

    role: str
    threshold: int
    signed: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def still(self) -> int:
        """How many more must sign; 0 when enough have."""
        return max(0, self.threshold - len(self.signed))

    @property
    def who(self) -> str:
        """Those who may sign yet, in words: ``"ann and ben"`` when both must, ``"ann or ben"`` when one is enough."""
        if self.still == len(self.missing):
            return " and ".join(self.missing)
        return " or ".join(self.missing) if self.still == 1 else f"{self.still} of {', '.join(self.missing)}"

    def __str__(self) -> str:
        noun, _, rest = self.role.partition(" ")
        needed = f"{self.threshold} {noun}{'s' * (self.threshold != 1)}{' ' * bool(rest)}{rest}"
        found = f"{len(self.signed)} ({', '.join(self.signed)})" if self.signed else "none"
        return f"needs {needed}, has {found}, missing {self.who}"

    def to_dict(self) -> dict[str, Any]:
        """The same for machines."""
        return {"threshold": self.threshold, "signed": list(self.signed), "not_signed": list(self.missing)}


def unmet(tallies: Iterable[Tally]) -> tuple[Tally, ...]:
    """Those that still lack signatures."""
    return tuple(one for one in tallies if one.still)


class ThresholdNotMet(MirrorError):
    """Too few of a role's keys have signed.

    Attributes:
        document: ``"manifest"`` or ``"root"``.
        shortfalls: for each role concerned, who has signed and who has not.
        command: what each of those who are missing types; empty where that is not known.
        beside: files that lie there and count for nothing: a sentence each.
    """

    ref = "threshold-not-met"
    exit_code = 38
    hint = "Ask those who are named as missing to sign."
    message = "the {document} has too few signatures: {shortfalls:; }"

    document: str
    shortfalls: tuple[Tally, ...]
    command: str = ""
    beside: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.command and any(one.role == "builder" and not one.signed for one in self.shortfalls):
            self.hint = PACK_AGAIN
        elif self.command:
            self.hint = (
                f"Each of those who are missing signs with `{self.command}` (its --help tells how with ssh-keygen alone); "
                "carry the files that are written beside the bundle with it."
            )

    def context(self) -> str:
        return "\n".join(f"beside it, counted for nothing: {line}" for line in self.beside)


class NotTrustedNow(MirrorError):
    """A bundle from before, which another is to be held against, has no signatures that today's root trusts."""

    ref = "not-trusted-now"
    exit_code = FAMILIES["trust"]
    hint = "A key that signed it may have been taken out of the root since, or more must sign now."
    message = "{path}: {problem}"

    path: str
    problem: str
    step: str

    def __post_init__(self) -> None:
        self.hint = f"{type(self).hint} {self.step}"


@dataclass(frozen=True)
class Signers:
    """Who signed a document.

    Attributes:
        tallies: of each role that may sign it.
        unknown: fingerprints of good signatures that did not count.
    """

    tallies: tuple[Tally, ...]
    unknown: tuple[str, ...]

    @property
    def by_role(self) -> dict[str, tuple[str, ...]]:
        """Names of the keys that counted, by role."""
        return {one.role: one.signed for one in self.tallies}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all keys that counted, each once, in order."""
        return tuple(sorted({name for one in self.tallies for name in one.signed}))

    @property
    def shortfalls(self) -> tuple[Tally, ...]:
        """Roles of which too few have signed, where that was not required."""
        return unmet(self.tallies)


def check_quorum(
    document: str,
    data: bytes,
    signatures: Sequence[bytes],
    namespace: str,
    root: Root,
    roles: Sequence[str],
    required: Sequence[str] | None = None,
) -> Signers:
    """Decide whether enough keys of each of the roles signed ``data``.

    Args:
        document: what ``data`` is, for messages.
        signatures: armored sshsig blocks, one key each.
        namespace: what they must have been made for.
        roles: the roles whose keys may sign it.
        required: those of them whose thresholds must be met; all by default.

    Raises:
        NotSigned, UnacceptableSignature, SignatureMismatch, UnknownSigner, ThresholdNotMet: in this order.
    """
    # (1) Someone signed, and no flood of signatures keeps us busy (SECURITY.md T8).
    if not signatures:
        raise NotSigned(document)
    if len(signatures) > MAX_SIGNATURES:
        raise UnacceptableSignature(f"there are {len(signatures)}, at most {MAX_SIGNATURES} are read")
    # (2) Every signature is a good one over these bytes, made for this use.
    signers = {sshsig.verify(data, signature, namespace): None for signature in signatures}
    # (3) At least one is by a key that may sign this.
    asked = {name: role for name, role in root.roles() if name in roles}
    trusted = {key.public: key for role in asked.values() for key in role.keys}
    unknown = tuple(public.fingerprint for public in signers if public not in trusted)
    if len(unknown) == len(signers):
        raise UnknownSigner(document, unknown, tuple(map(str, trusted.values())))
    # (4) Each role has as many as it needs.
    found = Signers(tuple(tally(name, role, signers) for name, role in asked.items()), unknown)
    lacking = tuple(one for one in found.shortfalls if required is None or one.role in required)
    if lacking:
        raise ThresholdNotMet(document, lacking)
    return found


def tally(name: str, role: Role, signers: Collection[PublicKey]) -> Tally:
    """Who of a role, which the tally calls ``name``, is among those who signed."""
    signed, missing = (tuple(key.name for key in role.keys if (key.public in signers) is has) for has in (True, False))
    return Tally(name, role.threshold, signed, missing)

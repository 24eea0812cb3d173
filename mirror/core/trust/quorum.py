"""A quorum: whether enough keys of a root's roles have signed a document's exact bytes.

It counts; what the document is, and whether the root itself is trusted, is left to ``mirror.core.trust.verdict``.

Rules: every signature offered must be good, whoever made it, so that a flipped bit is never excused as "unknown"; a good
one by a key without the role is listed and counts for nothing; keys count by their bytes, once.

Example::

    signers = check_quorum("manifest", data, signatures, "mirror-manifest@v1", root, ("builder", "approver"))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mirror.core.errors import MirrorError
from mirror.core.signatures import sshsig
from mirror.core.signatures.sshsig import PublicKey, UnacceptableSignature
from mirror.core.trust.root import Role, Root

MAX_SIGNATURES = 16
"""More are not read (SECURITY.md T8)."""


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
    hint = "Either someone else made this, or it was made under another root: compare `mirror trust show` on both machines."
    message = "the {document} is signed by {signers}; the root trusts {trusted}"

    document: str
    signers: tuple[str, ...]
    trusted: tuple[str, ...]


@dataclass(frozen=True)
class Shortfall:
    """A role of which too few have signed: ``signed`` and ``missing`` name its keys."""

    role: str
    threshold: int
    signed: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        found = f"{len(self.signed)} ({', '.join(self.signed)})" if self.signed else "none"
        return f"needs {self.threshold} {self.role}, has {found}, missing {' or '.join(self.missing)}"


class ThresholdNotMet(MirrorError):
    """Too few of a role's keys have signed.

    Attributes:
        document: ``"manifest"`` or ``"root"``.
        shortfalls: for each role concerned, who has signed and who has not.
    """

    ref = "threshold-not-met"
    exit_code = 38
    hint = "Ask those who are named as missing to sign."

    document: str
    shortfalls: tuple[Shortfall, ...]

    def __str__(self) -> str:
        return f"the {self.document} has too few signatures: {'; '.join(map(str, self.shortfalls))}"


@dataclass(frozen=True)
class Signers:
    """Who signed a document.

    Attributes:
        by_role: names of the keys that counted, by role.
        unknown: fingerprints of good signatures that did not count.
        shortfalls: roles of which too few have signed, where that was not required.
    """

    by_role: Mapping[str, tuple[str, ...]]
    unknown: tuple[str, ...]
    shortfalls: tuple[Shortfall, ...] = ()


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
    shortfalls = tuple(
        _shortfall(name, role, signers) for name, role in asked.items() if len(_names(role, signers)) < role.threshold
    )
    lacking = tuple(one for one in shortfalls if required is None or one.role in required)
    if lacking:
        raise ThresholdNotMet(document, lacking)
    return Signers({name: _names(role, signers) for name, role in asked.items()}, unknown, shortfalls)


def _names(role: Role, signers: Mapping[PublicKey, None]) -> tuple[str, ...]:
    return tuple(key.name for key in role.keys if key.public in signers)


def _shortfall(name: str, role: Role, signers: Mapping[PublicKey, None]) -> Shortfall:
    signed = _names(role, signers)
    return Shortfall(name, role.threshold, signed, tuple(key.name for key in role.keys if key.name not in signed))

"""Trust: whether a manifest is signed as a root asks, and whether anybody has refused it.

Pure functions over bytes. Counting signatures is left to ``mirror.core.trust.quorum``, which root is trusted to
``mirror.core.trust.truststore``, reading a bundle to ``mirror.core.bundle.reader``, signing to
``mirror.connected.signing.signers``.

Rules: signatures come before parsing, and nothing skips them; a root's key does not sign manifests, nor a builder's key roots.

Example::

    signers = check_manifest(manifest_bytes, signatures, root)
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from mirror.core.errors import MirrorError
from mirror.core.trust.quorum import Signers, ThresholdNotMet, check_quorum
from mirror.core.trust.root import MANIFEST_NAMESPACE, Root
from mirror.core.trust.sidecars import REJECTED, Sidecars, Statement
from mirror.core.words import utc

REVIEW: tuple[str, ...] = ()
"""Whose thresholds must be met before somebody looks at a bundle: nobody's. Those who are still to sign must see it first."""


SOON_S = 30 * 86_400
"""How long before a root expires people are told."""


class RootExpired(MirrorError):
    """The trusted root has passed its date.

    Attributes:
        expires, now: seconds since 1970 UTC; ``now`` is this host's clock.
    """

    ref = "root-expired"
    exit_code = 35
    hint = (
        "If this host's clock is right, whoever holds a root key signs the next root, `mirror trust rotate --expires DATE`, on "
        "a connected machine; others ask them for a bundle that carries it."
    )
    message = "the trusted root expired at {expires:utc}; this host's clock says {now:utc}"

    expires: int
    now: int


class BundleRejected(MirrorError):
    """Somebody whom the root names has signed a refusal of this bundle.

    Attributes:
        who: the name of their key.
        at: when, by their clock, in seconds since 1970 UTC.
        note: their reason.
    """

    ref = "bundle-rejected"
    exit_code = 118
    hint = "Ask them. Whoever refused takes it back by approving: `mirror approve`; the refusal beside the file can then go."
    message = "{who} refused this bundle at {at:utc}: {note:|no reason given}"

    who: str
    at: int
    note: str


def check_manifest(
    manifest_bytes: bytes,
    signatures: Sequence[bytes],
    root: Root,
    now: float | None = None,
    required: Sequence[str] = ("builder", "approver"),
) -> Signers:
    """Decide whether a manifest may be parsed and believed.

    Args:
        manifest_bytes: exactly as they are in the bundle.
        signatures: armored sshsig blocks, one key each.
        root: the trusted root.
        required: whose thresholds must be met; ``REVIEW`` for those who look at it before all have signed.
        now: this host's clock, seconds since 1970 UTC; the real one by default.

    Raises:
        RootExpired, NotSigned, UnacceptableSignature, SignatureMismatch, UnknownSigner, ThresholdNotMet: in this order.
    """
    # (1) The root, which the caller was told to trust, still holds.
    check_unexpired(root, now)
    # (2) Enough of its builders and approvers signed these bytes, as a manifest.
    signers = check_quorum(
        "manifest", manifest_bytes, signatures, MANIFEST_NAMESPACE, root, ("builder", "approver"), required
    )
    # (3) Whoever else must sign, nobody looks at what no builder has made.
    if not signers.by_role["builder"]:
        raise ThresholdNotMet("manifest", signers.shortfalls)
    return signers


def check_unexpired(root: Root, now: float | None = None) -> None:
    """Raises RootExpired: when the root has passed its date. Arguments as those of ``check_manifest``."""
    clock = time.time() if now is None else now
    if root.expires is not None and clock >= root.expires:
        raise RootExpired(root.expires, int(clock))


def expiring(root: Root, now: float | None = None) -> tuple[str, ...]:
    """A note on a root that expires within ``SOON_S``; none on another. Arguments as those of ``check_manifest``."""
    clock = time.time() if now is None else now
    if root.expires is None or not 0 < root.expires - clock <= SOON_S:
        return ()
    return (
        f"the trusted root expires at {utc(root.expires)}, and nothing is trusted by it then: whoever holds a root key signs "
        "the next one before, `mirror trust rotate --expires DATE`",
    )


def check_refusals(sidecars: Sidecars, root: Root) -> None:
    """Honour the refusals that lie beside a bundle: one by any key of the root is enough.

    A later approval by the same key takes a refusal back; one of the same second does not.

    Raises:
        BundleRejected: for the first that stands.
    """
    named = {key.public: key.name for _, role in root.roles() for key in role.keys}
    latest: dict[str, Statement] = {}
    for signed in sidecars.statements:
        name = named.get(signed.signer)
        if name and (name not in latest or _weight(signed.statement) > _weight(latest[name])):
            latest[name] = signed.statement
    for name, statement in sorted(latest.items()):
        if statement.decision == REJECTED:
            raise BundleRejected(name, statement.at, statement.note)


def _weight(statement: Statement) -> tuple[int, bool]:
    return statement.at, statement.decision == REJECTED

"""Where a bundle stands among what a prefix holds and ever held: new, there already, older, or in contradiction.

It decides and changes nothing; ``mirror.closed.install`` acts on the answer.

Rules (SECURITY.md T4, 14): a bundle older than the newest that was ever installed is refused, also when that one is gone by
now, unless the operator allows it and says why; two different bundles with one sequence are a contradiction that nobody can
allow, unless they differ in nothing but the roots that they carry, as the same lock's bundles before and after a rotation do:
those install the same; a prefix holds one stack.

Example::

    found = check_upgrade(prefix, manifest, digest)
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from mirror.closed.environment.variables import has_manifest
from mirror.closed.prefix.generations import Generation, Identity, Prefix
from mirror.closed.prefix.history import History
from mirror.closed.prefix.receipt import receipt_or_problem
from mirror.core.bundle.manifest import Manifest
from mirror.core.bundle.signaturearea import SUMS
from mirror.core.errors import MirrorError
from mirror.core.names import Sha256Hex
from mirror.core.trust.quorum import tally, unmet
from mirror.core.trust.truststore import TrustStore


class BundleOlder(MirrorError):
    """A bundle with a later lock is installed already."""

    ref = "bundle-older"
    exit_code = 92
    hint = (
        "To go back to what is installed use 'mirror rollback'. To install it nevertheless give --allow-older with the "
        "reason, which the receipt and the history of the prefix will keep."
    )
    message = "the bundle was locked at {sequence:utc}, a newer one of {installed:utc} is installed"

    sequence: int
    installed: int


class SequenceReused(MirrorError):
    """Two different bundles claim the same lock.

    Attributes:
        sequence: which both have.
        digest, installed: the first 12 hex digits of each manifest's sha256.
    """

    ref = "sequence-reused"
    exit_code = 93
    hint = "One lock gives one bundle: ask its maker which of the two is right, and for a bundle with a new lock."
    message = "the bundle {digest} and the installed {installed} were both locked at {sequence:utc}, and differ"

    sequence: int
    digest: str
    installed: str


class OtherStack(MirrorError):
    """The prefix holds another stack."""

    ref = "other-stack"
    exit_code = 98
    hint = "Name another directory with --prefix: each stack has its own."
    message = "{prefix} holds the stack {installed!r}, the bundle is {name!r}"

    prefix: str
    name: str
    installed: str


def check_upgrade(
    prefix: Prefix, manifest: Manifest, digest: Sha256Hex, allow_older: bool = False
) -> Generation | None:
    """Refuse a bundle that must not be installed here, and find it where it is installed already.

    Returns:
        The bundle's generation if it is there already, None if it is to be installed.

    Args:
        allow_older: whether the operator wants it although a newer one was installed.

    Raises:
        OtherStack, BundleOlder, SequenceReused: when it must not be installed.
        MirrorError: as ``History.events``.
    """
    identity, history = Identity.of(manifest.sequence, digest), History(prefix.root)
    installed, current = prefix.installed(), prefix.current()
    receipts = (receipt_or_problem(generation)[0] for generation in reversed(installed))
    name = next((receipt.name for receipt in receipts if receipt), manifest.name)  # others are too damaged to tell
    if name != manifest.name:
        raise OtherStack(str(prefix.root), manifest.name, name)
    newest = max([history.greatest(), *(generation.identity.sequence for generation in installed)])
    for generation in installed:
        if generation.identity.sequence == identity.sequence and _is_same_but_for_roots(generation, manifest):
            identity = generation.identity  # by its manifest, not its receipt, which may be damaged
            digest = Sha256Hex(hashlib.sha256(generation.manifest.read_bytes()).hexdigest())
    before = history.digest_of(identity.sequence)
    if before and before != digest:
        raise SequenceReused(
            identity.sequence, identity.digest, Identity.of(identity.sequence, Sha256Hex(before)).digest
        )
    for generation in reversed(installed):  # of several builds from one bundle, the last repaired those before it
        if generation.identity.bundle == identity.bundle:
            is_current = current is not None and current.identity.bundle == identity.bundle
            if identity.sequence < newest and not is_current and not allow_older:
                break  # a downgrade is asked for by its name, `mirror rollback`, never by an old file (SECURITY.md T4)
            return generation
        if generation.identity.sequence == identity.sequence:
            raise SequenceReused(identity.sequence, identity.digest, generation.identity.digest)
    if identity.sequence < newest and not allow_older:
        raise BundleOlder(identity.sequence, newest)
    return None


def unmet_today(generation: Generation, store: TrustStore) -> tuple[str, ...]:
    """What today's root asks for and the bundle of an installed generation has not got, by the names in its receipt, or where
    that is damaged in the history.

    Empty, too, where nobody can tell: going back must work when all else is broken.
    """
    try:
        root, signed = store.load_root(), _signed(generation)
    except MirrorError:
        return ()
    tallies = (
        tally(name, role, [key.public for key in role.keys if key.name in signed[name]])
        for name, role in root.roles()
        if name in signed
    )
    return tuple(map(str, unmet(tallies)))


def _signed(generation: Generation) -> dict[str, tuple[str, ...]]:
    """Names of those who signed a generation's bundle, by what they may have signed as; nothing where nobody can tell."""
    receipt, _ = receipt_or_problem(generation)
    if receipt:
        return {"builder": receipt.signers, "approver": receipt.approvers}
    events = History(generation.path.parents[1]).events()
    told = (event.signers for event in events if event.generation == generation.name)
    names = next((signers for signers in told if signers), ())
    return {"builder": names, "approver": names} if names else {}


def _is_same_but_for_roots(generation: Generation, manifest: Manifest) -> bool:
    """Whether a generation's manifest, as it was verified when it was installed, lists what another one does."""
    if not has_manifest(generation):
        return False
    installed = Manifest.parse(generation.manifest.read_bytes())
    return _without_roots(installed) == _without_roots(manifest)


def _without_roots(manifest: Manifest) -> Manifest:
    """Nor the checksums, which name the roots and say nothing else that the manifest does not."""
    artifacts = tuple(artifact for artifact in manifest.artifacts if artifact.path != SUMS)
    return replace(manifest, roots=(), artifacts=artifacts)

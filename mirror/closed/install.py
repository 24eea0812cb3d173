"""Installing a bundle: the one function that the whole closed room is for.

1. Open the bundle and check its signatures against the trusted root; only then is the manifest parsed, and held against the
   site's policy, if one is named.
2. Decide where it stands among what is installed: the same again, older, another one of the same sequence, or new.
3. Preflight: every reason why it cannot be installed here, at once.
4. Verify the whole file. Until here nothing has been written under the prefix.
5. Under the prefix's lock, let ``mirror.closed.building`` build a generation; complete it; make it current.

Rules: whatever ends the run before ``COMPLETE`` is written removes the generation; ``current`` changes last, in one step.

Example::

    installed = install(Options(Path("bundle.tar")))
    installed.receipt.generation
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

from mirror.closed import preflight
from mirror.closed.building import Building
from mirror.closed.environment.variables import has_manifest
from mirror.closed.host.machine import Host, read_disk, read_host
from mirror.closed.host.sharing import readable_for_others, sharing_notes
from mirror.closed.prefix.generations import Generation, Identity, Prefix, default_prefix
from mirror.closed.prefix.history import record
from mirror.closed.prefix.receipt import Receipt, read_receipt
from mirror.closed.prefix.upgrade_check import standing
from mirror.closed.venv.interpreter import find_interpreter
from mirror.core.bundle.manifest import Manifest
from mirror.core.bundle.reader import Bundle, open_bundle
from mirror.core.durable import write_file
from mirror.core.names import Sha256Hex
from mirror.core.policy.document import Policy
from mirror.core.policy.rules import enforce
from mirror.core.progress import SILENT, Progress
from mirror.core.signatures.fingerprints import grouped
from mirror.core.trust.truststore import TrustStore, UnconfirmedRoot
from mirror.core.trust.verdict import check_refusals


@dataclass(frozen=True)
class Options:
    """What to install, and how.

    Attributes:
        bundle: the file.
        prefix: where to; None for the default of the stack's name.
        python: an interpreter to use; None to look for one.
        fingerprint: of the root to trust for the first time; empty when one is trusted already.
        jobs: how much to do at once; 0 for as much as the machine has processors.
        allow_older: why a bundle older than what was installed is wanted nevertheless; empty when it is not.
        policy: that the bundle must keep; None for none.
    """

    bundle: Path
    prefix: Path | None = None
    python: Path | None = None
    fingerprint: str = ""
    jobs: int = 0
    allow_older: str = ""
    policy: Policy | None = None


@dataclass(frozen=True)
class Installed:
    """What ``install`` did.

    Attributes:
        receipt: of the generation that is current now.
        prefix: where.
        was_installed: whether it was there before and only had to be made current, if that.
    """

    receipt: Receipt
    prefix: Path
    was_installed: bool


def install(
    options: Options,
    store: TrustStore | None = None,
    host: Host | None = None,
    interpreters: Sequence[Path] | None = None,
    progress: Progress = SILENT,
    clock: Callable[[], float] = time.time,
) -> Installed:
    """Install a bundle and make it current.

    Args:
        store: whom this user trusts; by default the user's own.
        host: this machine; by default looked at now.
        interpreters: the Pythons to choose from; by default those that are found here.

    Raises:
        MirrorError: as the modules of this room name what went wrong; the old state stands.
    """
    with open_bundle(options.bundle) as bundle, readable_for_others():
        store = store or TrustStore.default()
        manifest = trusted_manifest(bundle, store, options.fingerprint)
        digest = Sha256Hex(hashlib.sha256(bundle.manifest_bytes).hexdigest())
        if options.policy:
            enforce(options.policy, manifest, bundle.read)
        prefix = Prefix(options.prefix or default_prefix(manifest.name))
        preflight.check_owner(prefix.root)
        older = bool(options.allow_older.strip())  # blanks are no reason
        found = standing(prefix, manifest, digest, older)
        if found:
            _follow(bundle, store, progress)
            return _made_current(prefix, found, bundle.manifest_bytes, options.allow_older, int(clock()), progress)
        host = host or read_host()
        plan = _preflight(options, manifest, prefix, host, interpreters)
        for note in plan.notes:
            progress.say(f"note: {note}")
        bundle.verify(progress)
        _follow(bundle, store, progress)
        with prefix.lock() as lock:
            found = standing(prefix, manifest, digest, older)  # another run may have been faster
            if found is None:
                for name in prefix.sweep():
                    progress.say(f"removed {name}, which an earlier run has left unfinished")
                with prefix.building(Identity.of(manifest.sequence, digest), digest) as generation:
                    building = Building(
                        bundle, generation, plan, host, lock, options.jobs, progress, options.allow_older
                    )
                    building.build(digest, int(clock()))
            chosen = found or generation
            record(prefix, "installed" if found is None else "made-current", chosen, int(clock()), options.allow_older)
            prefix.activate(chosen)
    return Installed(read_receipt(found or generation), prefix.root, was_installed=found is not None)


def trusted_manifest(bundle: Bundle, store: TrustStore, fingerprint: str) -> Manifest:
    """Check the bundle's signatures and parse its manifest.

    Args:
        fingerprint: confirms the root that the bundle carries, when none is trusted yet; ``store`` then keeps it.

    Raises:
        BundleRejected: when somebody whom the root names has refused it.
        MirrorError: as ``mirror.core.trust.verdict`` says.
    """
    if fingerprint and bundle.root_documents:
        root = store.add_chain(bundle.root_documents, fingerprint)
    else:
        root = store.load_root()
        if fingerprint not in ("", root.fingerprint):
            raise UnconfirmedRoot(fingerprint, root.fingerprint)
    manifest = bundle.trust(root)
    check_refusals(bundle.sidecars, bundle.root or root)
    return manifest


def _follow(bundle: Bundle, store: TrustStore, progress: Progress) -> None:
    """Trust the next roots from now on, where the bundle's chain goes on from the trusted one."""
    before = store.load_root().version
    if bundle.root and bundle.root.version > before:
        newest = store.add_chain(bundle.root_documents)
        progress.say(
            f"trusting root version {newest.version}, which follows version {before}: {grouped(newest.fingerprint)}"
        )


def _made_current(
    prefix: Prefix, generation: Generation, manifest: bytes, reason: str, now: int, progress: Progress
) -> Installed:
    """Make an installed generation current; when it is already, nothing is touched but a manifest that got lost."""
    progress.say(f"{generation.name} is installed already")
    if read_receipt(generation).manifest_sha256 != hashlib.sha256(manifest).hexdigest():
        progress.say("the bundle differs from it in nothing but the roots that it carries")
    if not has_manifest(generation):
        with prefix.lock():
            write_file(generation.manifest, manifest)
    if prefix.current() != generation:
        with prefix.lock():
            record(prefix, "made-current", generation, now, reason)
            prefix.activate(generation)
    return Installed(read_receipt(generation), prefix.root, was_installed=True)


def _preflight(
    options: Options, manifest: Manifest, prefix: Prefix, host: Host, interpreters: Sequence[Path] | None
) -> preflight.Plan:
    search = find_interpreter(manifest.target, [options.python] if options.python else interpreters)
    if options.python and not search.found:
        # A Python that was named is never replaced by another one in silence, carried or not.
        raise preflight.PreflightFailed((f"the bundle is for Python {manifest.target.python}: {search.rejected[0]}",))
    plan = preflight.check(manifest, prefix.root, host, read_disk(prefix.root), search)
    found = plan.interpreter.path if plan.interpreter else None
    return replace(plan, notes=(*plan.notes, *sharing_notes(prefix.root, manifest, found)))

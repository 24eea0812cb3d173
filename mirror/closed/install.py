"""Installing a bundle: the one function that the whole closed room is for.

1. Open the bundle and check its signatures against the trusted root; only then is the manifest parsed, and held against the
   site's policy, if one is named.
2. Decide where it stands among what is installed: the same again, older, another one of the same sequence, or new.
3. Preflight: every reason why it cannot be installed here, at once.
4. Verify the whole file, also of a bundle that is installed already: this copy may be another one. Until here nothing has been
   written under the prefix.
5. Under the prefix's lock, let ``mirror.closed.building`` build a generation; complete it; make it current, unless it is only
   to be prepared (``mirror.closed.prefix.switching`` makes it current later).

A repair goes the same way: a generation that is not what was installed any more (``mirror.closed.soundness``) is built anew,
from the verified bundle alone, beside the damaged one, which programs may be running from; ``mirror gc`` removes that later.

Rules: whatever ends the run before ``COMPLETE`` is written removes the generation; ``current`` changes last, in one step.

Example::

    installed = install(Options(Path("bundle.tar")))
    installed.receipt.generation
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mirror.closed import preflight
from mirror.closed.building import build
from mirror.closed.environment.variables import GenerationDamaged, has_manifest
from mirror.closed.host.hostcompiler import compiles_at_run_time
from mirror.closed.host.machine import Host, read_disk, read_host
from mirror.closed.host.sharing import readable_for_others, sharing_notes
from mirror.closed.kinds.destination import Destination
from mirror.closed.prefix.generations import Generation, Identity, NoSuchGeneration, Prefix, default_prefix
from mirror.closed.prefix.history import REPAIR, last_events, record
from mirror.closed.prefix.numbered import read_stack
from mirror.closed.prefix.receipt import Receipt, read_receipt, receipt_or_problem
from mirror.closed.prefix.status import sourced_prefix
from mirror.closed.prefix.switching import switch
from mirror.closed.remedy import damaged_receipts
from mirror.closed.soundness import Soundness, check_generation
from mirror.closed.upgrade_check import check_upgrade
from mirror.closed.venv.hostpackages import read_host_packages
from mirror.closed.venv.interpreter import find_interpreter
from mirror.closed.warm.carried import refuse_layer
from mirror.core.bundle.manifest import Manifest
from mirror.core.bundle.reader import Bundle, open_bundle
from mirror.core.errors import MirrorError, Unreadable, is_absence
from mirror.core.policy.document import Policy
from mirror.core.policy.rules import judge
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import write_file
from mirror.core.trust.quorum import ThresholdNotMet, UnknownSigner
from mirror.core.trust.truststore import TrustStore, UnconfirmedRoot
from mirror.core.trust.verdict import check_refusals, expiring
from mirror.core.words import grouped


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
        repair: build what this bundle was installed as anew, if it is damaged; nothing else is installed.
        prepare: install it whole, and leave current what is; not together with ``repair``.
        volumes: directories in which volumes of the bundle may lie.
    """

    bundle: Path
    prefix: Path | None = None
    python: Path | None = None
    fingerprint: str = ""
    jobs: int = 0
    allow_older: str = ""
    policy: Policy | None = None
    repair: bool = False
    prepare: bool = False
    volumes: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Neighbour:
    """Another generation than the bundle's: the one that was current before, or is.

    Attributes:
        id: its name.
        number: as people name it; 0 of none that was ever complete.
        name, sequence: of the bundle that it came from; the name is empty where its receipt cannot be read.
        problem: what is wrong with that receipt; empty when nothing is.
        was_chosen: whether somebody rolled back to it.
        reason: why they did; empty when they gave none.
    """

    id: str
    number: int
    name: str
    sequence: int
    problem: str = ""
    was_chosen: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Installed:
    """What ``install`` did.

    Attributes:
        receipt: of the bundle's generation.
        prefix: where.
        was_installed: whether it was there before and only had to be made current, if that.
        number: of the generation.
        is_current: whether it is current; what was only prepared, and a repair of one that is not, leave current what is.
        soundness: of the generation that a repair looked at: it was built anew unless all of it was as installed; None when
            it was no repair.
        before: the generation whose place it took as the current one; None when there was none, or nothing was switched.
        current: the generation that is current, where it is another one; None when none is.
        damaged: other generations of the prefix whose receipt cannot be read, and what to do about each.
    """

    receipt: Receipt
    prefix: Path
    was_installed: bool
    number: int = 0
    is_current: bool = True
    soundness: Soundness | None = None
    before: Neighbour | None = None
    current: Neighbour | None = None
    damaged: tuple[str, ...] = ()


_UNREPAIRED = " What is installed stays as it is and is used on: 'mirror status --check' says what of it is damaged."


def install(
    options: Options,
    store: TrustStore | None = None,
    host: Host | None = None,
    interpreters: Sequence[Path] | None = None,
    progress: Progress = SILENT,
) -> Installed:
    """Install a bundle and make it current.

    Args:
        store: whom this user trusts; by default the user's own.
        host: this machine; by default looked at now.
        interpreters: the Pythons to choose from; by default those that are found here.

    Raises:
        MirrorError: as the modules of this room name what went wrong; the old state stands.
    """
    with open_bundle(options.bundle, options.volumes) as bundle, readable_for_others():
        store = store or TrustStore.default()
        try:
            manifest = trusted_manifest(bundle, store, options.fingerprint)
        except (UnknownSigner, ThresholdNotMet) as exc:
            exc.hint += _UNREPAIRED if options.repair else ""
            raise
        refuse_layer(options.bundle, manifest)
        if options.policy:
            judge(options.policy, manifest, bundle.read).enforce()
        prefix = Prefix(options.prefix or default_prefix(manifest.name))
        sourced = None if options.prefix else sourced_prefix()
        if sourced and sourced.root != prefix.root:
            other = f"this shell has sourced env.sh of {sourced.root}, which --prefix {shlex.quote(str(sourced.root))} names"
            progress.say(f"note: the prefix is {prefix.root}; {other}")
        preflight.check_owner(prefix.named, "repair" if options.repair else "install in")
        job = _Job(bundle, prefix, options, store, host, interpreters, progress, int(time.time()))
        return job.repair() if options.repair else job.install()


@dataclass(frozen=True)
class _Job:
    """One bundle whose manifest is trusted, on its way into one prefix."""

    bundle: Bundle
    prefix: Prefix
    options: Options
    store: TrustStore
    host: Host | None
    interpreters: Sequence[Path] | None
    progress: Progress
    now: int

    @property
    def _identity(self) -> Identity:
        return Identity.of(self.bundle.manifest.sequence, self.bundle.digest)

    def install(self) -> Installed:
        if found := self._check_upgrade():
            self._verify()  # this file, not the one that was installed then
            if _receipt_of(found).manifest_sha256 != self.bundle.digest:
                self.progress.say("the bundle differs from what is installed in nothing but the roots that it carries")
            return self._left_prepared(found) if self.options.prepare else self._made_current(found)
        host, plan = self._plan()
        self._verify()
        with self.prefix.lock() as lock:
            before = self._pointed_to()
            found = self._check_upgrade()  # another run may have been faster
            chosen = found or self._build(plan, host, lock)
            if self.options.prepare:
                self._note_prepared(chosen)
            else:
                action = "made-current" if found else "installed"
                switch(self.prefix, action, chosen, self.now, self.options.allow_older)
        return self._told(chosen, was_installed=found is not None, before=before)

    def repair(self) -> Installed:
        damaged = self._newest_build()
        self._verify()
        soundness = check_generation(damaged, self.progress)
        if soundness.is_whole:
            return replace(self._chosen_again(damaged), soundness=soundness)
        host, plan = self._plan()
        with self.prefix.lock() as lock:
            before, newest = self._pointed_to(), self._newest_build()
            if newest == damaged:  # else another run has repaired it meanwhile
                newest = self._build(plan, host, lock, damaged.name)
                takes_over, action = self._takes_over(damaged), "prepared" if self._waits(damaged) else "installed"
                record(self.prefix, action, newest, self.now, f"{REPAIR}{damaged.name}")
                if takes_over:
                    self.prefix.activate(newest)
        return replace(self._told(newest, was_installed=False, before=before), soundness=soundness)

    def _check_upgrade(self) -> Generation | None:
        older = bool(self.options.allow_older.strip())  # blanks are no reason
        return check_upgrade(self.prefix, self.bundle.manifest, self.bundle.digest, older)

    def _newest_build(self) -> Generation:
        builds = self.prefix.builds_of(self._identity)
        if not builds:
            wanted = f"generation of this bundle ({self._identity}), so there is none to repair"
            raise NoSuchGeneration(str(self.prefix.root), wanted, read_stack(self.prefix).labels())
        return builds[-1]

    def _verify(self) -> None:
        """Read the whole file; only then are the roots that it brings followed."""
        for fault in self.bundle.passed_over:
            self.progress.say(f"note: {fault}")
        self.bundle.verify(self.progress)
        before = self.store.load_root().version
        if self.bundle.root and self.bundle.root.version > before:
            newest = self.store.add_chain(self.bundle.root_documents)
            name = grouped(newest.fingerprint)
            self.progress.say(f"trusting root version {newest.version}, which follows version {before}: {name}")

    def _plan(self) -> tuple[Host, preflight.Plan]:
        host = self.host or read_host()
        plan = _preflight(self.options, self.bundle.manifest, self.prefix, host, self.interpreters)
        for note in (*plan.notes, *expiring(self.store.load_root())):
            self.progress.say(f"note: {note}")
        return host, plan

    def _build(self, plan: preflight.Plan, host: Host, lock: int, repairs: str = "") -> Generation:
        for name in self.prefix.sweep():
            self.progress.say(f"removed {name}, which an earlier run has left unfinished")
        taken = read_stack(self.prefix).numbers if repairs else ()  # a repair is newer than all that it repairs
        with self.prefix.building(self._identity, self.bundle.digest, taken) as generation:
            options = self.options
            destination = Destination(self.bundle, generation, plan, host, lock, options.jobs, self.progress)
            build(destination, self.now, options.allow_older, repairs)
        return generation

    def _note_prepared(self, generation: Generation) -> None:
        """Write it down, also where the run that built it was killed before it could."""
        if generation.name not in last_events(self.prefix):
            record(self.prefix, "prepared", generation, self.now, self.options.allow_older)

    def _left_prepared(self, generation: Generation) -> Installed:
        if generation.name not in last_events(self.prefix):
            with self.prefix.lock():
                self._note_prepared(generation)
        return self._told(generation, was_installed=True)

    def _made_current(self, generation: Generation) -> Installed:
        """Make an installed generation current; when it is already, nothing is touched but a manifest that got lost."""
        if not has_manifest(generation):
            with self.prefix.lock():
                write_file(generation.manifest, self.bundle.manifest_bytes)
        before = None
        if self.prefix.current() != generation:
            with self.prefix.lock():
                before = self._pointed_to()
                switch(self.prefix, "made-current", generation, self.now, self.options.allow_older)
        return self._told(generation, was_installed=True, before=before)

    def _waits(self, generation: Generation) -> bool:
        """Whether it was only prepared: a repair of it is no more than that."""
        return generation.name in read_stack(self.prefix).prepared

    def _takes_over(self, repaired: Generation) -> bool:
        """Whether a repair becomes current: where a build of its bundle is, or none is and this was not only prepared."""
        pointed = self.prefix.pointed_to()
        return not self._waits(repaired) if pointed is None else pointed.identity.bundle == self._identity.bundle

    def _chosen_again(self, generation: Generation) -> Installed:
        """A build that is whole takes the place of a damaged one of the same bundle that somebody has made current."""
        if self.prefix.pointed_to() != generation and self._takes_over(generation):
            return self._made_current(generation)
        return self._told(generation, was_installed=True)

    def _pointed_to(self) -> Neighbour | None:
        """What ``current`` leads to now; what happened to it is written over when another one takes its place."""
        pointed = self.prefix.pointed_to()
        return _neighbour(self.prefix, pointed) if pointed else None

    def _told(self, generation: Generation, was_installed: bool, before: Neighbour | None = None) -> Installed:
        stack = read_stack(self.prefix)
        receipt, now = _receipt_of(generation), self._pointed_to()
        is_current = stack.current == generation
        return Installed(
            receipt,
            self.prefix.root,
            was_installed,
            stack.number(generation),
            is_current,
            before=before if is_current and before and before.id != generation.name else None,
            current=None if is_current else now,
            damaged=tuple(damaged_receipts(stack, generation, self.store)),
        )


def _receipt_of(generation: Generation) -> Receipt:
    """Of this bundle's generation, which a repair builds anew where it is damaged."""
    try:
        return read_receipt(generation)
    except MirrorError as exc:
        if isinstance(exc, Unreadable) and not is_absence(exc):
            raise
        raise GenerationDamaged(str(generation.path), str(exc)) from exc


def _neighbour(prefix: Prefix, generation: Generation) -> Neighbour:
    event = last_events(prefix).get(generation.name)
    was_chosen = event is not None and event.action == "rolled-back"
    receipt, problem = receipt_or_problem(generation)
    number, name = read_stack(prefix).number(generation), receipt.name if receipt else ""
    reason = event.reason if event and was_chosen else ""
    return Neighbour(generation.name, number, name, generation.identity.sequence, problem, was_chosen, reason)


def trusted_manifest(bundle: Bundle, store: TrustStore, fingerprint: str) -> Manifest:
    """Check the bundle's signatures and parse its manifest.

    Args:
        fingerprint: confirms the root that the bundle carries, when none is trusted yet; ``store`` then keeps it.

    Raises:
        BundleRejected: when somebody whom the root names has refused it.
        MirrorError: as ``mirror.core.trust.verdict`` says.
    """
    if fingerprint and bundle.root_documents:
        root = store.add_chain(bundle.root_documents, confirmed_fingerprint=fingerprint)
    else:
        root = store.load_root()
        if fingerprint not in ("", root.fingerprint):
            raise UnconfirmedRoot(fingerprint, root.fingerprint)
    manifest = bundle.trust(root)
    check_refusals(bundle.sidecars, bundle.root or root)
    return manifest


def _preflight(
    options: Options, manifest: Manifest, prefix: Prefix, host: Host, interpreters: Sequence[Path] | None
) -> preflight.Plan:
    candidates = [options.python] if options.python else interpreters
    search = find_interpreter(manifest.target, candidates, wants_headers=compiles_at_run_time(manifest.projects))
    if options.python and not search.found:
        # A Python that was named is never replaced by another one in silence, carried or not.
        raise preflight.PreflightFailed((f"the bundle is for Python {manifest.target.python}: {search.rejected[0]}",))
    if not options.python:
        search = preflight.prefer_carried(manifest, search)
    wanted = [project for project, _ in manifest.host_packages]
    packages = read_host_packages(search.found.path, wanted) if wanted and search.found else None
    plan = preflight.check(manifest, prefix.root, host, read_disk(prefix.root), search, packages)
    found = plan.interpreter.path if plan.interpreter and not manifest.is_data else None
    return replace(plan, notes=(*plan.notes, *sharing_notes(prefix.root, manifest, found)))

"""``mirror bundle``: from a lock to a signed tar, in the order in which data travels.

1. Read the locks; lock what is missing (unless told not to).
2. Plan: resolve each pin to one file; what is here, what is fetched, what is built.
3. Fetch; what has arrived is looked into meanwhile.
4. Try the Python that is carried; build what has no wheel. Both with the network cut; builds with a toolchain unpacked from
   the very RPMs that the bundle carries.
5. Where equal inputs made the very bundle that stands already, all of the next two is done.
6. Gather: what goes in, what is inside it, whether it may, what is said of it, and the manifest.
7. Sign it, pack; where that very bundle stands already, read it instead.
8. Verify the result, every byte, and only then give it its name. Who is still to sign is told: others sign beside it.
9. Where a bundle of before is named, write the delta from it.

Each step is a module of its own; this one holds their order and nothing else.

Example::

    options = BundleOptions(Wishes(Path("lockfiles/h100.txt")), output=Path("h100.tar"))
    result = bundle(options, Store.default(), TrustStore.default())
    print(result.sha256)
"""

from __future__ import annotations

import glob
import shlex
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirror.connected.building.kept import BuiltWheel
from mirror.connected.building.schedule import build_wheels
from mirror.connected.building.trial import try_interpreters
from mirror.connected.contents.arriving import looking_inside
from mirror.connected.contents.inspection import Task
from mirror.connected.contents.watched import watched
from mirror.connected.fetching.download import Download
from mirror.connected.fetching.fetch import fetch
from mirror.connected.fetching.inputs import inputs_of
from mirror.connected.fetching.store import Store, file_sha256
from mirror.connected.kinds import session_for
from mirror.connected.packing.foreseen import Foreseen
from mirror.connected.packing.unchanged import Unchanged, written_state
from mirror.connected.planning.locks import Locks, name_of
from mirror.connected.planning.plan import Plan
from mirror.connected.planning.wishes import Wishes
from mirror.connected.prepare import prepare
from mirror.connected.signing.signers import Builder, ensure_builder
from mirror.connected.stack.ownpins import own_pins_named
from mirror.connected.toolchain.drift import drift_named
from mirror.core.bundle import layout
from mirror.core.bundle.delta.opened import open_delta
from mirror.core.bundle.manifest import Manifest
from mirror.core.bundle.reader import DigestMismatch, open_bundle
from mirror.core.bundle.signaturearea import ordered, ordered_roots
from mirror.core.bundle.writer import changed_source, write
from mirror.core.errors import FAMILIES, MirrorError, writing
from mirror.core.names import Sha256Hex
from mirror.core.policy.document import Policy
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import remove_leftovers_of, sync_directory
from mirror.core.system.output import check_output
from mirror.core.toolkit.package import PackageSource
from mirror.core.trust.chain import Documents
from mirror.core.trust.quorum import Tally, unmet
from mirror.core.trust.root import MANIFEST_NAMESPACE, Root
from mirror.core.trust.sidecars import signing_command
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import REVIEW, check_unexpired, expiring
from mirror.core.words import utc

if TYPE_CHECKING:
    from mirror.connected.delta.making import MadeDelta
    from mirror.connected.gathering import Made


@dataclass(frozen=True)
class BundleOptions:
    """What the user asked for.

    Attributes:
        wishes: which lock, and how to plan from it.
        output: the bundle's path.
        keys: the builders' keys that sign it here; the trust store's own when empty.
        jobs: downloads at once.
        python: interpreter of the target's minor version for builds; looked for when None.
        osv: URL or path of an advisory database to ask; empty for none.
        policy: that the bundle must keep; None for none.
        base: the bundle from which a delta is to be made, too; None for none.
        redeflate: whether that may take wheels apart.
    """

    wishes: Wishes
    output: Path
    keys: tuple[Path, ...] = ()
    jobs: int = 8
    python: Path | None = None
    osv: str = ""
    policy: Policy | None = None
    base: Path | None = None
    redeflate: bool = True


class OutputTaken(MirrorError):
    """Another stack's bundle stands where this one is to go."""

    ref = "output-taken"
    exit_code = FAMILIES["bundle"]
    hint = "Nothing was fetched or written. Name another file with -o, or move that one away, and what was signed beside it."
    message = "{path} is the bundle of {there}, and would be replaced by that of {name}"

    path: str
    there: str
    name: str


@dataclass(frozen=True)
class Bundled:
    """A finished bundle.

    Attributes:
        sha256: of the whole file.
        builder: who signed, and which keys were made for it now.
        tallies: who has signed, by role, and how many must; what lies beside the file is counted too.
        notes: what a person should know.
        delta: from the bundle of before; None when none was asked for.
    """

    path: Path
    sha256: Sha256Hex
    size: int
    manifest: Manifest
    builder: Builder
    tallies: tuple[Tally, ...]
    notes: tuple[str, ...]
    delta: MadeDelta | None = None

    @property
    def missing(self) -> tuple[Tally, ...]:
        """Roles of which more must sign before it can be installed."""
        return unmet(self.tallies)

    def to_dict(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "sha256": self.sha256,
            "size": self.size,
            "name": self.manifest.name,
            "sequence": self.manifest.sequence,
            "signer": self.builder.signer.public.fingerprint,
            "signers": [one.public.fingerprint for one in self.builder.signers],
            "signatures": {one.role: one.to_dict() for one in self.tallies},
            "missing": [str(one) for one in self.missing],
            "next": [signing_command(self.path)] if self.missing else [],
            "root_fingerprint": self.builder.root.fingerprint,
            "keys_created": [str(path) for path in self.builder.created],
            "contents": {
                name: {"count": count, "bytes": size} for name, (count, size) in self.manifest.sizes().items()
            },
            "delta": self.delta.to_dict() if self.delta else None,
            "notes": list(self.notes),
        }


def bundle(options: BundleOptions, store: Store, trust: TrustStore, progress: Progress = SILENT) -> Bundled:
    """Make a bundle.

    Raises:
        RootExpired: when what would be made could not be trusted. OutputTaken: when another stack's bundle stands there.
        MirrorError: as each step's module does; nothing is left at ``output`` then, and what was fetched or built is kept.
    """
    _check_output(options.output)
    if trust.has_root():
        check_unexpired(trust.load_root())
    before = _standing(options.output, name_of(options.wishes.lock))  # before anything is asked or locked
    if options.base:
        from mirror.connected.delta.making import check_base

        check_base(options.base, options.output)
    plan, locks = prepare(options.wishes, store, progress)
    builder = ensure_builder(trust, options.keys)  # before the long work: a key that is refused is refused now
    for path in builder.created:  # now, for what comes may fail, and the keys stay
        progress.say(f"made a private key, to be backed up: {path}")
    plan = replace(plan, remarks=(*plan.remarks, *builder.notes, *expiring(builder.root)))
    roots = ordered_roots(trust.root_documents())
    own = own_pins_named(locks.stack, tuple(plan.downloads()))
    drift = drift_named(locks.toolchain, options.wishes.toolchain_repo or locks.copy or None)
    with looking_inside(store, progress) as look:
        arrived = partial(_arrived, carried={part.download.sha256 for part in plan.parts}, look=look)
        with drift, own, session_for(plan, options.jobs) as session:
            downloads = tuple(plan.downloads())
            paths = fetch(downloads, store, jobs=options.jobs, progress=progress, session=session, arrived=arrived)
        untried = try_interpreters(plan, paths, store, progress)

        def looked_into(digest: Sha256Hex, source: PackageSource) -> PackageSource:
            return watched(source, paths[digest], digest, store)

        built = build_wheels(plan, locks, paths, store, options.python, progress, looked_into)
    key = _inputs(plan, locks, built, builder, roots, options)
    digest, notes = _foreseen(key, options.output, builder, store, progress)
    replaced: tuple[str, ...] = ()
    if not digest:
        # Here, for what looks inside and writes papers takes half a second to load.
        from mirror.connected.gathering import gather

        made = gather(plan, locks, paths, built, roots, store, options.osv, options.policy, progress)
        replaced = _replaced(options.output, before, made.manifest)
        beginning, digest = _written(made, options.output, builder, roots, Unchanged(store), progress)
        notes = made.notes
        if key:
            Foreseen(store).remember(key, beginning, notes)
    manifest, tallies, ignored = _who_signed(options.output, builder.root)
    delta = None
    if options.base:
        from mirror.connected.delta.making import make_delta

        try:
            delta = make_delta(options.base, options.output, builder.root, options.redeflate, progress)
        except MirrorError as exc:
            done = f"The bundle itself is written, {options.output}: the same command without --from has nothing to do."
            raise exc.advised(f"{exc.hint} {done}") from exc
    size = options.output.stat().st_size
    told = (*plan.told, *untried, *notes, *replaced, *_stale(options.output, digest, ignored))
    return Bundled(options.output, digest, size, manifest, builder, tallies, told, delta)


def _inputs(
    plan: Plan,
    locks: Locks,
    built: tuple[BuiltWheel, ...],
    builder: Builder,
    roots: Documents,
    options: BundleOptions,
) -> Sha256Hex | None:
    """The digest of all that the bundle's bytes hang on; None where an advisory database, which may say anything, is asked."""
    if options.osv:
        return None
    wheels = [(one.project, one.version, one.path.name, one.sha256, file_sha256(one.log), one.record) for one in built]
    signers = [one.public.fingerprint for one in builder.signers]
    plan, locks = replace(plan, remarks=()), replace(locks, news=(), copy="")  # no word of theirs goes in
    return inputs_of(plan, locks, wheels, signers, builder.root.fingerprint, roots, options.policy)


def _foreseen(
    key: Sha256Hex | None, output: Path, builder: Builder, store: Store, progress: Progress
) -> tuple[Sha256Hex | None, tuple[str, ...]]:
    """The digest of what stands at ``output`` and what is told of it, when it is what equal inputs made before."""
    known = Foreseen(store).recall(key, output) if key else None
    return (Unchanged(store).digest(output, known.head, builder.root, progress), known.notes) if known else (None, ())


def _standing(output: Path, name: str) -> int:
    """When the bundle of this stack that stands at ``output`` was locked; 0 for none, or half of one.

    Raises:
        OutputTaken: when it is another stack's.
    """
    try:
        with open_bundle(output) as other:
            before = Manifest.parse(other.manifest_bytes)
    except (OSError, MirrorError):
        return 0
    if before.name != name:
        raise OutputTaken(str(output), before.name, name)
    return before.sequence


def _replaced(output: Path, before: int, manifest: Manifest) -> tuple[str, ...]:
    """A note on the earlier bundle that stood where this one is."""
    if before in (0, manifest.sequence):
        return ()
    return (
        f"it replaced the bundle locked {utc(before)}, whose approvals are not this one's; a delta can go only from one that "
        f"is kept: name the next one with -o, and this one with --from {output.name}",
    )


def _written(
    made: Made, output: Path, builder: Builder, roots: Documents, unchanged: Unchanged, progress: Progress
) -> tuple[bytes, Sha256Hex]:
    """Sign and write the bundle, unless it stands already; its beginning and its digest."""
    data = made.manifest.encode()
    signatures = ordered((signer.sign(data, MANIFEST_NAMESPACE) for signer in builder.signers), builder.root)
    beginning = layout.head(data, signatures, roots)
    digest = unchanged.digest(output, beginning, builder.root, progress)
    if digest is None:
        with _draft(output) as draft:
            write(made.manifest, beginning, made.sources, draft, progress)
            before = written_state(draft)
            digest = _read_back(made, draft, builder.root, progress)
        unchanged.note(output, beginning, digest, before)
    return beginning, digest


def _read_back(made: Made, draft: Path, root: Root, progress: Progress) -> Sha256Hex:
    """The digest of what was written, every byte of which is read and held to the signed manifest.

    Raises:
        SourceChanged: when it is another because a file of the store is another.
    """
    with open_bundle(draft) as written:
        manifest = written.trust(root, required=REVIEW)  # those who sign beside it cannot have signed yet
        try:
            return written.verify_whole(progress)
        except DigestMismatch as exc:
            artifact = next(one for one in manifest.artifacts if one.path == exc.name)
            changed = changed_source(artifact, made.sources[artifact.path])
            if changed:
                raise changed from exc
            raise


def _arrived(download: Download, path: Path, carried: Collection[Sha256Hex], look: Callable[[Task], None]) -> None:
    """Have a wheel that goes into the bundle looked into while others are fetched."""
    if download.sha256 in carried and download.filename.endswith(".whl"):
        look(Task.of_wheel("", path, download.sha256))


def _who_signed(output: Path, root: Root) -> tuple[Manifest, tuple[Tally, ...], tuple[str, ...]]:
    """What a bundle holds, who has signed it, and the names of what lies beside it and is for another one."""
    with open_bundle(output) as made:
        manifest = made.trust(root, required=REVIEW)
        assert made.signers, "it was trusted"
        ignored = tuple(output.name + one[len(output.name) :].partition(": ")[0] for one in made.sidecars.ignored)
    return manifest, made.signers.tallies, ignored


def _stale(output: Path, digest: Sha256Hex, ignored: tuple[str, ...]) -> tuple[str, ...]:
    """A note on what lies beside a bundle and is for another one that had its name: approvals, refusals, deltas."""
    deltas = output.parent.glob(f"{glob.escape(output.name)}.from-*.delta")
    found = [*ignored, *sorted(path.name for path in deltas if _made_by(path) != digest)]
    found += [f"{one}.sig" for one in ignored if one.endswith(".json")]
    if not found:
        return ()
    remove = shlex.join(str(output.with_name(one)) for one in found)
    what = "what lies beside it is for another bundle of that name, or damaged, and counts for nothing"
    return (f"{what}: rm -f {remove}  (or name another file with -o)",)


def _made_by(path: Path) -> str:
    """The sha256 of the bundle that a delta makes; empty for half of one."""
    try:
        with open_delta(path) as delta:
            return delta.head.sha256
    except (OSError, MirrorError):
        return ""


def _check_output(output: Path) -> None:
    """Raises Unwritable, Unreadable: as ``check_output``."""
    check_output(output, "bundle", layout.MANIFEST.encode())


@contextmanager
def _draft(output: Path) -> Iterator[Path]:
    """A place beside the output, on its disk: a bundle has its name only once it was verified."""
    draft = output.with_name(f".{output.name[:200]}.unverified")
    remove_leftovers_of(output.absolute().parent, r".+\.unverified")  # also of bundles that are not written again
    try:
        yield draft
        _check_output(output)  # once more: what has got the name since then is not replaced either
        with writing(output):
            draft.replace(output)
            sync_directory(output.absolute().parent)
    finally:
        draft.unlink(missing_ok=True)

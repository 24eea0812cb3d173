"""``mirror bundle``: from a lock to a signed tar, in the order in which data travels.

1. Read the locks; lock what is missing (unless told not to).
2. Plan: resolve each pin to one file; what is here, what is fetched, what is built.
3. Fetch.
4. Try the Python that is carried; build what has no wheel. Both with the network cut; builds with a toolchain unpacked from
   the very RPMs that the bundle carries.
5. Assemble, look inside everything, vet every wheel and write the papers (dossier, licences, bill of materials).
6. Ask an advisory database if one is named, and hold all of it against the site's policy if that is named.
7. Make the manifest, sign it, pack; where that very bundle stands already, read it instead.
8. Verify the result, every byte, and only then give it its name. Who is still to sign is told: others sign beside it.
9. Where a bundle of before is named, write the delta from it.

Each step is a module of its own; this one holds their order and nothing else.

Example::

    options = BundleOptions(Wishes(Path("lockfiles/h100.txt")), output=Path("h100.tar"))
    result = bundle(options, Store.default(), TrustStore.default())
    print(result.sha256)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mirror import __version__
from mirror.connected.building.builds import build_wheels
from mirror.connected.building.kept import BuiltWheel
from mirror.connected.building.trial import try_interpreters
from mirror.connected.contents.watched import watched
from mirror.connected.delta.making import MadeDelta, check_base, make_delta
from mirror.connected.fetching.fetch import fetch
from mirror.connected.fetching.store import Store
from mirror.connected.index.wheels import fitting_name
from mirror.connected.kinds import FACETS, session_for
from mirror.connected.kinds.facet import Gathered
from mirror.connected.packing import meta
from mirror.connected.packing.assembly import Assembly
from mirror.connected.packing.installer import installer_bytes
from mirror.connected.packing.leftout import LeftOut
from mirror.connected.packing.unchanged import Unchanged, written_state
from mirror.connected.papers.osv import ask
from mirror.connected.papers.papers import add_papers, compiled, look_inside, wheels_of
from mirror.connected.papers.vetting import vet
from mirror.connected.planning.locks import Locks
from mirror.connected.planning.plan import Plan
from mirror.connected.planning.wishes import Wishes
from mirror.connected.prepare import prepare
from mirror.connected.signing.signers import Builder, ensure_builder
from mirror.connected.stack.file import Stack
from mirror.connected.toolchain.drift import drift_named
from mirror.core.advisories import known as advisories
from mirror.core.bundle.manifest import BUILT, Artifact, Manifest
from mirror.core.bundle.reader import open_bundle
from mirror.core.bundle.signaturearea import ordered, ordered_roots
from mirror.core.bundle.writer import head, pack
from mirror.core.errors import Unwritable
from mirror.core.kinds import DIRECTORIES, WHEEL
from mirror.core.kinds.tool import MIRROR
from mirror.core.names import Sha256Hex
from mirror.core.policy.document import Policy
from mirror.core.policy.rules import enforce
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import sync_directory
from mirror.core.toolkit.package import PackageSource
from mirror.core.trust.quorum import Tally, unmet
from mirror.core.trust.root import MANIFEST_NAMESPACE, Root
from mirror.core.trust.sidecars import signing_command
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import REVIEW
from mirror.core.wheels.wheelfile import WheelFile


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


@dataclass(frozen=True)
class Bundled:
    """A finished bundle.

    Attributes:
        path: where it is.
        sha256: of the whole file.
        size: bytes.
        manifest: what it holds.
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

    def contents(self) -> dict[str, tuple[int, int]]:
        """For each directory that is not empty: count and bytes."""
        groups = {name: self.manifest.within(name) for name in DIRECTORIES}
        return {name: (len(group), sum(item.size for item in group)) for name, group in groups.items() if group}

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
            "contents": {name: {"count": count, "bytes": size} for name, (count, size) in self.contents().items()},
            "delta": self.delta.to_dict() if self.delta else None,
            "notes": list(self.notes),
        }


def bundle(options: BundleOptions, store: Store, trust: TrustStore, progress: Progress = SILENT) -> Bundled:
    """Make a bundle.

    Raises:
        MirrorError: as each step's module does; nothing is left at ``output`` then, and what was fetched or built is kept.
    """
    _check_output(options.output)
    if options.base:
        check_base(options.base, options.output)
    plan, locks = prepare(options.wishes, store, progress)
    builder = ensure_builder(trust, options.keys)  # before the long work: a key that is refused is refused now
    roots = ordered_roots(trust.root_documents())
    drift = drift_named(locks.toolchain, options.wishes.toolchain_repo or locks.copy or None)
    with drift, session_for(plan, options.jobs) as session:
        paths = fetch(tuple(plan.downloads()), store, jobs=options.jobs, progress=progress, session=session)
    untried = try_interpreters(plan, paths, store, progress)
    looked_into = partial(_looked_into, paths=paths, store=store)
    built = build_wheels(plan, locks, paths, store, options.python, progress, looked_into)
    gathered = assemble(plan, locks, paths, built)
    assembly = gathered.assembly
    contents = look_inside(gathered, store, progress)
    wheels = wheels_of(assembly, contents)
    found = [finding for facet in FACETS for finding in facet.findings(gathered)]
    owners = [one.name for one in assembly.carried()]
    gate = vet(wheels, plan.target, locks.stack, compiled(assembly, contents), locks.packages, found, owners)
    add_papers(assembly, plan, locks, built, gate, contents)
    notes = (
        *plan.notes,
        *untried,
        *(note for wheel in built for note in wheel.notes),
        *gate.notes,
        *_add_advisories(assembly, options.osv, progress),
    )
    imports, host_packages, told = _without(wheels, plan, locks.stack)
    notes = (*notes, *told)
    manifest = assembly.manifest(roots, imports, host_packages)
    if options.policy:
        enforce(options.policy, manifest, lambda paper: _paper(assembly, paper))
    data = manifest.encode()
    signatures = ordered((signer.sign(data, MANIFEST_NAMESPACE) for signer in builder.signers), builder.root)
    beginning, written_before = head(data, signatures, roots), Unchanged(store)
    digest = written_before.digest(options.output, beginning, builder.root, progress)
    if digest is None:
        with _draft(options.output) as draft:
            digest = pack(manifest, data, signatures, roots, assembly.sources, draft, progress)
            before = written_state(draft)
            with open_bundle(draft) as written:
                written.trust(builder.root, required=REVIEW)  # those who sign beside it cannot have signed yet
                written.verify(progress)
        written_before.note(options.output, beginning, digest, before)
    tallies, stale = _who_signed(options.output, builder.root)
    delta = None
    if options.base:
        delta = make_delta(options.base, options.output, builder.root, options.redeflate, progress)
    size = options.output.stat().st_size
    return Bundled(options.output, digest, size, manifest, builder, tallies, (*notes, *stale), delta)


def _looked_into(
    sha256: Sha256Hex, source: PackageSource, paths: Mapping[Sha256Hex, Path], store: Store
) -> PackageSource:
    """A package that is unpacked for the builds: what is inside is seen on the way."""
    return watched(source, paths[sha256], sha256, store)


def _who_signed(output: Path, root: Root) -> tuple[tuple[Tally, ...], tuple[str, ...]]:
    """Who has signed a new bundle, and a note on what lies beside it and is for another one."""
    with open_bundle(output) as made:
        made.trust(root, required=REVIEW)
        assert made.signers, "it was trusted"
        ignored = made.sidecars.ignored
    return made.signers.tallies, tuple(f"beside the bundle, and counts for nothing: {one}" for one in ignored)


def _check_output(output: Path) -> None:
    """Refuse now what would be refused after the long work."""
    if output.is_dir():
        raise Unwritable(str(output), "it is a directory; name a file with -o")
    if output.exists() and (not output.is_file() or output.suffix in (".txt", ".toml")):
        raise Unwritable(str(output), "it is there and is no bundle; name another file with -o")
    if not output.absolute().parent.is_dir():
        raise Unwritable(str(output), f"the directory {output.absolute().parent} does not exist")
    if not os.access(output.absolute().parent, os.W_OK):
        raise Unwritable(str(output), f"no permission to write in {output.absolute().parent}")


@contextmanager
def _draft(output: Path) -> Iterator[Path]:
    """A place beside the output, on its disk: a bundle has its name only once it was verified."""
    draft = output.with_name(f".{output.name[:200]}.unverified")
    try:
        yield draft
        try:
            draft.replace(output)
            sync_directory(output.absolute().parent)
        except OSError as exc:
            raise Unwritable(str(output), exc.strerror or str(exc)) from exc
    finally:
        draft.unlink(missing_ok=True)


def assemble(plan: Plan, locks: Locks, paths: dict[Sha256Hex, Path], built: tuple[BuiltWheel, ...]) -> Gathered:
    """Gather the members of the bundle."""
    assembly = Assembly(plan)
    assembly.add_bytes(MIRROR, installer_bytes())
    sizes = {digest: size for facet in FACETS for digest, size in facet.sizes(plan, paths).items()}
    for part in plan.parts:
        assembly.add_file(
            part.kind.path(part.place or fitting_name(part.download.filename, plan.target)),
            paths[part.download.sha256],
            part.download.sha256,
            name=part.name,
            version=part.version,
            origin=part.origin,
            unpacked_size=part.unpacked_size or sizes.get(part.download.sha256, 0),
        )
    for wheel in built:
        _add_built(assembly, wheel)
    for name, data in locks.files.items():
        if name != locks.index_name:  # it has a name of its own there, for the closed side
            assembly.add_bytes(f"meta/{name}", data)
    assembly.add_bytes("meta/provenance.json", meta.provenance(locks.digests(), [b.record for b in built], __version__))
    gathered = Gathered(plan, locks, paths, assembly)
    for facet in FACETS:
        for path, data in facet.papers(gathered).items():
            assembly.add_bytes(path, data)
    return gathered


def _add_built(assembly: Assembly, wheel: BuiltWheel) -> None:
    assembly.add_file(
        WHEEL.path(wheel.path.name),
        wheel.path,
        wheel.sha256,
        name=wheel.project,
        version=wheel.version,
        origin=BUILT,
        unpacked_size=meta.wheel_size(wheel.path),
    )
    assembly.add_bytes(f"meta/build-{wheel.project}.log", wheel.log.read_bytes())


def _add_advisories(assembly: Assembly, database: str, progress: Progress) -> tuple[str, ...]:
    """Write down what a database knows of the files; a sentence about it."""
    if not database:
        return ()
    known = ask(database, assembly.carried(), progress)
    assembly.add_bytes(advisories.PATH, known.encode())
    return (known.summary(),)


def _without(
    wheels: Mapping[Artifact, WheelFile], plan: Plan, stack: Stack | None
) -> tuple[tuple[str, ...], Mapping[str, Mapping[str, str]], tuple[str, ...]]:
    """What is imported on the closed side, what the host's Python is to bring, and what a person should know of both."""
    imports = plan.imports or meta.default_imports(wheels)
    if stack is None or not stack.without:
        return imports, {}, ()
    left = LeftOut.of(wheels, plan.target, stack.without)
    if stack.host_packages:
        return imports, left.needs, (f"the host's Python is to bring {', '.join(left.needs)}",)
    kept = left.importable(imports)
    dropped = [module for module in imports if module not in kept]
    if not dropped:
        return kept, {}, ()
    without = ", ".join(stack.without)
    what = (
        f"the self-test does not import {', '.join(dropped)}, which needs what [python].without leaves out ({without})"
    )
    return kept, {}, (f"{what}; host_packages = true tests it with the packages of the host's Python",)


def _paper(assembly: Assembly, artifact: Artifact) -> bytes:
    source = assembly.sources[artifact.path]
    return source if isinstance(source, bytes) else source.read_bytes()

"""Everything that goes into a bundle, from the files that are here to the manifest: what each file is, what is inside it,
whether it may go in, and what is said of it.

1. Assemble the members.
2. Look inside everything, and vet every wheel.
3. Write the papers (dossier, licences, bill of materials).
4. Ask an advisory database if one is named, and hold all of it against the site's policy if that is named.
5. Make the manifest.

Rules: but for the advisories it is a function of its arguments, which ``mirror.connected.packing.foreseen`` goes by: nothing
else is asked, no clock, no place, no environment.

Example::

    made = gather(plan, locks, paths, built, roots, store)
    made.manifest
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror import __version__
from mirror.connected.building.kept import BuiltWheel
from mirror.connected.fetching.store import Store
from mirror.connected.index.wheels import fitting_name
from mirror.connected.kinds import FACETS, facet_of
from mirror.connected.kinds.facet import Gathered
from mirror.connected.packing import meta
from mirror.connected.packing.assembly import Assembly
from mirror.connected.packing.installer import installer_bytes
from mirror.connected.packing.leftout import LeftOut
from mirror.connected.papers.osv import ask
from mirror.connected.papers.papers import add_papers, compiled, look_inside, wheels_of
from mirror.connected.papers.vetting import vet
from mirror.connected.planning.locks import Locks
from mirror.connected.planning.plan import Plan
from mirror.connected.stack.stack import Stack
from mirror.core.advisories import known as advisories
from mirror.core.bundle.manifest import BUILT, Artifact, Manifest
from mirror.core.bundle.writer import Source
from mirror.core.kinds.tool import MIRROR
from mirror.core.names import Sha256Hex
from mirror.core.policy.document import Policy
from mirror.core.policy.rules import judge
from mirror.core.progress import SILENT, Progress
from mirror.core.trust.chain import Documents
from mirror.core.wheels.wheelfile import WheelFile


@dataclass(frozen=True)
class Made:
    """What is to be signed and packed.

    Attributes:
        sources: the bytes of each artifact by its path.
    """

    manifest: Manifest
    sources: Mapping[str, Source]
    notes: tuple[str, ...]


def gather(
    plan: Plan,
    locks: Locks,
    paths: dict[Sha256Hex, Path],
    built: tuple[BuiltWheel, ...],
    roots: Documents,
    store: Store,
    osv: str = "",
    policy: Policy | None = None,
    progress: Progress = SILENT,
) -> Made:
    """Gather a bundle.

    Args:
        roots: the root chain that travels with it.
        osv: URL or path of an advisory database to ask; empty for none.
        policy: that the bundle must keep; None for none.

    Raises:
        MirrorError: as each step does.
    """
    gathered = assemble(plan, locks, paths, built)
    assembly = gathered.assembly
    contents = look_inside(gathered, store, progress)
    assembly.measured({path: one.wheel.unpacked_size for path, one in contents.items() if one.wheel})
    wheels = wheels_of(assembly, contents)
    found = [finding for facet in FACETS for finding in facet.findings(gathered)]
    owners = [one.name for one in assembly.carried()]
    gate = vet(wheels, plan.target, locks.stack, compiled(assembly, contents), locks.packages, found, owners)
    add_papers(assembly, plan, locks, built, gate, contents)
    advised = _add_advisories(assembly, osv, progress)
    imports, host_packages, told = _without(wheels, plan, locks.stack)
    manifest = assembly.manifest(roots, imports, host_packages)
    if policy:
        judge(policy, manifest, lambda paper: _paper(assembly, paper)).enforce()
    notes = (*(note for wheel in built for note in wheel.notes), *gate.notes, *advised, *told)
    return Made(manifest, assembly.sources, notes)


def assemble(plan: Plan, locks: Locks, paths: dict[Sha256Hex, Path], built: tuple[BuiltWheel, ...]) -> Gathered:
    """Gather the members of the bundle."""
    assembly = Assembly(plan)
    assembly.add_bytes(MIRROR, installer_bytes())
    for part in plan.parts:
        file = paths[part.download.sha256]
        assembly.add_file(
            part.kind.path(part.place or fitting_name(part.download.filename, plan.target)),
            file,
            part.download.sha256,
            name=part.name,
            version=part.version,
            origin=part.origin,
            unpacked_size=part.unpacked_size or facet_of(part.kind).unpacked_size(part, file, plan.target),
        )
    for wheel in built:
        assembly.add_file(
            wheel.member, wheel.path, wheel.sha256, name=wheel.project, version=wheel.version, origin=BUILT
        )
        assembly.add_bytes(f"meta/build-{wheel.project}.log", wheel.log.read_bytes())
    for name, data in locks.files.items():
        if name != locks.index_name:  # it has a name of its own there, for the closed side
            assembly.add_bytes(f"meta/{name}", data)
    assembly.add_bytes("meta/provenance.json", meta.provenance(locks.digests(), [b.record for b in built], __version__))
    gathered = Gathered(plan, locks, paths, assembly)
    for facet in FACETS:
        for path, data in facet.papers(gathered).items():
            assembly.add_bytes(path, data)
    return gathered


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

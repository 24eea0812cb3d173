"""The papers of a bundle: what is said in ``meta/`` about the files that it carries, for people and for other tools.

In this order: look inside every artifact (what is found there, the gate wants to know as well), fill the dossier, gather the
licence texts, and write the same facts in the two forms that other tools read, a CycloneDX bill of materials and an in-toto
statement. Each is a module of its own.

Rules: all of it is a function of the locks and the artifacts; no paper speaks of the files of ``meta/``, for it is one of them.

Example::

    contents = look_inside(gathered, store, progress)
    add_papers(assembly, plan, locks, built, gate, contents)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mirror.connected.building.kept import BuiltWheel
from mirror.connected.contents.inside import Contents
from mirror.connected.contents.inspection import inspect
from mirror.connected.contents.licences import licences_txt
from mirror.connected.contents.modelcontents import with_cards
from mirror.connected.fetching.store import Store
from mirror.connected.kinds import FACETS
from mirror.connected.kinds.facet import Gathered
from mirror.connected.packing.assembly import Assembly
from mirror.connected.papers import attestation, sbom
from mirror.connected.papers.dossier import build_log, make_dossier
from mirror.connected.papers.vetting import Gate
from mirror.connected.planning.locks import Locks
from mirror.connected.planning.plan import Plan
from mirror.core.binaries.native import Native
from mirror.core.bundle.dossier import LICENCES
from mirror.core.bundle.dossier import PATH as DOSSIER
from mirror.core.bundle.manifest import Artifact
from mirror.core.progress import SILENT, Progress
from mirror.core.wheels.wheelfile import WheelFile


def look_inside(gathered: Gathered, store: Store, progress: Progress = SILENT) -> dict[str, Contents]:
    """What is in each artifact that is a file, by its path in the bundle. Raises ``MirrorError`` as ``inspect`` does."""
    found = inspect(tuple(task for facet in FACETS for task in facet.tasks(gathered)), store, progress)
    return with_cards(found)


def compiled(assembly: Assembly, contents: Mapping[str, Contents]) -> dict[Artifact, Native]:
    """What ``look_inside`` found compiled in what is no wheel."""
    packages = (one for one in assembly.carried() if not one.is_wheel and one.path in contents)
    return {artifact: contents[artifact.path].native for artifact in packages}


def wheels_of(assembly: Assembly, contents: Mapping[str, Contents]) -> dict[Artifact, WheelFile]:
    """What ``look_inside`` read in every wheel, those of ``tool/`` included."""
    read = {artifact: contents[artifact.path].wheel for artifact in assembly.wheels()}
    assert None not in read.values(), "every wheel was read"
    return {artifact: wheel for artifact, wheel in read.items() if wheel}


def add_papers(
    assembly: Assembly,
    plan: Plan,
    locks: Locks,
    built: Sequence[BuiltWheel],
    gate: Gate,
    contents: Mapping[str, Contents],
) -> None:
    """Write the papers into an assembly that holds everything else; ``contents`` are what ``look_inside`` found."""
    artifacts = assembly.carried()
    dossier = make_dossier(artifacts, contents, plan, locks, built, gate)
    texts = ((path, name, text) for path, found in contents.items() for name, text in found.texts)
    logs = [one for one in assembly.within("meta") if one.path in {build_log(wheel) for wheel in built}]
    assembly.add_bytes(DOSSIER, dossier.encode())
    assembly.add_bytes(LICENCES, licences_txt(texts))
    assembly.add_bytes(sbom.PATH, sbom.sbom(plan, artifacts, dossier, built, locks.stack))
    assembly.add_bytes(attestation.PATH, attestation.statement(plan, artifacts, locks.digests(), built, logs))

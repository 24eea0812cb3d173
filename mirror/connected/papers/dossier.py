"""Filling the dossier: for each artifact of a bundle, what the people who decide about it want to know.

``mirror.connected.contents.inspection`` finds what is inside an artifact, ``mirror.connected.papers.vetting`` judges it, and
``mirror.connected.papers.edges`` knows who needs whom. This module puts it together with what the locks and the builds know.
``mirror.core.bundle.dossier`` is the document itself.

Rules: equal locks and artifacts give equal dossiers: what changes on an index after the time of locking (a withdrawal) is
taken from the lock, never from a page; nothing of this machine goes in; what could not be read is a note.

Example::

    dossier = make_dossier(assembly.carried(), contents, plan, locks, built, gate)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mirror.connected.building.kept import BuiltWheel
from mirror.connected.contents.inside import Contents
from mirror.connected.papers.edges import package_edges
from mirror.connected.papers.vetting import Gate
from mirror.connected.pins.markers import applies
from mirror.connected.planning.locks import Locks
from mirror.connected.planning.plan import Plan
from mirror.core.bundle.dossier import Dossier, FileFacts
from mirror.core.bundle.manifest import Artifact
from mirror.core.kinds import kind_of
from mirror.core.names import project_name
from mirror.core.vetting.wheel import Vetted
from mirror.core.wheels.needs import Needs

_OURSELVES = Contents(summary="mirror itself: verifies, reports and installs bundles", licence="Apache-2.0")


def make_dossier(
    artifacts: Sequence[Artifact],
    contents: Mapping[str, Contents],
    plan: Plan,
    locks: Locks,
    built: Iterable[BuiltWheel],
    gate: Gate,
) -> Dossier:
    """Put the dossier together.

    Args:
        artifacts: everything outside ``meta/``, in the bundle's order.
        contents: what was found inside them, by path; nothing for ``mirror.pyz``.
        built: the wheels that were built here.
        gate: what the vetting of the wheels found, and what of it was waived.
    """
    found = {artifact.path: contents.get(artifact.path, _OURSELVES) for artifact in artifacts}
    edges = {**_wheel_edges(artifacts, found, locks), **_package_edges(artifacts, found)}
    filler = _Filler(plan, locks, {wheel.member: wheel for wheel in built}, gate)
    files = tuple(filler.facts(one, found[one.path], edges.get(one.path, ())) for one in artifacts)
    return Dossier(
        requirements=_requirements(artifacts, edges, locks),
        packages=_packages(artifacts, locks),
        files=files,
        notes=(*plan.notes, *gate.notes, *_faults(artifacts, found)),
    )


class _Filler:
    """What the locks and the builds know of artifacts."""

    def __init__(self, plan: Plan, locks: Locks, built: Mapping[str, BuiltWheel], gate: Gate) -> None:
        self._target, self._built = plan.target, built
        self._vetted, self._waivers, self._glibc = gate.vetted, gate.waivers, gate.glibc
        self._uploaded = {part.download.sha256: part.uploaded for part in plan.parts}
        self._yanked = {pin.name: pin.yanked for pin in locks.python.pins}

    def facts(self, artifact: Artifact, contents: Contents, requires: tuple[str, ...]) -> FileFacts:
        kind, built = kind_of(artifact.directory), self._built.get(artifact.path)
        vetted: Vetted | Contents = self._vetted.get(artifact.path) or contents
        return FileFacts(
            path=artifact.path,
            kind=kind.name,
            summary=contents.summary,
            licence=contents.licence,
            licence_stated=contents.licence_stated,
            licence_files=tuple(name for name, _ in contents.texts),
            homepage=contents.homepage,
            requires=requires,
            yanked=self._yanked.get(project_name(artifact.name), "") if kind.is_project else "",
            uploaded=0 if built else self._uploaded.get(artifact.sha256, 0),
            built=build_log(built) if built else "",
            source_sha256=str(built.record["sdist_sha256"]) if built else "",
            signer=contents.signer,
            native=contents.native.count,
            gpus=contents.native.gpus,
            glibc=self._glibc.get(artifact.path, ""),
            libstdcxx=contents.native.libstdcxx.get(self._target.arch, ""),
            hooks=vetted.hooks if isinstance(vetted, Vetted) else (),
            scripts=vetted.scripts,
            setuid=vetted.setuid,
            scriptlets=contents.scriptlets,
            waivers=self._waivers.get(artifact.path, ()),
        )


def build_log(wheel: BuiltWheel) -> str:
    """Where the log of a build is in the bundle."""
    return f"meta/build-{wheel.project}.log"


def _projects(artifacts: Iterable[Artifact]) -> dict[str, Artifact]:
    return {project_name(artifact.name): artifact for artifact in artifacts if artifact.is_project}


def _wheel_edges(
    artifacts: Iterable[Artifact], found: Mapping[str, Contents], locks: Locks
) -> dict[str, tuple[str, ...]]:
    wheels = _projects(artifacts)
    asked = (*locks.stack.requirements, *locks.stack.optional) if locks.stack else ()
    needs = {name: found[artifact.path].needs for name, artifact in wheels.items()}
    edges = Needs(needs, map(str, asked), locks.target).edges()
    return {artifact.path: edges[name] for name, artifact in wheels.items()}


def _package_edges(artifacts: Iterable[Artifact], found: Mapping[str, Contents]) -> dict[str, tuple[str, ...]]:
    packages = {one.name: one for one in artifacts if one.kind and one.kind.is_toolchain}
    needs = {name: found[artifact.path].needs for name, artifact in packages.items()}
    edges = package_edges(needs, {name: found[artifact.path].offers for name, artifact in packages.items()})
    return {artifact.path: edges[name] for name, artifact in packages.items()}


def _requirements(artifacts: Iterable[Artifact], edges: Mapping[str, tuple[str, ...]], locks: Locks) -> tuple[str, ...]:
    """What was asked for by name. A lock that was made elsewhere does not say: then its pins that no other one needs."""
    wheels = _projects(artifacts)
    if locks.stack:
        asked = [one for one in locks.stack.requirements if applies(one, locks.target)]
        asked += [one for one in locks.stack.optional if project_name(one.name) in wheels]
        return tuple(str(one) for one in asked)
    pins = [pin for pin in locks.python.pins if pin.name in wheels]
    needed = {name for artifact in wheels.values() for name in edges[artifact.path]}
    return tuple(f"{pin.name}=={pin.version}" for pin in [pin for pin in pins if pin.name not in needed] or pins)


def _packages(artifacts: Iterable[Artifact], locks: Locks) -> tuple[str, ...]:
    carried = {artifact.kind for artifact in artifacts}
    return locks.toolchain.wanted if locks.toolchain and locks.toolchain.KIND in carried else ()


def _faults(artifacts: Iterable[Artifact], found: Mapping[str, Contents]) -> Iterable[str]:
    for artifact in artifacts:
        contents = found[artifact.path]
        faults = (*contents.faults, *contents.native.faults, *contents.native.gpu_faults)
        yield from (f"{artifact.filename}: {fault}" for fault in faults)

"""The bill of materials: every file that a bundle carries, once, as CycloneDX 1.6 in JSON.

The dossier holds the facts in it, ``mirror.connected.kinds`` makes the names, ``cyclonedx-python-lib`` the format.

Rules: a component for each artifact outside ``meta/``, under its path. The files of ``meta/`` are words about those, and this
document is one of them: the signed manifest names them all by digest, so that no document has to hold its own. The same bundle
gives the same bytes: the serial number is made of what the bundle holds, the time is the lock's. What was built here has its
source as ancestor.

Example::

    sbom(plan, artifacts, dossier, built, locks.stack)
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component, ComponentType, Pedigree
from cyclonedx.model.dependency import Dependable, Dependency
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.spdx import is_supported_id
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from mirror import __version__
from mirror.connected.building.kept import BuiltWheel
from mirror.connected.kinds import facet_of
from mirror.connected.kinds.facet import WEB
from mirror.connected.kinds.wheel import project_purl
from mirror.connected.pins.standards import read_requirement
from mirror.connected.planning.plan import Plan
from mirror.connected.stack.stack import Stack
from mirror.core.bundle.dossier import Dossier, FileFacts
from mirror.core.bundle.manifest import Artifact
from mirror.core.fields import canonical_json
from mirror.core.kinds import KINDS, Kind, kind_of

PATH = "meta/sbom.cdx.json"

_NAMESPACE = uuid.UUID("f3e13d79-0a02-4d30-a903-c3470941b9c9")
"""Serial numbers are made in it (uuid5), of the paths and digests of a bundle."""


def sbom(
    plan: Plan, artifacts: Sequence[Artifact], dossier: Dossier, built: Iterable[BuiltWheel], stack: Stack | None
) -> bytes:
    """The document.

    Args:
        artifacts: everything outside ``meta/``, in the bundle's order.
        dossier: their facts.
        built: the wheels that were built here.
        stack: None for a lock made elsewhere.
    """
    materials = _Materials(plan, built, stack)
    facts = {one.path: one for one in dossier.files}
    components = {one.path: materials.component(one, facts[one.path]) for one in artifacts}
    root = Component(
        name=plan.name, version=str(plan.sequence), type=ComponentType.APPLICATION, bom_ref=f"bundle:{plan.name}"
    )
    tool = Component(name="mirror", version=__version__, type=ComponentType.APPLICATION)
    bom = Bom(
        serial_number=_serial_number(plan, artifacts),
        components=components.values(),
        metadata=BomMetaData(
            timestamp=datetime.fromtimestamp(plan.sequence, timezone.utc),
            component=root,
            tools=ToolRepository(components=[tool]),
        ),
    )
    _depend(bom, root, artifacts, dossier, components)
    return canonical_json(json.loads(JsonV1Dot6(bom).output_as_string()))


def _serial_number(plan: Plan, artifacts: Iterable[Artifact]) -> uuid.UUID:
    digest = hashlib.sha256(f"{plan.name} {plan.sequence}\n".encode())
    for artifact in artifacts:
        digest.update(f"{artifact.sha256}  {artifact.path}\n".encode())
    return uuid.uuid5(_NAMESPACE, digest.hexdigest())


class _Materials:
    """Makes components."""

    def __init__(self, plan: Plan, built: Iterable[BuiltWheel], stack: Stack | None) -> None:
        self._stack = stack
        self._parts = {part.download.sha256: part for part in plan.parts}
        self._builds = {build.name: build for build in plan.builds}
        self._built = {wheel.member: wheel for wheel in built}

    def component(self, artifact: Artifact, facts: FileFacts) -> Component:
        built, kind = self._built.get(artifact.path), kind_of(artifact.directory)
        return Component(
            name=artifact.name,
            version=artifact.version or __version__,
            type=ComponentType(kind.component),
            bom_ref=artifact.path,
            description=facts.summary or None,
            hashes=[_hash(artifact.sha256)],
            licenses=_licences(facts),
            purl=facet_of(kind).purl(artifact, self._parts.get(artifact.sha256), self._stack),
            external_references=_references(artifact, facts),
            properties=[Property(name=f"mirror:{name}", value=value) for name, value in _properties(artifact, facts)],
            pedigree=Pedigree(ancestors=[self._source(built)]) if built else None,
        )

    def _source(self, built: BuiltWheel) -> Component:
        """What a wheel was built from."""
        build = self._builds[built.project]
        sdist, probe = build.sdist, PackageURL("generic", None, build.name, build.version)
        # Archives of two projects may have one name, v1.0.tar.gz; sdists have their project's.
        name = f"{built.project}/{built.record['sdist']}" if build.settings.own else built.record["sdist"]
        return Component(
            name=built.project,
            version=built.version,
            type=ComponentType.LIBRARY,
            bom_ref=f"source:{name}",
            hashes=[_hash(str(built.record["sdist_sha256"]))],
            purl=project_purl(build.name, build.version, self._stack, sdist.filename) if sdist else probe,
            external_references=[_distribution(sdist.shown_url)] if sdist else [],
        )


def _hash(sha256: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=sha256)


def _licences(facts: FileFacts) -> tuple[License, ...]:
    if facts.licence:
        known = is_supported_id(facts.licence)
        return (DisjunctiveLicense(id=facts.licence) if known else LicenseExpression(facts.licence),)
    return (DisjunctiveLicense(name=facts.licence_stated),) if facts.licence_stated else ()


def _distribution(url: str) -> ExternalReference:
    return ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(url))


def _references(artifact: Artifact, facts: FileFacts) -> Iterable[ExternalReference]:
    if facts.homepage:
        yield ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(facts.homepage))
    if artifact.origin.startswith(WEB):
        yield _distribution(artifact.origin)
    if facts.built:
        yield ExternalReference(type=ExternalReferenceType.BUILD_META, url=XsUri(facts.built))


def _properties(artifact: Artifact, facts: FileFacts) -> Iterable[tuple[str, str]]:
    yield "path", artifact.path
    yield "size", str(artifact.size)
    for gpu in facts.gpus:
        yield "gpu", gpu
    for name in ("glibc", "signer"):
        if getattr(facts, name):
            yield name, getattr(facts, name)


class _Graph:
    """The dependencies of a ``Bom``, found by their reference; the library goes through all of them, for each of them."""

    def __init__(self, bom: Bom) -> None:
        self._bom = bom
        self._nodes: dict[BomRef, Dependency] = {}
        # Its output registers every component once more. No subclass: the library writes those as something else.
        vars(bom)["register_dependency"] = self.register

    def register(self, target: Dependable, depends_on: Iterable[Dependable] | None = None) -> None:
        """``Bom.register_dependency``, with the same result."""
        others = tuple(depends_on or ())
        self._node(target).dependencies.update(Dependency(ref=one.bom_ref) for one in others)
        for one in others:
            self._node(one)

    def _node(self, target: Dependable) -> Dependency:
        if target.bom_ref not in self._nodes:
            self._nodes[target.bom_ref] = Dependency(ref=target.bom_ref)
            self._bom.dependencies.add(self._nodes[target.bom_ref])
        return self._nodes[target.bom_ref]


def _asked_of(kind: Kind, dossier: Dossier) -> Iterable[str]:
    """What the stack asks for of a kind, by its names."""
    if kind.is_project:
        return [read_requirement(text).name for text in dossier.requirements]
    return dossier.packages if kind.is_toolchain else ()


def _depend(
    bom: Bom, root: Component, artifacts: Sequence[Artifact], dossier: Dossier, components: Mapping[str, Component]
) -> None:
    """The dependency graph: the bundle needs what was asked for and what nothing else in it needs."""
    graph = _Graph(bom)
    places = {(one.kind, canonicalize_name(one.name)): one.path for one in artifacts}
    needed: set[str] = set()
    for artifact, facts in zip(artifacts, dossier.files, strict=True):
        others = [places[artifact.kind, canonicalize_name(name)] for name in facts.requires]
        needed.update(others)
        graph.register(components[artifact.path], [components[path] for path in others])
    asked = {(kind, canonicalize_name(name)) for kind in KINDS for name in _asked_of(kind, dossier)}
    roots = [path for key, path in places.items() if key in asked or path not in needed]
    graph.register(root, [components[path] for path in roots])

"""How a bundle came about, in the form that other tools read: an in-toto Statement with SLSA's provenance predicate, version 1.

mirror's own, fuller record of each build is ``meta/provenance.json``; who vouches for all of it is told by the signatures over
the manifest, which names this document like any other.

Rules: it claims no more than SLSA build level 1 (the provenance exists): the builder is somebody's workstation, which nobody
else watches. A subject that was taken in as its publisher made it says so, and is named once more among what the bundle was
made from. No time of this machine's clock is in it, and no name of it.

Example::

    statement(plan, artifacts, locks.digests(), built, logs)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mirror import __version__
from mirror.connected.building.kept import BuiltWheel
from mirror.connected.kinds.facet import WEB
from mirror.connected.planning.plan import Plan
from mirror.core.bundle.manifest import BUILT, Artifact
from mirror.core.fields import canonical_json
from mirror.core.names import Sha256Hex

PATH = "meta/provenance.intoto.json"

_OURS = "urn:uuid:f201c585-1d9e-4a75-98ac-9f7536a4a210"
"""A name that is ours without a domain being (RFC 9562); what it stands for is told in the README."""

BUILD_TYPE = f"{_OURS}#mirror-bundle/v1"
"""A bundle made by ``mirror bundle`` from locks."""

BUILDER = f"{_OURS}#workstation"
"""A machine of whoever signed the manifest; nothing about it is proven."""

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"


def statement(
    plan: Plan,
    artifacts: Sequence[Artifact],
    locks: Mapping[str, Sha256Hex],
    built: Sequence[BuiltWheel],
    logs: Iterable[Artifact],
) -> bytes:
    """The document.

    Args:
        artifacts: everything outside ``meta/``, in the bundle's order.
        locks: sha256 of each lock file by its name.
        built: the wheels that were built here.
        logs: of the builds, in ``meta/``.
    """
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [_subject(artifact) for artifact in artifacts],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {
                        "name": plan.name,
                        "sequence": plan.sequence,
                        "target": plan.target.to_dict(),
                        "locks": {name: {"sha256": digest} for name, digest in locks.items()},
                    },
                    "internalParameters": {"mirror": __version__},
                    "resolvedDependencies": [*_fetched(artifacts), *_sources(plan, built)],
                },
                "runDetails": {
                    "builder": {"id": BUILDER, "version": {"mirror": __version__}},
                    "byproducts": [_descriptor(log.path, log.sha256) for log in logs],
                },
            },
        }
    )


def _descriptor(name: str, sha256: str, uri: str = "") -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": sha256}, **({"uri": uri} if uri.startswith(WEB) else {})}


def _subject(artifact: Artifact) -> dict[str, Any]:
    how = "built" if artifact.origin == BUILT else "fetched" if artifact.origin.startswith(WEB) else "mirror"
    return {**_descriptor(artifact.path, artifact.sha256), "annotations": {"made": how}}


def _fetched(artifacts: Iterable[Artifact]) -> Iterable[dict[str, Any]]:
    """What went in as its publisher made it."""
    for artifact in artifacts:
        if artifact.origin.startswith(WEB):
            yield _descriptor(artifact.filename, artifact.sha256, artifact.origin)


def _sources(plan: Plan, built: Iterable[BuiltWheel]) -> Iterable[dict[str, Any]]:
    addresses = {build.name: build.sdist.shown_url for build in plan.builds if build.sdist}
    for wheel in built:
        record = wheel.record
        yield _descriptor(str(record["sdist"]), str(record["sdist_sha256"]), addresses.get(wheel.project, ""))
    inputs = (download for build in plan.builds for download in build.settings.downloads())
    for download in (*inputs, *sorted(plan.build_requirements, key=lambda one: one.filename)):
        yield _descriptor(download.filename, download.sha256, download.shown_url)

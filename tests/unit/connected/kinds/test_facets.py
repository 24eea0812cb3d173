"""The kinds on the connected side: each has its facet, in the bundle's order, and each is named to the world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mirror.connected.kinds import FACETS, facet_of, session_for
from mirror.connected.kinds.facet import generic
from mirror.connected.models.hub import HubAuth
from mirror.connected.planning.plan import Part
from mirror.core.bundle.manifest import Artifact
from mirror.core.kinds import FILE, KINDS, MODEL, TOOL, WHEEL
from mirror.core.names import Sha256Hex
from tests.support.carried import Carried

DIGEST = Sha256Hex("ab" * 32)


def test_each_kind_has_its_facet_in_the_bundles_order() -> None:
    assert tuple(facet.KIND for facet in FACETS) == KINDS
    assert [facet_of(kind).KIND for kind in KINDS] == list(KINDS)


def test_only_models_are_fetched_with_a_session_of_their_own(tmp_path: Path) -> None:
    plan = Carried(tmp_path).plan
    with session_for(plan, 2) as none:
        assert none is None
    model = Part(MODEL, "org/tiny", "0" * 40, plan.parts[0].download, place="org--tiny/config.json")
    with session_for(replace(plan, parts=(*plan.parts, model)), 2) as session:
        assert session is not None and isinstance(session.auth, HubAuth)


def test_what_an_assembly_holds_of_each_kind_is_read_through_once(tmp_path: Path) -> None:
    gathered = Carried(tmp_path).assembled()
    paths = [task.path for facet in FACETS for task in facet.tasks(gathered)]
    files = [one.path for kind in KINDS for one, _ in gathered.files(kind)]
    assert paths == files and len(set(paths)) == len(paths)


def test_what_was_published_nowhere_is_named_by_its_address_or_its_name() -> None:
    artifact = Artifact("files/a.txt", 1, DIGEST, "a.txt", origin="https://files.example.org/a.txt")
    assert str(facet_of(FILE).purl(artifact, None, None)) == (
        "pkg:generic/a.txt?download_url=https://files.example.org/a.txt"
    )
    assert str(generic(replace(artifact, origin="mirror"), "1.0")) == "pkg:generic/a.txt@1.0"


def test_a_file_of_a_model_is_named_by_its_repository_and_revision() -> None:
    artifact = Artifact("models/org--tiny/sub/config.json", 1, DIGEST, "org/tiny", "0" * 40)
    assert str(facet_of(MODEL).purl(artifact, None, None)) == f"pkg:huggingface/org/tiny@{'0' * 40}#sub/config.json"


def test_a_wheel_of_the_installers_is_named_as_a_project_is(tmp_path: Path) -> None:
    gathered = Carried(tmp_path).assembled()
    tools = {one.name: one for one in gathered.assembly.of(TOOL)}
    named = str(facet_of(TOOL).purl(tools["mirror.pyz"], None, None))
    assert named.startswith("pkg:generic/mirror.pyz@")
    wheel = gathered.assembly.of(WHEEL)[0]
    part = next(one for one in gathered.plan.of(WHEEL) if one.name == wheel.name)
    assert str(facet_of(WHEEL).purl(wheel, part, None)).startswith(f"pkg:pypi/{wheel.name}@{wheel.version}")

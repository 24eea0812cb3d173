"""The bill of materials: valid by CycloneDX's own schema, every file once, and the same bytes each time."""

from __future__ import annotations

import itertools
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from mirror.connected.kinds import facet_of
from mirror.connected.papers.sbom import PATH, _Graph
from mirror.core.bundle.manifest import Artifact
from mirror.core.kinds import REDIST, RPM, WHEEL
from mirror.core.names import Sha256Hex
from tests.support.carried import HOST, SITE, Carried


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Carried:
    made = Carried(tmp_path_factory.mktemp("carried"))
    made.add_papers()
    return made


@pytest.fixture(scope="module")
def document(carried: Carried) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(carried.bytes(PATH))
    return found


def component(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in document["components"] if one["name"] == name]
    return dict(found)


def test_it_is_valid_by_the_official_schema(carried: Carried) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(carried.bytes(PATH).decode()) is None


def test_the_schema_would_refuse_what_is_wrong(document: dict[str, Any]) -> None:
    broken = {**document, "components": [{**document["components"][0], "type": "thing"}]}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None


def test_every_artifact_outside_meta_is_in_it_once_with_its_digest(carried: Carried, document: dict[str, Any]) -> None:
    found = [(one["bom-ref"], one["hashes"][0]["content"]) for one in document["components"]]
    assert sorted(found) == sorted((one.path, one.sha256) for one in carried.assembly.carried())


def test_it_is_of_the_stack_at_the_time_of_locking_and_names_its_tool(document: dict[str, Any]) -> None:
    metadata = document["metadata"]
    assert (metadata["component"]["name"], metadata["timestamp"]) == ("demo", "2026-11-01T00:00:00+00:00")
    assert [one["name"] for one in metadata["tools"]["components"]] == ["mirror"]


def test_the_serial_number_is_made_of_what_is_carried(
    carried: Carried, document: dict[str, Any], tmp_path: Path
) -> None:
    other = Carried(tmp_path)
    other.plan = replace(other.plan, parts=tuple(part for part in other.plan.parts if part.name != "site-only"))
    other.add_papers()
    assert json.loads(other.bytes(PATH))["serialNumber"] != document["serialNumber"]


def test_licences_are_ids_expressions_or_the_publishers_words(document: dict[str, Any]) -> None:
    def licences(name: str) -> object:
        return component(document, name).get("licenses")

    assert licences("gamma") == [{"license": {"id": "MIT"}}]
    assert licences("alpha") == [{"expression": "Apache-2.0 OR MIT"}]
    assert licences("beta") == [{"license": {"name": "BSD"}}]
    assert licences("site-only") is None


def test_what_was_built_here_has_its_source_as_ancestor(carried: Carried, document: dict[str, Any]) -> None:
    (source,) = component(document, "delta")["pedigree"]["ancestors"]
    assert source["hashes"] == [{"alg": "SHA-256", "content": carried.sdist.sha256}]
    assert source["purl"] == "pkg:pypi/delta@2.0?file_name=delta-2.0.tar.gz"
    assert source["externalReferences"][0]["url"] == f"{HOST}/delta-2.0.tar.gz"
    assert component(document, "delta")["purl"] == "pkg:pypi/delta@2.0"
    assert component(document, "mirror-probe")["purl"] == "pkg:generic/mirror-probe@1.0"
    assert "pedigree" not in component(document, "alpha")


def test_every_purl_can_be_read_and_names_what_was_published(document: dict[str, Any]) -> None:
    purls = {one["name"]: one["purl"] for one in document["components"]}
    for purl in purls.values():
        assert PackageURL.from_string(purl).to_string() == purl
    assert purls["alpha"] == "pkg:pypi/alpha@1.0?file_name=alpha-1.0-py3-none-any.whl"
    assert purls["uv"] == "pkg:pypi/uv@1.0?file_name=uv-1.0-py3-none-any.whl"
    assert purls["cuda-nvcc-13-0"] == "pkg:rpm/cuda-nvcc-13-0@13.0.88-1?arch=x86_64"
    assert purls["python"].startswith("pkg:generic/python@3.11?download_url=https://files.example.org/")
    site = PackageURL.from_string(purls["site-only"])
    assert site.qualifiers == {"file_name": "site_only-1.0-py3-none-any.whl", "repository_url": SITE}


def test_a_wheel_that_has_a_shorter_name_in_the_bundle_is_named_as_it_was_published(carried: Carried) -> None:
    alpha = next(one for one in carried.assembly.carried() if one.name == "alpha")
    part = next(one for one in carried.plan.parts if one.download.sha256 == alpha.sha256)
    purl = facet_of(WHEEL).purl(replace(alpha, path="wheels/alpha-1.0-py3.whl"), part, None)
    assert purl.qualifiers == {"file_name": "alpha-1.0-py3-none-any.whl"}


def test_an_epoch_and_a_component_archive_are_named_too(carried: Carried) -> None:
    rpm = replace(carried.plan.of(RPM)[0], nevra="cuda-crt-13-0-2:13.0.88-1.noarch")
    digest = rpm.download.sha256
    artifact = Artifact("rpms/a.rpm", 1, digest, "cuda-crt-13-0", "13.0.88-1", f"{HOST}/a.rpm")
    assert facet_of(RPM).purl(artifact, rpm, None).to_string() == "pkg:rpm/cuda-crt-13-0@13.0.88-1?arch=noarch&epoch=2"
    archive = Artifact("redist/a.tar.xz", 1, Sha256Hex("0" * 64), "cuda_nvcc", "12.6.85", "file:///srv/a.tar.xz")
    assert facet_of(REDIST).purl(archive, None, None).to_string() == "pkg:generic/cuda_nvcc@12.6.85"


def test_the_graph_leads_from_the_bundle_to_everything(document: dict[str, Any]) -> None:
    edges = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    alpha, beta, gamma = (component(document, name)["bom-ref"] for name in ("alpha", "beta", "gamma"))
    assert edges[alpha] == [beta, gamma]

    def reached(ref: str) -> Iterator[str]:
        yield ref
        for other in edges.get(ref, ()):
            yield from reached(other)

    root = document["metadata"]["component"]["bom-ref"]
    assert set(reached(root)) == {root, *(one["bom-ref"] for one in document["components"])}
    assert beta not in edges[root]  # nobody asked for it


@pytest.mark.parametrize("seed", range(5))
def test_the_graph_is_the_one_that_the_library_makes(seed: int) -> None:
    """Whatever is registered in whatever order, also twice, and what is only needed by others."""
    numbers = random.Random(seed)
    components = [Component(name=f"c{number}", bom_ref=f"ref{number}") for number in range(30)]
    ours, theirs = Bom(components=components), Bom(components=components)
    _Graph(ours)
    for _ in range(40):
        one, others = numbers.choice(components), numbers.sample(components, numbers.randrange(5))
        for bom in (ours, theirs):
            bom.register_dependency(one, others or None)
    assert list(ours.dependencies) == list(theirs.dependencies)
    assert JsonV1Dot6(ours).output_as_string() == JsonV1Dot6(theirs).output_as_string().replace(
        str(theirs.serial_number), str(ours.serial_number)
    ).replace(theirs.metadata.timestamp.isoformat(), ours.metadata.timestamp.isoformat())


def test_a_graph_of_ten_times_as_many_takes_not_much_more_than_ten_times_as_long() -> None:
    """Counted in comparisons, not in seconds."""

    def comparisons(count: int) -> int:
        counted = 0

        def trace(frame: FrameType, event: str, argument: object) -> None:
            nonlocal counted
            counted += event == "call" and frame.f_code.co_name == "__eq__"

        components = [Component(name=f"c{number}", bom_ref=f"ref{number}") for number in range(count)]
        bom = Bom(components=components)
        _Graph(bom)
        sys.setprofile(trace)
        try:
            for one, other in itertools.pairwise(components):
                bom.register_dependency(one, [other])
        finally:
            sys.setprofile(None)
        return counted

    assert comparisons(1000) < 20 * max(comparisons(100), 100)

"""The in-toto statement: what it is about, what it was made from, and no more than can be claimed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mirror.connected.papers import attestation
from tests.support.carried import HOST, Carried


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Carried:
    made = Carried(tmp_path_factory.mktemp("carried"))
    made.add_papers()
    return made


@pytest.fixture(scope="module")
def statement(carried: Carried) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(carried.bytes(attestation.PATH))
    return found


def test_it_has_the_types_of_in_toto_and_slsa(statement: dict[str, Any]) -> None:
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert set(statement["predicate"]) == {"buildDefinition", "runDetails"}
    definition = statement["predicate"]["buildDefinition"]
    assert set(definition) == {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"}


def test_its_subjects_are_every_artifact_outside_meta(carried: Carried, statement: dict[str, Any]) -> None:
    found = [(one["name"], one["digest"]["sha256"]) for one in statement["subject"]]
    assert found == [(one.path, one.sha256) for one in carried.assembly.carried()]


def test_a_subject_that_was_only_taken_in_says_so(statement: dict[str, Any]) -> None:
    made = {one["name"].split("/")[1].split("-")[0]: one["annotations"]["made"] for one in statement["subject"]}
    assert (made["alpha"], made["delta"], made["mirror.pyz"]) == ("fetched", "built", "mirror")


def test_it_names_the_locks_and_the_target(carried: Carried, statement: dict[str, Any]) -> None:
    parameters = statement["predicate"]["buildDefinition"]["externalParameters"]
    assert parameters["locks"] == {name: {"sha256": digest} for name, digest in carried.locks.digests().items()}
    assert parameters["target"] == carried.plan.target.to_dict()


def test_it_names_what_everything_was_made_from(carried: Carried, statement: dict[str, Any]) -> None:
    sources = {one["name"]: one for one in statement["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert sources["delta-2.0.tar.gz"] == {
        "name": "delta-2.0.tar.gz",
        "digest": {"sha256": carried.sdist.sha256},
        "uri": f"{HOST}/delta-2.0.tar.gz",
    }
    assert "uri" not in sources["mirror-probe-1.0.tar.gz"]  # its source is part of mirror
    (needed,) = carried.plan.build_requirements
    assert sources[needed.filename]["digest"] == {"sha256": needed.sha256}
    assert sources["alpha-1.0-py3-none-any.whl"]["uri"] == f"{HOST}/alpha-1.0-py3-none-any.whl"


def test_it_claims_a_workstation_and_no_time(statement: dict[str, Any]) -> None:
    details = statement["predicate"]["runDetails"]
    assert details["builder"]["id"].endswith("#workstation")
    assert set(details) == {"builder", "byproducts"}  # metadata would hold a clock's time
    assert [one["name"] for one in details["byproducts"]] == ["meta/build-delta.log", "meta/build-mirror-probe.log"]


def test_a_copys_address_on_this_machine_is_not_told(tmp_path: Path) -> None:
    made = attestation._descriptor("a.rpm", "0" * 64, tmp_path.as_uri())
    assert made == {"name": "a.rpm", "digest": {"sha256": "0" * 64}}

"""Files of models: pickles under whatever name, and safetensors that are none."""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile

import pytest

from mirror.core.bundle.manifest import Artifact
from mirror.core.names import Sha256Hex
from mirror.core.vetting.modelfile import names_a_pickle, vet_model_file
from mirror.core.vetting.rules import RULES, Finding
from tests.support.hub import make_model, make_safetensors

WHAT = "it is in the format of Python's pickle: loading it can run any code (of org/tiny)"


def found(name: str, data: bytes) -> list[Finding]:
    digest = Sha256Hex(hashlib.sha256(data).hexdigest())
    artifact = Artifact(f"models/org--tiny/{name}", len(data), digest, "org/tiny", "0" * 40)
    return list(vet_model_file(io.BytesIO(data), artifact))


def zipped(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return data.getvalue()


@pytest.mark.parametrize("name", [name for name in make_model() if not name.startswith(".")])
def test_a_usual_repository_has_nothing_to_find(name: str) -> None:
    assert found(name, make_model()[name]) == []


@pytest.mark.parametrize("name", ["a.bin", "b/c.PT", "a.pth", "a.ckpt", "a.pkl", "a.pickle", "a.joblib"])
def test_a_pickle_is_told_by_its_name(name: str) -> None:
    assert names_a_pickle(name)
    assert found(name, b"") == [Finding("pickle", f"models/org--tiny/{name}", "org/tiny", WHAT, name)]


@pytest.mark.parametrize("name", ["bin", "a.bin.json", "pt/a.txt", "a.safetensors"])
def test_other_names_are_no_pickles(name: str) -> None:
    assert not names_a_pickle(name)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_under_another_name_is_told_by_its_bytes(protocol: int) -> None:
    (finding,) = found("weights/scaler.dat", pickle.dumps({"a": 1}, protocol))
    assert (finding.rule, finding.subject) == ("pickle", "weights/scaler.dat")


def test_an_archive_that_torch_wrote_is_told_by_what_it_holds() -> None:
    assert [one.rule for one in found("model.mar", zipped("archive/data.pkl", "archive/data/0"))] == ["pickle"]
    assert found("tokens.npz", zipped("tokens.npy")) == []


def test_an_archive_that_cannot_be_looked_into_counts_as_one() -> None:
    assert [one.rule for one in found("model.mar", zipped("archive/data.pkl")[:-30])] == ["pickle"]


def test_safetensors_that_are_none_are_refused_by_a_rule_that_nobody_waives() -> None:
    (finding,) = found("a.safetensors", make_safetensors({"w": ("F32", [1], bytes(4))})[:-1])
    assert finding.rule == "safetensors" and not RULES["safetensors"].waivable
    assert finding.what == "safetensors header invalid: its tensors end at byte 4, its data has 3 bytes"


def test_a_pickle_that_calls_itself_safetensors_breaks_both_rules() -> None:
    assert [one.rule for one in found("a.safetensors", pickle.dumps([], 4))] == ["pickle", "safetensors"]

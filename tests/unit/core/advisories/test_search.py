"""Records put together into what is known of a bundle."""

from __future__ import annotations

import itertools
import json

import pytest

from mirror.core.advisories.known import Advisories, Source
from mirror.core.advisories.record import OsvRecord
from mirror.core.advisories.search import Search
from mirror.core.bundle.manifest import Artifact
from mirror.core.names import Sha256Hex, project_name
from tests.support.osv import CRITICAL, Record, record, wheel

TORCH = wheel("torch", "2.11.0+cu130")


def other(path: str, name: str = "x") -> Artifact:
    return Artifact(path, 1, Sha256Hex("b" * 64), name, "1")


def search(*records: Record, artifacts: tuple[Artifact, ...] = (TORCH,)) -> Advisories:
    found = Search(artifacts)
    for one in records:
        found.add(OsvRecord.parse(json.dumps(one).encode()))
    return found.finish(Source("dump", "all.zip", "c" * 64))


def test_names_of_one_thing_are_one_finding() -> None:
    known = search(
        record("PYSEC-2026-1", "torch", aliases=["CVE-2026-1"], word="LOW", summary="", fixed="3.0"),
        record(
            "GHSA-aaaa", "torch", aliases=["CVE-2026-1"], vector=CRITICAL, fixed="2.12", modified="2026-11-21T00:00:00Z"
        ),
        record("GHSA-bbbb", "torch", aliases=["CVE-2026-2"]),
    )
    first, second = known.findings
    assert (first.id, first.aliases) == ("CVE-2026-1", ("GHSA-aaaa", "PYSEC-2026-1"))
    assert (first.severity, first.score, first.fixed) == ("critical", "9.8", ("2.12", "3.0"))
    assert (first.modified, first.summary) == ("2026-11-21T00:00:00Z", "a summary")
    assert (second.id, second.severity, second.score, second.fixed) == ("CVE-2026-2", "unknown", "", ())


def test_a_chain_of_names_is_one_finding_in_whatever_order_they_come() -> None:
    links = [
        record("A-1", "torch", aliases=["B-1"]),
        record("C-1", "torch", aliases=["D-1"]),
        record("E-1", "torch", aliases=["B-1", "D-1"], word="HIGH"),
    ]
    for order in itertools.permutations(links):
        known = search(*order)
        assert known == search(*links)
        assert [one.names for one in known.findings] == [{"A-1", "B-1", "C-1", "D-1", "E-1"}]


def test_fixed_versions_are_in_their_order() -> None:
    made = record("A-1", "torch")
    made["affected"][0]["ranges"] = [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]} for fixed in ("10.0", "2.12", "9.0")
    ]
    assert search(made).findings[0].fixed == ("2.12", "9.0", "10.0")


def test_the_worst_comes_first_and_every_copy_has_its_own() -> None:
    tool = Artifact("tool/uv-1.0-py3-none-any.whl", 1, Sha256Hex("d" * 64), "uv", "1.0")
    known = search(
        record("A-1", "torch", word="LOW"),
        record("A-2", "torch", word="HIGH"),
        record("A-3", "uv"),
        artifacts=(TORCH, tool),
    )
    assert [(one.path, one.id) for one in known.findings] == [
        (tool.path, "A-3"),
        (TORCH.path, "A-2"),
        (TORCH.path, "A-1"),
    ]


def test_what_was_not_looked_at_is_said() -> None:
    known = search(
        record("A-1", "cublas"),
        artifacts=(
            TORCH,
            other("rpms/cublas-1.rpm", "cublas"),
            other("redist/cublas.tar.xz"),
            other("python/cpython.tar.gz"),
            other("tool/mirror.pyz"),
            other("wheels/odd-1-py3-none-any.whl", "o d d"),
            other("meta/install.txt"),
        ),
    )
    assert known.looked_at == (TORCH.path,) and known.findings == ()
    assert {one.path: one.reason for one in known.not_covered} == {
        "rpms/cublas-1.rpm": "the source knows no CUDA packages",
        "redist/cublas.tar.xz": "the source knows no CUDA components",
        "python/cpython.tar.gz": "the source knows Python's projects, not its interpreters",
        "tool/mirror.pyz": "no project of an index",
        "wheels/odd-1-py3-none-any.whl": "expected a project name, got 'o d d'",
    }
    assert known.summary() == "known vulnerabilities by all.zip of 2026-11-20: none; 5 files are not covered by it"


def test_what_could_not_be_judged_is_said() -> None:
    known = search(record("A-1", "torch", introduced="soon"), record("A-2", "other", introduced="soon"))
    assert [(one.path, one.id) for one in known.unjudged] == [(TORCH.path, "A-1")]
    assert known.summary().endswith("none; 1 of its records could not be judged")


def test_the_date_is_the_newest_record_s() -> None:
    known = search(
        record("A-1", "a", modified="2026-11-22T00:00:00Z"),
        record("A-2", "b", modified="2026-11-23T10:00:00.5Z"),
        record("A-3", "c", modified="odd"),
    )
    assert known.source == Source("dump", "all.zip", "c" * 64, "2026-11-23T10:00:00Z", 3, 0)
    assert str(search().source) == "all.zip, which gives no date"


def test_it_can_be_asked_what_was_found() -> None:
    found = Search([TORCH, wheel("other", "1")])
    found.add(OsvRecord.of(record("A-1", "torch")))
    found.add(OsvRecord.of(record("A-2", "torch", introduced="soon")))
    torch = project_name("torch")
    assert found.wanted == (("other", "1"), ("torch", "2.11.0+cu130"))
    assert [found.is_found(torch, "2.11.0+cu130", one) for one in ("A-1", "A-2", "A-3")] == [True, True, False]
    assert not found.is_found(torch, "1", "A-1")
    found.doubt(torch, "1", "A-3", "why")
    found.doubt(torch, "2.11.0+cu130", "A-3", "why")
    found.skip()
    known = found.finish(Source("api", "http://x"))
    assert [one.id for one in known.unjudged] == ["A-2", "A-3"] and known.source.unreadable == 1
    assert known.summary().endswith("1 of its records could not be read")


@pytest.mark.parametrize("names", [("GHSA-1", "PYSEC-1", "CVE-1"), ("ZED-1", "GHSA-1")])
def test_the_name_that_most_people_know_is_first(names: tuple[str, ...]) -> None:
    known = search(record(names[0], "torch", aliases=names[1:]))
    assert known.findings[0].id == names[-1]

"""What an OSV record says of a version."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version as Reference

from mirror.core.advisories.record import MAX_BYTES, OsvRecord, one_line
from mirror.core.names import project_name
from tests.support.osv import CRITICAL, record

TORCH = project_name("torch")


def parsed(value: object) -> OsvRecord:
    return OsvRecord.parse(json.dumps(value).encode())


def with_ranges(*events: dict[str, str], kind: str = "ECOSYSTEM") -> OsvRecord:
    made = record("GHSA-1", "torch")
    made["affected"][0]["ranges"] = [{"type": kind, "events": list(events)}]
    return parsed(made)


def hits(one: OsvRecord, *versions: str) -> list[str]:
    return [version for version in versions if one.affects(TORCH, version)]


def test_a_range_begins_where_it_was_introduced_and_ends_before_the_fix() -> None:
    one = parsed(record("GHSA-1", "torch", introduced="1.10", fixed="2.0"))
    versions = ("1.9", "1.10rc1", "1.10", "1.10.1", "2.0rc1", "2.0", "2.0.post1", "10.0")
    assert hits(one, *versions) == ["1.10", "1.10.1", "2.0rc1"]


def test_the_build_of_a_version_is_left_aside() -> None:
    fixed = parsed(record("GHSA-1", "torch", fixed="2.11.0"))
    listed = parsed(record("GHSA-1", "torch", versions=["2.11"]))
    last = with_ranges({"introduced": "0"}, {"last_affected": "2.11.0"})
    assert not fixed.affects(TORCH, "2.11.0+cu130")
    assert listed.affects(TORCH, "2.11.0+cu130") and last.affects(TORCH, "2.11.0+cu130")


def test_zero_is_before_every_version() -> None:
    assert hits(with_ranges({"introduced": "0"}, {"fixed": "1"}), "0.dev0", "0a1", "1") == ["0.dev0", "0a1"]


def test_the_last_affected_version_is_affected() -> None:
    one = with_ranges({"introduced": "1.0"}, {"last_affected": "1.5"})
    assert hits(one, "1.0", "1.5", "1.5.0", "1.5.1") == ["1.0", "1.5", "1.5.0"]


def test_a_vulnerability_that_came_back_and_events_in_any_order_are_understood() -> None:
    one = with_ranges({"fixed": "4"}, {"introduced": "1"}, {"introduced": "3"}, {"fixed": "2"})
    assert hits(one, "0", "1", "2", "3", "3.9", "4") == ["1", "3", "3.9"]


def test_one_version_may_be_affected_from_and_up_to_itself() -> None:
    assert hits(with_ranges({"introduced": "1"}, {"last_affected": "1"}), "0", "1", "1.1") == ["1"]


def test_a_limit_bounds_a_range() -> None:
    assert hits(with_ranges({"introduced": "1"}, {"limit": "2"}), "1", "2", "3") == ["1"]
    assert hits(with_ranges({"introduced": "1"}, {"limit": "*"}), "1", "2") == ["1", "2"]


def test_any_of_several_entries_and_ranges_will_do() -> None:
    made = record("GHSA-1", "torch", introduced="1", fixed="2")
    made["affected"] += record("x", "Torch", introduced="3", fixed="4")["affected"]
    made["affected"][0]["ranges"] += [{"type": "ECOSYSTEM", "events": [{"introduced": "5"}]}]
    assert hits(parsed(made), "1", "2", "3", "4", "5") == ["1", "3", "5"]


def test_listed_versions_count_although_the_range_says_nothing_of_them() -> None:
    one = parsed(record("GHSA-1", "torch", introduced="5", fixed="6", versions=["1.0", "not a version"]))
    assert hits(one, "1.0.0", "2.0", "5.5") == ["1.0.0", "5.5"]


def test_names_are_normalised_and_other_ecosystems_are_not_ours() -> None:
    one = parsed(record("GHSA-1", "Flash_Attn.X"))
    assert one.affects(project_name("flash-attn-x"), "1.0") and not one.affects(TORCH, "1.0")
    made = record("GHSA-1", "torch")
    made["affected"][0]["package"]["ecosystem"] = "npm"
    assert parsed(made).affected == () and not parsed(made).affects(TORCH, "1.0")


def test_what_was_withdrawn_says_nothing() -> None:
    assert not parsed(record("GHSA-1", "torch", withdrawn="2026-01-01T00:00:00Z")).affects(TORCH, "1.0")


@pytest.mark.parametrize(
    ("events", "kind", "version", "problem"),
    [
        ([{"introduced": "0"}], "GIT", "1.0", "names no versions"),
        ([], "ECOSYSTEM", "1.0", "names no versions"),
        ([{"introduced": "soon"}], "ECOSYSTEM", "1.0", "expected a version, got 'soon'"),
        ([{"introduced": "0"}, {"limit": "soon"}], "ECOSYSTEM", "1.0", "expected a version, got 'soon'"),
        ([{"introduced": "0"}, {"fixed": "9" * 200}], "ECOSYSTEM", "1.0", "a version of 200 characters"),
        ([{"introduced": "0"}], "ECOSYSTEM", "mine", "expected a version, got 'mine'"),
    ],
)
def test_what_cannot_be_told_is_an_error_and_never_no(
    events: list[dict[str, str]], kind: str, version: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        with_ranges(*events, kind=kind).affects(TORCH, version)


def test_an_entry_that_cannot_be_judged_does_not_hide_one_that_can() -> None:
    made = record("GHSA-1", "torch", introduced="soon")
    made["affected"] += record("x", "torch", fixed="2.0")["affected"]
    match = parsed(made).affects(TORCH, "1.0")
    assert match and match.fixed == {"2.0"}
    with pytest.raises(ValueError, match="soon"):
        parsed(made).affects(TORCH, "2.0")


def test_later_fixed_versions_are_named_and_earlier_ones_are_not() -> None:
    listed = record("GHSA-1", "torch", versions=["2.1"], fixed="soon")
    listed["affected"][0]["ranges"][0]["events"] += [{"fixed": " 2.7 "}]
    match = parsed(listed).affects(TORCH, "2.1")
    assert match and match.fixed == {"2.7"}
    match = with_ranges({"introduced": "0"}, {"fixed": "1.5"}, {"introduced": "2"}, {"fixed": "2.7"}).affects(
        TORCH, "2.1"
    )
    assert match and match.fixed == {"2.7"}


@pytest.mark.parametrize(
    ("more", "severity", "score"),
    [
        ({}, "unknown", -1),
        ({"vector": CRITICAL}, "critical", 98),
        ({"word": "MODERATE"}, "medium", -1),
        ({"word": "HIGH", "vector": "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N"}, "high", 31),
        ({"word": "LOW", "vector": CRITICAL}, "critical", 98),
        ({"word": "odd", "vector": "CVSS:3.1/odd"}, "unknown", -1),
        ({"severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}], "word": "CRITICAL"}, "critical", -1),
        ({"severity": [{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:P/I:P/A:P"}]}, "unknown", -1),
        ({"database_specific": "odd"}, "unknown", -1),
    ],
)
def test_the_worst_that_is_said_counts(more: dict[str, Any], severity: str, score: int) -> None:
    match = parsed(record("GHSA-1", "torch", **more)).affects(TORCH, "1.0")
    assert match and (match.severity, match.score) == (severity, score)


def test_a_rating_of_one_project_is_its_own() -> None:
    made = record("GHSA-1", "torch", word="LOW")
    made["affected"] += record("x", "other")["affected"]
    made["affected"][1]["severity"] = [{"type": "CVSS_V3", "score": CRITICAL}]
    torch, other = parsed(made).affects(TORCH, "1"), parsed(made).affects(project_name("other"), "1")
    assert torch and other and (torch.severity, other.severity) == ("low", "critical")


def test_a_malicious_package_is_critical() -> None:
    match = parsed(record("MAL-2026-1", "torch")).affects(TORCH, "1.0")
    assert match and match.severity == "critical"


def test_a_record_gives_its_time_to_the_second_and_its_aliases_once() -> None:
    one = parsed(record("GHSA-1", "torch", aliases=["CVE-2", "CVE-1", "CVE-2"], modified="2026-11-20T08:00:00.123456Z"))
    assert (one.modified, one.aliases) == ("2026-11-20T08:00:00Z", ("CVE-1", "CVE-2"))
    assert parsed(record("GHSA-1", "torch", modified="yesterday")).modified == ""


def test_a_slip_in_an_alias_does_not_hide_the_record() -> None:
    """As in PYSEC-2022-184, whose alias ends with a comma."""
    one = parsed({**record("PYSEC-2022-184", "torch"), "aliases": ["CVE-1", "GHSA-jf66-3q76-h5p5,", 7]})
    assert one.aliases == ("CVE-1",) and one.affects(TORCH, "1.0")


def test_a_strangers_text_is_one_line_without_what_a_terminal_obeys() -> None:
    one = parsed(record("GHSA-1", "torch", summary="a\x1b[31m\n\u202eb\ud800 " + "long " * 200))
    assert one.summary.startswith("a [31m b long") and len(one.summary) == 300 and one.summary.endswith("...")
    assert parsed({"id": "A", "details": "only these"}).summary == "only these" == one_line("only\tthese")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"[]", "expected an object, got list"),
        (b"{}", "id: expected a text, got NoneType"),
        (b"\xff", "codec can't decode"),
        (b"{", "Expecting"),
        (b'{"id": NaN}', "NaN is no JSON"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"id": "../../x"}', "is no id"),
        (b'{"id": "a", "aliases": "b"}', "aliases: expected a list, got str"),
        (b'{"id": "a", "affected": [1]}', "affected: expected an object, got int"),
        (b'{"id": "a", "affected": [{"package": {"ecosystem": "PyPI", "name": "a b"}}]}', "expected a project name"),
        (b'{"id": "a", "modified": 1}', "modified: expected a text, got int"),
        (b'{"id": "a", "severity": [{"type": "CVSS_V3", "score": 9.8}]}', "score: expected a text, got float"),
        (b" " * (MAX_BYTES + 1), "more than the 4194304 allowed"),
    ],
)
def test_what_is_no_record_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        OsvRecord.parse(data)


def test_a_number_of_a_million_digits_takes_no_time() -> None:
    assert OsvRecord.parse(b'{"id": "a", "x": ' + b"9" * 1_000_000 + b"}").id == "a"


VERSIONS = st.from_regex(r"[0-3](\.[0-2]){0,2}((a|rc)[01])?(\.post[01])?(\.dev[01])?", fullmatch=True)


@settings(max_examples=400, deadline=None)
@given(VERSIONS, VERSIONS, VERSIONS)
def test_ranges_are_ordered_as_packaging_orders_versions(ours: str, introduced: str, fixed: str) -> None:
    reference = Reference(introduced) <= Reference(ours) and not (
        Reference(fixed) <= Reference(ours) and Reference(fixed) >= Reference(introduced)
    )
    one = with_ranges({"introduced": introduced}, {"fixed": fixed})
    if introduced != "0" and fixed != "0":
        assert bool(one.affects(TORCH, ours)) == reference


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "id",
                        "affected",
                        "package",
                        "ecosystem",
                        "name",
                        "ranges",
                        "events",
                        "severity",
                        "type",
                        "score",
                        "aliases",
                    ]
                ),
                inner | st.sampled_from(["PyPI", "torch", "CVSS_V3", "ECOSYSTEM", "0"]),
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_a_document_of_any_shape_gives_a_record_or_a_reason(value: object) -> None:
    try:
        OsvRecord.of(value)
    except ValueError as exc:
        assert str(exc)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mirror.closed.prefix.comparison import Comparison, HostsDiffer, compare, read_host_statuses
from mirror.core.errors import InvalidDocument, Unreadable

NEW, OLD = "1790000000-abababababab", "1780000000-cdcdcdcdcdcd"


def told(current: str = NEW, *prepared: str, python: str = "3.11.7", **more: Any) -> dict[str, Any]:
    """What ``mirror status --json`` prints, as far as it is compared."""
    names = [name for name in (current, *prepared) if name]
    listed = [
        {"id": name, "name": "h100", "python_version": python, "prepared": name in prepared, "size": 1}
        for name in names
    ]
    stack = {"prefix": "/p/h100", "current": current, "generations": listed, "unfinished": [], **more}
    return {"format": "mirror-status/1", "stacks": [stack]}


def failed(ref: str, message: str) -> dict[str, Any]:
    return {"format": "mirror-error/1", "error": {"ref": ref, "message": message, "exit_code": 1}}


@pytest.fixture
def compared(tmp_path: Path) -> Any:
    def run(**hosts: dict[str, Any]) -> Comparison:
        for name, document in hosts.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(document))
        return compare(read_host_statuses([tmp_path / f"{name}.json" for name in hosts]))

    return run


def words(comparison: Comparison) -> list[str]:
    return [f"{one.host} {one.stack} {one.fact}: {one.here} / {one.elsewhere}" for one in comparison.differences]


def test_hosts_that_have_the_same_do_not_differ_wherever_it_lies_and_however_often_it_was_repaired(
    compared: Any,
) -> None:
    comparison = compared(n1=told(), n2=told(f"{NEW}.2"), n3=told(prefix="/elsewhere"))
    comparison.enforce()
    assert comparison.common == {"h100": {"current": NEW, "prepared": "none", "python": "3.11.7"}}


def test_what_one_host_has_otherwise_is_named(compared: Any) -> None:
    checks: dict[str, Any] = {"checks": [{"id": NEW, "damages": [{"path": "x"}]}]}
    comparison = compared(
        n1=told(), n2=told(), n3=told(OLD, NEW), n4=told(python="3.11.9"), n5=told(**checks),
        n6=told(checks=[{"id": NEW, "damages": []}]), n7=told(checks=[{"id": NEW, "damages": []}]),
    )  # fmt: skip
    assert words(comparison) == [
        f"n3 h100 current: {OLD} / {NEW}",
        f"n3 h100 prepared: {NEW} / none",
        "n4 h100 python: 3.11.9 / 3.11.7",
        "n5 h100 files: damaged / as installed",
    ]
    with pytest.raises(HostsDiffer) as exc_info:
        comparison.enforce()
    assert str(exc_info.value) == "3 of 7 hosts differ: n3, n4, n5"


@pytest.mark.parametrize(
    "damage",
    [
        {"checks": [{"id": NEW, "damages": [{"path": "x"}]}]},
        {"checks": [{"id": NEW, "damages": [], "layer": ["k.cubin is missing"]}]},
        {"checks": [{"id": NEW, "damages": []}, {"id": OLD, "damages": [{"path": "x"}]}]},
        {"current": "", "checks": [{"id": NEW, "damages": [{"path": ".mirror"}]}]},
    ],
    ids=["files", "layer", "another generation", "the mark"],
)
def test_damage_is_a_difference_also_where_no_other_host_was_checked_or_all_are_damaged(
    compared: Any, damage: dict[str, Any]
) -> None:
    comparison = compared(n1=told(), n2=told(), n3={**told(), "stacks": [{**told()["stacks"][0], **damage}]})
    assert "n3 h100 files: damaged / as installed" in words(comparison)
    assert comparison.common["h100"]["files"] == "as installed"
    assert comparison.unchecked == ("n1", "n2")
    damaged = {**told(), "stacks": [{**told()["stacks"][0], **damage}]}
    assert {"n1", "n2"} == {
        one.host for one in compared(n1=damaged, n2=damaged).differences if (one.fact, one.here) == ("files", "damaged")
    }


def test_a_receipt_that_is_damaged_is_damage(compared: Any) -> None:
    spoilt = told()
    spoilt["stacks"][0]["generations"][0]["problem"] = "not valid JSON"
    assert words(compared(n1=told(), n2=spoilt)) == ["n2 h100 files: damaged / as installed"]


def test_hosts_whose_files_could_not_all_be_checked_do_not_differ_among_themselves(compared: Any) -> None:
    checks = [{"id": NEW, "damages": [], "unchecked": ["no digests of venv"]}]
    compared(n1=told(checks=checks), n2=told(checks=checks)).enforce()
    comparison = compared(n1=told(checks=checks), n2=told(checks=[{"id": NEW, "damages": []}]), n3=told(checks=checks))
    assert words(comparison) == ["n2 h100 files: as installed / not all checked"]


def test_of_two_stacks_of_one_name_neither_is_hidden(compared: Any) -> None:
    one, other = told()["stacks"][0], told(OLD, prefix="/other")["stacks"][0]
    both = {"format": "mirror-status/1", "stacks": [other, one]}
    assert words(compared(n1=told(), n2=both)) == ["n1 h100 in /other state: not installed / installed"]
    compared(n1=both, n2={**both, "stacks": [one, other]}).enforce()
    twice = {**both, "stacks": [one, one]}
    comparison = compared(n1=told(), n2=twice)
    assert "two have one name and one prefix" in comparison.differences[0].here


def test_a_host_without_the_stack_differs_and_one_that_could_not_tell_is_not_such_a_host(compared: Any) -> None:
    comparison = compared(
        n1=told(),
        n2=failed("nothing-installed", "nothing is installed in /p"),
        n3=failed("unreadable", "cannot read /p: Input/output error"),
        n4={"format": "mirror-status/1", "stacks": []},
        n5=told(),
    )
    assert words(comparison) == [
        "n2 h100 state: not installed / installed",
        "n3  state: cannot read /p: Input/output error / a status",
        "n4 h100 state: not installed / installed",
    ]


def test_a_stack_that_one_host_has_and_the_others_have_not_is_told_of_that_host(compared: Any) -> None:
    nothing = {"format": "mirror-status/1", "stacks": []}
    assert words(compared(n1=nothing, n2=told(), n3=nothing)) == [f"n2 h100 state: {NEW} is current / not installed"]


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "status.json", tmp_path / "b" / "status.json"]
    for path in paths:
        path.parent.mkdir()
        path.write_text(json.dumps(told()))
    assert compare(read_host_statuses(paths)).hosts == tuple(map(str, paths))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not valid JSON"),
        ("[]", "expected a table, got list"),
        ('{"format": "mirror-gc/1"}', "this mirror reads 'mirror-error/1' and 'mirror-status/1'"),
        ('{"format": "mirror-status/1", "stacks": [{"prefix": "p"}]}', "at 'stacks[0].current': missing"),
        ('{"format": "mirror-error/1"}', "at 'error.ref': missing"),
    ],
)
def test_what_is_no_status_is_refused_with_the_name_of_the_file(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "n1.json"
    path.write_text(text)
    with pytest.raises(InvalidDocument) as exc_info:
        read_host_statuses([path])
    assert str(path) in str(exc_info.value)
    assert problem in str(exc_info.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"n9\.json"):
        read_host_statuses([tmp_path / "n9.json"])


@pytest.mark.parametrize("text", ["", "ssh: connect to host n2 port 22: No route to host\n", None])
def test_a_host_that_gave_no_answer_is_named_beside_those_that_did(tmp_path: Path, text: str | None) -> None:
    (tmp_path / "n1.json").write_text(json.dumps({"format": "mirror-status/1", "stacks": []}))
    if text is not None:
        (tmp_path / "n2.json").write_text(text)
    comparison = compare(read_host_statuses([tmp_path / "n1.json", tmp_path / "n2.json"]))
    assert comparison.differing == ("n2",)
    assert comparison.differences[0].here.startswith("no answer: ")

from __future__ import annotations

from typing import Any

import pytest
import tomllib

from mirror.connected.stack.stack import Stack
from mirror.connected.stack.waivers import check_projects, left_out_by_wish, template
from mirror.core.bundle.dossier import Waiver
from mirror.core.errors import InvalidDocument
from mirror.core.vetting.rules import RULES, Finding

HOOK = Finding("startup-hook", "wheels/s-1.whl", "setuptools", "Python runs it", 'odd"name.pth')
GOOD = {"project": "Setup_Tools", "rule": "startup-hook", "reason": "read", "by": "alice"}


def read(*tables: dict[str, Any]) -> Stack:
    document = {
        "target": {"python": "3.11", "arch": "x86_64", "glibc": "2.28"},
        "python": {"requirements": []},
        "waiver": list(tables),
    }
    return Stack.from_dict(document, "small", "small.toml")


def test_a_waiver_is_read_with_its_project_normalised() -> None:
    assert read(GOOD, {**GOOD, "subject": "a.pth"}).waivers == (
        ("setup-tools", Waiver("startup-hook", "read", "alice")),
        ("setup-tools", Waiver("startup-hook", "read", "alice", "a.pth")),
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"rule": "start-up-hook"}, r"waiver\[0\].rule': expected one of zip-data-descriptor, .*; got 'start-up-hook'"),
        ({"rule": "zip-structure"}, "nobody can waive 'zip-structure': it refuses a zip file that two readers"),
        ({"project": "no project!"}, r"waiver\[0\].project': expected a project name"),
        ({"reason": ""}, r"waiver\[0\].reason': expected one line that says something"),
        ({"by": "alice\nbob"}, r"waiver\[0\].by': expected one line that says something"),
        ({"because": "x"}, r"waiver\[0\].because': unknown key"),
        ({"subject": ""}, r"waiver\[0\].subject': expected one line"),
    ],
)
def test_a_waiver_that_could_be_misunderstood_is_refused(change: dict[str, str], problem: str) -> None:
    with pytest.raises(InvalidDocument, match=problem):
        read({**GOOD, **change})


@pytest.mark.parametrize("key", ["project", "rule", "reason", "by"])
def test_a_waiver_says_who_and_why(key: str) -> None:
    with pytest.raises(InvalidDocument, match=rf"waiver\[0\]\.{key}': missing"):
        read({name: value for name, value in GOOD.items() if name != key})


def test_the_same_thing_is_waived_once() -> None:
    with pytest.raises(InvalidDocument, match=r"waiver\[1\]\.rule': 'startup-hook' is waived for setup-tools already"):
        read(GOOD, {**GOOD, "reason": "again"})


def test_a_waiver_for_a_project_that_is_not_there_is_refused() -> None:
    waivers = read(GOOD).waivers
    check_projects(waivers, ["setup-tools"], "small.toml")
    with pytest.raises(
        InvalidDocument, match=r"small.toml invalid at 'waiver\[0\].project': the stack has no setup-tools"
    ):
        check_projects(waivers, ["setuptools"], "small.toml")


def test_what_is_left_out_on_purpose_is_waived_by_the_wish() -> None:
    unmet = Finding("requires-unmet", "wheels/f-1.whl", "flashinfer-python", "it requires torch", "torch")
    other = Finding("requires-unmet", "wheels/f-1.whl", "flashinfer-python", "it requires numpy", "numpy")
    ((project, waiver),) = left_out_by_wish([HOOK, unmet, other], {"torch"}, "small.toml")
    assert (project, waiver.rule, waiver.subject) == ("flashinfer-python", "requires-unmet", "torch")
    assert waiver.reason == "small.toml leaves torch out: the closed host brings it, or does without"


def test_the_template_is_what_a_person_would_write() -> None:
    hopeless = Finding("zip-structure", "wheels/z-1.whl", "z", "no zip")
    written = tomllib.loads(template([HOOK, HOOK, hopeless]))["waiver"]
    assert written == [
        {"project": "setuptools", "rule": "startup-hook", "subject": 'odd"name.pth', "reason": "...", "by": "..."}
    ]
    assert template([hopeless]) == ""
    assert not RULES["zip-structure"].waivable


def test_a_model_is_named_by_its_repository() -> None:
    table = {"project": "Org/Tiny_1", "rule": "pickle", "subject": "model.bin", "reason": "read", "by": "alice"}
    assert read(table).waivers == (("Org/Tiny_1", Waiver("pickle", "read", "alice", "model.bin")),)
    with pytest.raises(InvalidDocument, match=r"waiver\[0\]\.project': expected a repository of the hub such as"):
        read({**table, "project": "a/b/c"})


def test_the_waiver_that_is_offered_for_a_pickle_can_be_read_back() -> None:
    finding = Finding("pickle", "models/org--tiny/a.bin", "org/tiny", "it is one", "a.bin")
    (offered,) = tomllib.loads(template([finding]))["waiver"]
    assert read(offered).waivers == (("org/tiny", Waiver("pickle", "...", "...", "a.bin")),)

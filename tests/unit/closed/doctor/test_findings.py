"""Every finding that is not good says why it is so and what to do next, wherever it is made."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from mirror.closed.doctor.checkup import examine
from mirror.closed.doctor.facts import read_facts
from mirror.closed.doctor.here import looks
from mirror.closed.doctor.stack import judge_stack
from mirror.core.logs.finding import GOOD, PROBLEM, Finding
from mirror.core.logs.rules import RULES
from mirror.core.target import Target
from tests.support.stacks import Stack

MIRROR = Path(__file__).parents[4] / "mirror"
FIELDS = [field.name for field in fields(Finding)]
FACTS = {"mirror/closed/doctor/here.py"}
"""Where ``looks`` adds both to what was seen because of a log's finding."""


def arguments(node: ast.AST) -> list[ast.expr] | None:
    """Of a call that makes a finding, in the order of its fields: ``Finding(...)`` or ``About(subject).level(...)``."""
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Name):
        return node.args if node.func.id == "Finding" else None
    about = node.func.value if isinstance(node.func, ast.Attribute) else None
    if isinstance(about, ast.Call) and isinstance(about.func, ast.Name) and about.func.id == "About":
        assert isinstance(node.func, ast.Attribute)
        level, rest = (
            (node.args[0], node.args[1:]) if node.func.attr == "at" else (ast.Name(node.func.attr.upper()), node.args)
        )
        return [level, *about.args, *rest]
    return None


def made() -> Iterator[tuple[str, dict[str, ast.expr]]]:
    """Each place where a finding is made, by ``Finding`` or by ``About``, and what it is given."""
    for room in ("closed/doctor", "core/logs", "cli"):
        for path in sorted((MIRROR / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                args = arguments(node)
                if not isinstance(node, ast.Call) or args is None:
                    continue
                place = f"{path.relative_to(MIRROR.parent)}:{node.lineno}"
                given = dict(zip(FIELDS, [one for one in args if not isinstance(one, ast.Starred)]))
                if len(given) == len(args):
                    yield place, {**given, **{one.arg: one.value for one in node.keywords if one.arg}}


def may_be_empty(value: ast.expr | None) -> bool:
    if isinstance(value, ast.IfExp):
        return may_be_empty(value.body) or may_be_empty(value.orelse)
    return value is None or (isinstance(value, ast.Constant) and not value.value)


def test_no_finding_is_made_without_its_reason_and_the_next_step() -> None:
    places = list(made())
    assert len(places) > 80
    lacking = [
        f"{place}: no {name}"
        for place, given in places
        if ast.unparse(given["level"]) != "GOOD" and place.partition(":")[0] not in FACTS
        for name in ("cause", "fix")
        if may_be_empty(given.get(name))
    ]
    assert lacking == []


def test_no_rule_for_a_log_lacks_them_either() -> None:
    assert [rule for rule in RULES if not rule.cause or not rule.fix] == []


def lacking(found: Finding) -> bool:
    return found.level != GOOD and not (found.cause and found.fix)


@pytest.mark.parametrize("path", ["/nowhere", os.environ["PATH"]])
def test_this_host_is_told_of_with_both(path: str) -> None:
    variables = {"PATH": path, "http_proxy": "http://proxy:1", "no_proxy": "localhost", "FLASHINFER_DISABLE_JIT": "1"}
    found = examine(None, variables, quick=True).findings
    assert {"proxy", "ninja", "Python.h", "FLASHINFER_DISABLE_JIT"} <= {
        one.subject for one in found if one.level != GOOD
    }
    assert [one for one in found if lacking(one)] == []


def test_what_cannot_be_looked_at_is_told_with_both_and_the_place(tmp_path: Path) -> None:
    stack = Stack(tmp_path, Target("{}.{}".format(*sys.version_info), os.uname().machine, "2.17", "sm_90a", "13.0"))
    stack.toolkit()
    home = stack.environment().cuda_home
    assert home is not None
    (home / "version.json").unlink(missing_ok=True)
    (home / "version.json").mkdir()
    found = list(judge_stack(read_facts(stack.environment(), {"PATH": "/usr/bin:/bin"})))
    assert [one for one in found if lacking(one)] == []


def test_what_was_seen_because_of_a_log_says_so_and_takes_the_logs_own_step() -> None:
    log = Finding(
        PROBLEM, "disk", "the disk is full", "its words", "line 7", "make room", about="/nowhere/x", layer="disk"
    )
    (seen,) = looks([log], {}, None)
    assert (seen.subject, seen.cause) == ("/", "looked at because the log says: the disk is full")
    assert seen.fix == "make room"

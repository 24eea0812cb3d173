"""Which findings stand in the way."""

from __future__ import annotations

import pytest

from mirror.core.bundle.dossier import Waiver
from mirror.core.vetting.rules import RULES, Finding, judge

HOOK = Finding("startup-hook", "wheels/a-1-py3-none-any.whl", "a", "Python runs a.pth whenever it starts", "a.pth")
COLLISION = Finding("collision", "wheels/b-1-py3-none-any.whl", "b", "x is another file in a-1", "a", ("a",))


def waiver(rule: str = "startup-hook", subject: str = "") -> Waiver:
    return Waiver(rule, "read", "alice", subject)


@pytest.mark.parametrize("subject", ["", "a.pth"])
def test_a_waiver_covers_its_projects_rule(subject: str) -> None:
    given = ("a", waiver(subject=subject))
    judgement = judge([HOOK], [given])
    assert (judgement.open, judgement.waived, judgement.idle) == ((), ((HOOK, given),), ())
    assert judgement.waivers_of("a") == (given[1],)
    assert judgement.waivers_of("b") == ()


@pytest.mark.parametrize("given", [("b", waiver()), ("a", waiver("record-incomplete")), ("a", waiver(subject="b.pth"))])
def test_a_waiver_for_something_else_covers_nothing_and_is_told(given: tuple[str, Waiver]) -> None:
    judgement = judge([HOOK], [given])
    assert (judgement.open, judgement.idle) == ((HOOK,), (given,))


@pytest.mark.parametrize(("project", "subject"), [("a", ""), ("b", ""), ("a", "b"), ("b", "a")])
def test_of_two_wheels_that_collide_either_may_have_the_waiver(project: str, subject: str) -> None:
    assert judge([COLLISION], [(project, waiver("collision", subject))]).open == ()


@pytest.mark.parametrize(("project", "subject"), [("a", "a"), ("b", "b"), ("a", "c"), ("c", "")])
def test_a_collision_with_a_third_wheel_needs_its_own_waiver(project: str, subject: str) -> None:
    assert judge([COLLISION], [(project, waiver("collision", subject))]).open == (COLLISION,)


@pytest.mark.parametrize("rule", [name for name, one in RULES.items() if not one.waivable])
def test_some_rules_have_no_waiver(rule: str) -> None:
    finding = Finding(rule, "wheels/a-1-py3-none-any.whl", "a", "it is")
    assert judge([finding], [("a", waiver(rule))]).open == (finding,)


def test_two_waivers_for_one_thing_are_both_at_work() -> None:
    assert judge([HOOK], [("a", waiver()), ("a", waiver(subject="a.pth"))]).idle == ()


def test_every_rule_says_what_it_refuses() -> None:
    assert all(one.refuses for one in RULES.values())
    assert all(name == name.lower() and "_" not in name for name in RULES)

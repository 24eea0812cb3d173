"""Requirements of a set are followed until no extra is new."""

from __future__ import annotations

from itertools import permutations

import pytest

from mirror.core.target import Target
from mirror.core.wheels.needs import Needs
from mirror.core.wheels.requirement import Requirement

TARGET = Target("3.11", "x86_64", "2.28")
LINES = {
    "a": ("b[fast]; extra == 'all'",),
    "b": ("c[image]; extra == 'fast'",),
    "c": ("d; extra == 'image'", "b (>1", "gone"),
    "d": (),
}


@pytest.mark.parametrize("order", list(permutations(LINES)))
def test_extras_are_followed_in_whatever_order_the_projects_come(order: tuple[str, ...]) -> None:
    needs = Needs({name: LINES[name] for name in order}, ["A[All]", "=broken"], TARGET)
    assert needs.edges() == {"a": ("b",), "b": ("c",), "c": ("d",), "d": ()}


def test_what_nobody_asks_for_does_not_count() -> None:
    assert set(Needs(LINES, ["a"], TARGET).edges().values()) == {()}


def test_a_marker_that_cannot_be_read_is_followed_nowhere_and_told_to_whoever_asks() -> None:
    needs = Needs({"a": ("b; nonsense",), "b": ()}, (), TARGET)
    assert needs.edges() == {"a": (), "b": ()}
    with pytest.raises(ValueError, match="expected a marker"):
        needs.applies("a", Requirement.parse("b; nonsense"))

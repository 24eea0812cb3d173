"""What a stack can go without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mirror.connected.locking.upgrade import Upgrade
from mirror.connected.planning.wishes import Wishes
from mirror.connected.stack.rpmwishes import RpmWishes
from mirror.connected.stack.stack import Stack
from mirror.connected.stack.without import UnknownPart, left_out
from mirror.core.kinds import RPM
from mirror.core.target import Target

STACK = Stack(
    "demo",
    Target("3.11", "x86_64", "2.28", cuda="13.0"),
    (Requirement("a==1"),),
    optional=(Requirement("Jit.Cache==2"),),
    wishes={RPM: RpmWishes("https://example.org/", ("AB" * 20,), ("cuda-nvcc-13-0",))},
)


@pytest.mark.parametrize("word", ["jit-cache", "Jit_Cache", "JIT.CACHE"])
def test_any_spelling_of_an_optional_requirement_is_taken(word: str) -> None:
    assert left_out({word, "toolchain"}, STACK) == {"jit-cache", "toolchain"}


def test_what_is_not_optional_is_answered_with_what_is() -> None:
    with pytest.raises(UnknownPart) as caught:
        left_out({"a"}, STACK)
    assert str(caught.value) == "--without names 'a'; this stack can go without toolchain, jit-cache"


def test_a_stack_without_a_toolchain_can_go_without_it() -> None:
    assert left_out({"toolchain"}, replace(STACK, wishes={})) == left_out({"toolchain"}, None) == {"toolchain"}


def test_the_toolchains_name_of_before_is_taken() -> None:
    assert left_out({"rpms"}, STACK) == {"toolchain"}
    assert Wishes(Path("demo.txt"), without=frozenset({"rpms"})).goes_without_toolchain
    assert Upgrade.of(["rpms"]).moves_toolchain

"""Which pins of a lock are for a target, and what is said of the others."""

from __future__ import annotations

import pytest

from mirror.connected.pins.markers import environment
from mirror.connected.pins.pythonlock import InvalidLock, Pin, PythonLock
from mirror.core.names import Sha256Hex, project_name
from mirror.core.target import Target

VALUES = environment(Target("3.11", "x86_64", "2.28"))


def lock_of(*pins: tuple[str, str], groups: tuple[str, ...] = (), default: tuple[str, ...] = ()) -> PythonLock:
    found = (Pin(project_name(name), "1.0", (Sha256Hex("a" * 64),), marker) for name, marker in pins)
    return PythonLock(tuple(found), extras=("fast", "Slow_One"), groups=groups, wanted_groups=default)


def names(lock: PythonLock) -> list[str]:
    return [pin.name for pin in lock.within(VALUES).pins]


def test_default_groups_are_taken_unless_others_are_named() -> None:
    pins = [("a", ""), ("b", '"main" in dependency_groups'), ("c", '"test" in dependency_groups')]
    lock = lock_of(*pins, groups=("main", "test"), default=("main",))
    assert names(lock) == ["a", "b"]
    assert names(lock.choosing((), ("test",), "x")) == ["a", "c"]
    assert names(lock.choosing((), ("main", "test"), "x")) == ["a", "b", "c"]
    assert names(lock.choosing((), (), "x")) == ["a"]


def test_extras_are_taken_when_they_are_named_however_they_are_spelt() -> None:
    lock = lock_of(("a", ""), ("b", '"slow-one" in extras'), ("c", 'extra == "fast"'))
    assert names(lock) == ["a"]
    assert names(lock.choosing(("slow.one",), None, "x")) == ["a", "b"]


def test_what_is_left_out_is_counted_by_marker_the_most_first() -> None:
    windows, newer = "sys_platform == 'win32'", "python_version >= '3.12'"
    others = [("w", windows), *((f"n{number}", newer) for number in range(5))]
    held = lock_of(("a", ""), *others).within(VALUES, "some/pylock.toml")
    assert held.left_out[0] == (
        "pylock.toml: 1 of its 7 pins are for the target (Python 3.11, linux on x86_64); 5 only for "
        "python_version >= '3.12' (n0, n1, n2, ...); 1 only for sys_platform == 'win32' (w)"
    )
    assert (
        held.left_out[1]
        == "pylock.toml offers the extras fast, Slow_One; taken: none (to choose: --extra fast --extra Slow_One)"
    )
    assert len(held.left_out) == 2


def test_many_markers_are_summed_up() -> None:
    others = [(f"n{number}", f"python_version >= '3.{number}'") for number in range(12, 19)]
    assert lock_of(("a", ""), *others).within(VALUES).left_out[0].endswith("(n15); 3 for others")


def test_a_lock_that_is_all_for_the_target_has_nothing_to_say() -> None:
    assert PythonLock(lock_of(("a", ""), ("b", "sys_platform == 'linux'")).pins).within(VALUES).left_out == ()


def test_nothing_for_the_target_is_an_error_with_the_way_to_more() -> None:
    with pytest.raises(InvalidLock) as caught:
        lock_of(("a", "sys_platform == 'win32'")).within(VALUES, "x.txt")
    assert str(caught.value).startswith(
        "x.txt is no usable lock: none of its pins (1) is for the target (Python 3.11, "
    )
    assert caught.value.hint.startswith("Lock it for that target")
    with pytest.raises(InvalidLock) as caught:
        lock_of(("a", "'test' in dependency_groups"), groups=("test",)).within(VALUES, "x.txt")
    assert caught.value.hint.startswith("Say what is wanted of it with --group or --extra.")


def test_every_pin_that_is_for_another_python_is_named() -> None:
    pins = [Pin(project_name(name), "1.0", (Sha256Hex("a" * 64),), requires_python=">=3.12") for name in ("a", "b")]
    with pytest.raises(InvalidLock) as caught:
        PythonLock(tuple(pins)).within(VALUES, "x")
    assert caught.value.issues == (
        "a==1.0 requires Python >=3.12; the target has Python 3.11",
        "b==1.0 requires Python >=3.12; the target has Python 3.11",
    )

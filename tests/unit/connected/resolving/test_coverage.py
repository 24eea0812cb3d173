"""A lock that no longer answers its stack is told from one that does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mirror.connected.pins.requirements import Pin, PythonLock, read_lock
from mirror.connected.planning.locks import read_locks
from mirror.connected.resolving.coverage import covers, covers_builds
from mirror.connected.stack.interpreter import InterpreterWish
from mirror.connected.stack.stack import Stack
from mirror.core.kinds import INTERPRETER
from mirror.core.names import Sha256Hex, project_name
from mirror.core.target import Target

LOCKFILES = Path(__file__).parents[4] / "lockfiles"
TARGET = Target(python="3.11", arch="x86_64", glibc="2.28")


def stack(**python: Any) -> Stack:
    build = python.pop("settings", {})
    document = {"target": TARGET.to_dict(), "python": {"requirements": ["a>=1,<2"], **python}, "build": build}
    return Stack.from_dict(document, "demo")


def lock(*pins: str, unpinned: tuple[str, ...] = (), target: Target | None = TARGET) -> PythonLock:
    pairs = [pin.split("==") for pin in pins]
    made = tuple(Pin(project_name(name), version, (Sha256Hex("a" * 64),)) for name, version in pairs)
    return PythonLock(made, 1, target, unpinned)


def test_a_lock_with_more_than_was_asked_for_covers() -> None:
    assert covers(stack(), lock("a==1.5", "dependency==3")) == ()


@pytest.mark.parametrize(
    ("python", "locked", "difference"),
    [
        ({}, lock("b==1"), "requirements asks for a<2,>=1, the lock has no such pin"),
        ({}, lock("a==2.0"), "requirements asks for a<2,>=1, the lock has 2.0"),
        ({"constraints": ["b<3"]}, lock("a==1", "b==3.1"), "constraints limit b<3, the lock has 3.1"),
        ({"optional": ["jit==2"]}, lock("a==1"), "optional asks for jit==2, the lock has no such pin"),
        ({"optional": ["jit==2"]}, lock("a==1", unpinned=("jit==1 (gone)",)), "optional asks for jit==2"),
        ({"without": ["b"]}, lock("a==1", "b==1"), "the stack goes without b, the lock has it"),
        ({"constraints": ["b==1"], "build": ["b"]}, lock("a==1"), "build names b, the lock has no such pin"),
        (
            {},
            lock("a==1", target=Target(python="3.12", arch="x86_64", glibc="2.28")),
            "its target is Python 3.11, x86_64, glibc 2.28, the lock is for Python 3.12, x86_64, glibc 2.28",
        ),
    ],
)
def test_each_difference_names_both_sides(python: dict[str, Any], locked: PythonLock, difference: str) -> None:
    (found,) = covers(stack(**python), locked)
    assert found.startswith(difference)


def test_all_differences_are_told() -> None:
    assert len(covers(stack(requirements=["a==1", "b==1", "c==1"]), lock("a==2", "c==1"))) == 2


def test_what_was_set_aside_is_covered() -> None:
    assert covers(stack(optional=["jit==2"]), lock("a==1", unpinned=("jit==2 (example.org is out of reach)",))) == ()


def test_requirements_of_other_machines_do_not_count() -> None:
    assert covers(stack(requirements=["a", "b; sys_platform == 'win32'"]), lock("a==1")) == ()


def test_a_lock_made_elsewhere_has_no_target_to_differ() -> None:
    assert covers(stack(), lock("a==1", target=None)) == ()


def test_extra_build_requirements_are_held_too() -> None:
    wishes = stack(requirements=["a==1"], build=["a"], settings={"a": {"requires": ["cython>=3"]}})
    assert covers_builds(wishes, lock("cython==3.1")) == ()
    assert covers_builds(wishes, lock("cython==2.9")) == ("build asks for cython>=3, the lock has 2.9",)


SHIPPED = sorted(path.stem for path in LOCKFILES.glob("*.toml") if path.with_suffix(".txt").is_file())


@pytest.mark.parametrize("name", SHIPPED)
def test_the_locks_that_we_ship_cover_their_stacks(name: str) -> None:
    wishes = Stack.load(LOCKFILES / f"{name}.toml")
    python = read_lock(LOCKFILES / f"{name}.txt")
    build = read_lock(LOCKFILES / f"{name}.build.txt")
    assert python.stack == wishes.digest, (
        "it was changed and not locked again: a bundle of it would be told to be older"
    )
    assert covers(wishes, python) == covers_builds(wishes, build) == ()
    assert python.locked and build.locked
    assert all(len(pin.hashes) == 1 and not pin.marker for pin in (*python.pins, *build.pins))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_stack_that_we_ship_carries_a_python_is_described_and_is_bundled_where_github_is_out_of_reach(
    name: str,
) -> None:
    locks = read_locks(LOCKFILES / f"{name}.txt")
    wish = Stack.load(LOCKFILES / f"{name}.toml").wishes[INTERPRETER]
    assert wish == InterpreterWish(locks.target.python, is_optional=True)
    (pin,) = locks.pinned[INTERPRETER].pins
    assert pin.arch == locks.target.arch and pin.url.endswith("-install_only_stripped.tar.gz")
    assert f"| `{name}` | " in (LOCKFILES / "README.md").read_text()
    compiled = locks.python.find(project_name("flashinfer-jit-cache"))
    assert (compiled is not None) == name.startswith(("h100", "gh200"))

"""Which Python builds the target's wheels."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mirror.connected.building.schedule import NoBuildPython, find_python, toolkit_key
from mirror.core.names import Sha256Hex
from mirror.core.target import Target

HERE = "{}.{}".format(*sys.version_info)


def test_this_python_builds_for_its_own_version() -> None:
    assert find_python(Target(HERE, "x86_64", "2.28")) == Path(sys.executable)


def test_a_python_of_another_version_is_refused_with_both_sides() -> None:
    with pytest.raises(NoBuildPython) as caught:
        find_python(Target("3.99", "x86_64", "2.28"), Path(sys.executable))
    message = f"wheels are to be built for Python 3.99; this machine has {sys.executable} ({HERE})"
    assert str(caught.value) == message


def test_what_is_no_python_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoBuildPython, match="not a Python"):
        find_python(Target(HERE, "x86_64", "2.28"), tmp_path / "none")


def test_a_toolkit_goes_by_the_bytes_of_its_packages_and_by_what_it_is_for() -> None:
    target = Target("3.11", "x86_64", "2.28", "13.0", "sm_90a")
    one, other, changed = (Sha256Hex(digit * 64) for digit in "abc")
    key = toolkit_key(target, [one, other])
    assert toolkit_key(target, [other, one]) == key
    assert len({key, toolkit_key(target, [changed, other]), toolkit_key(target, [one])}) == 3
    assert toolkit_key(Target("3.11", "aarch64", "2.28", "13.0", "sm_90a"), [one, other]) != key

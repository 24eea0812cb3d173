"""Markers mean the target, not this machine."""

from __future__ import annotations

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from mirror.connected.pins.markers import applies, environment, holds
from mirror.core.target import Target

TARGET = Target(python="3.12", arch="aarch64", glibc="2.28")


@pytest.mark.parametrize(
    ("marker", "holds"),
    [
        ('python_version == "3.12"', True),
        ('python_full_version >= "3.12"', True),
        ('python_version < "3.12"', False),
        ('platform_machine == "aarch64"', True),
        ('sys_platform == "linux" and os_name == "posix"', True),
        ('platform_system == "Windows"', False),
        ('implementation_name == "cpython"', True),
        ('extra == "image"', False),
    ],
)
def test_a_requirement_applies_where_its_marker_holds(marker: str, holds: bool) -> None:
    assert applies(Requirement(f"a; {marker}"), TARGET) is holds


def test_a_requirement_without_marker_always_applies() -> None:
    assert applies(Requirement("a>=1"), TARGET)


@pytest.mark.parametrize(
    ("marker", "held"),
    [
        ("'cuda' in extras", False),
        ("'cuda' not in extras", True),
        ("'dev' in dependency_groups", False),
        ("extra == 'cuda'", False),
        ("python_version == '3.12' and 'cuda' not in extras", True),
    ],
)
def test_a_locks_marker_holds_without_extras_and_groups(marker: str, held: bool) -> None:
    assert holds(marker, environment(TARGET)) is held


def test_every_variable_has_a_value() -> None:
    assert environment(TARGET).keys() == default_environment().keys()

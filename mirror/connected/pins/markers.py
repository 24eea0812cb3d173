"""Markers (PEP 508) as the target sees them: which requirements and pins are meant for it.

Rules: the values are computed from the target's description alone, whatever machine this runs on.

Example::

    applies(Requirement("colorama; sys_platform == 'win32'"), stack.target)     # False
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from packaging.requirements import Requirement

from mirror.connected.pins.standards import read_marker
from mirror.core.target import Target
from mirror.core.wheels.requirement import marker_values

environment = marker_values
"""The target's values of the marker variables (PEP 508): the same on both sides of the gap."""


def applies(requirement: Requirement, target: Target) -> bool:
    """Whether a requirement's marker, if it has one, holds on the target."""
    values: dict[str, Any] = dict(environment(target))
    return requirement.marker is None or requirement.marker.evaluate(values)


def holds(marker: str, values: Mapping[str, str], extras: Collection[str] = (), groups: Collection[str] = ()) -> bool:
    """Whether a marker of a lock holds where the variables have these values.

    Args:
        extras: that are wanted, for the ``extras`` of PEP 751. The older ``extra`` is never wanted.
        groups: that are wanted, for its ``dependency_groups``.
    """
    sets = {"extras": frozenset(extras), "dependency_groups": frozenset(groups)}
    wanted: dict[str, Any] = {**values, "extra": "", **sets}
    return read_marker(marker).evaluate(wanted, context="lock_file")

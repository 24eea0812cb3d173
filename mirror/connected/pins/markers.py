"""Markers (PEP 508) as the target sees them: which requirements and pins are meant for it.

Rules: the values are computed from the target's description alone, whatever machine this runs on.

Example::

    applies(Requirement("colorama; sys_platform == 'win32'"), stack.target)     # False
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement

from mirror.core.target import Target
from mirror.core.wheels.requirement import marker_values

environment = marker_values
"""The target's values of the marker variables (PEP 508): the same on both sides of the gap."""


def applies(requirement: Requirement, target: Target) -> bool:
    """Whether a requirement's marker, if it has one, holds on the target."""
    values: dict[str, Any] = dict(environment(target))
    return requirement.marker is None or requirement.marker.evaluate(values)


def holds(marker: str, values: Mapping[str, str]) -> bool:
    """Whether a marker of a lock holds where the variables have these values.

    Locks may ask for ``extras`` and ``dependency_groups`` (PEP 751), older ones for ``extra``: none is ever wanted.
    """
    nothing = frozenset[str]()
    wanted: dict[str, Any] = {**values, "extra": "", "extras": nothing, "dependency_groups": nothing}
    return Marker(marker).evaluate(wanted, context="lock_file")

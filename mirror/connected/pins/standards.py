"""Requirements, versions, specifiers, markers and file names, as ``packaging`` reads them, of texts that somebody else wrote.

Whoever reads a foreign text reads it here, so that what is wrong with it is an error of ``packaging``'s own at once: a number
that is longer than Python turns into an integer would be a ``ValueError`` of another kind, of a version now, of a specifier or
a marker when it is asked much later; so would a comparison that markers do not have.

Rules: a marker that is read can be evaluated, whatever the target; no number has more than ``MAX_DIGITS`` digits; a text has at
most ``MAX_LENGTH`` characters.

Example::

    read_requirement("torch>=2.10; python_version >= '3.11'").specifier
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from packaging.markers import EvaluateContext, InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import (
    BuildTag,
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from mirror.core.names import project_name
from mirror.core.target import Target
from mirror.core.wheels.requirement import marker_values

T = TypeVar("T")

MAX_DIGITS = 100
"""A date and a time have 14; a digest that is part of a version may be all digits."""

MAX_LENGTH = 1 << 16

_ANYWHERE = marker_values(Target("3.11", "x86_64", "2.28"))

_LONG = re.compile(rf"\d{{{MAX_DIGITS + 1}}}")


def long_number(text: str) -> str:
    """What is wrong with the numbers of a text, in words; empty when nothing is."""
    return f"a number in it has more than {MAX_DIGITS} digits" if _LONG.search(text) else ""


def _read(parse: Callable[[str], T], refusal: type[ValueError], text: str) -> T:
    problem = long_number(text) if len(text) <= MAX_LENGTH else f"it has {len(text)} characters"
    if problem:
        raise refusal(f"{text[:60]!r}...: {problem}")
    try:
        return parse(text)
    except refusal:
        raise
    except (ValueError, RecursionError) as exc:
        raise refusal(f"{text[:200]!r}: {str(exc) or 'nested too deep'}") from exc


def read_requirement(text: str) -> Requirement:
    """PEP 508, its name too: packaging takes one that ends in a separator. Raises InvalidRequirement, a ValueError."""
    requirement = _read(Requirement, InvalidRequirement, text)
    try:
        project_name(requirement.name)
        if requirement.marker:
            _evaluated(requirement.marker, "metadata", {})
    except ValueError as exc:
        raise InvalidRequirement(str(exc)) from exc
    return requirement


def read_specifiers(text: str) -> SpecifierSet:
    """PEP 440. Raises InvalidSpecifier, a ValueError."""
    return _read(SpecifierSet, InvalidSpecifier, text)


def read_version(text: str) -> Version:
    """PEP 440. Raises InvalidVersion, a ValueError."""
    return _read(Version, InvalidVersion, text)


def read_marker(text: str) -> Marker:
    """PEP 508, and PEP 751 with its sets. Raises InvalidMarker, a ValueError."""
    marker = _read(Marker, InvalidMarker, text)
    _evaluated(marker, "lock_file", {"extra": ""})
    return marker


def _evaluated(marker: Marker, context: EvaluateContext, wanted: dict[str, str]) -> None:
    """Evaluate all of a marker: which comparisons there are does not hang on the target. Raises InvalidMarker."""
    try:
        marker.evaluate({**_ANYWHERE, **wanted}, context)
    except (UndefinedComparison, UndefinedEnvironmentName) as exc:
        raise InvalidMarker(
            f"expected a marker such as 'python_version >= \"3.11\"', got {str(marker)[:200]!r}"
        ) from exc


def read_wheel_name(filename: str) -> tuple[NormalizedName, Version, BuildTag, frozenset[Tag]]:
    """Project, version, build tag and tags. Raises InvalidWheelFilename, a ValueError."""
    return _read(parse_wheel_filename, InvalidWheelFilename, filename)


def read_sdist_name(filename: str) -> tuple[NormalizedName, Version]:
    """Project and version. Raises InvalidSdistFilename, a ValueError."""
    return _read(parse_sdist_filename, InvalidSdistFilename, filename)

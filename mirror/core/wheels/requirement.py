"""Requirements and their markers (PEP 508), for the side that has no ``packaging``.

On the connected side ``packaging`` decides; this module answers the same for what the wheels of a bundle ask of each other, and
a test holds the two against each other. ``mirror.core.wheels.versions`` compares versions.

Rules: a marker is evaluated by a target's description alone, whatever machine this runs on; what cannot be read is an error,
never skipped.

Example::

    requirement = Requirement.parse('numpy>=2 ; python_version >= "3.11"')
    requirement.applies(marker_values(target), extras=("image",))
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Callable, Tuple

from mirror.core.names import ProjectName, project_name
from mirror.core.target import Target
from mirror.core.wheels.versions import satisfies

MAX_LENGTH = 1 << 16
"""Characters of one requirement: a marker is evaluated for each extra that is asked for."""

_REQUIREMENT = re.compile(
    r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*"
    r"(?:@\s*(\S+)|\(\s*([^()]*)\)|([^;@(]*))\s*(?:;(.*))?",
    re.ASCII | re.DOTALL,
)
_TOKEN = re.compile(
    r"\s*(?:([()])|'([^']*)'|\"([^\"]*)\"|(===|~=|==|!=|<=|>=|<|>)|(not\s+in)\b|([A-Za-z_][A-Za-z0-9_.]*))", re.ASCII
)
_VERSIONS = frozenset({"implementation_version", "platform_release", "python_full_version", "python_version"})
_OLD_NAMES = {
    "os.name": "os_name",
    "sys.platform": "sys_platform",
    "platform.machine": "platform_machine",
    "platform.version": "platform_version",
    "platform.python_implementation": "platform_python_implementation",
    "python_implementation": "platform_python_implementation",
}
_WORDS: dict[str, Callable[[str, str], bool]] = {
    "in": lambda value, wanted: value in wanted,
    "not in": lambda value, wanted: value not in wanted,
    "==": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "<": lambda value, wanted: value < wanted,
    "<=": lambda value, wanted: value <= wanted,
    ">": lambda value, wanted: value > wanted,
    ">=": lambda value, wanted: value >= wanted,
}
_Operand = Tuple[str, str]
_MAX_DEPTH = 16


def marker_values(target: Target) -> dict[str, str]:
    """The target's values of the marker variables. The patch release is not known and counts as the first."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{target.python}.0",
        "os_name": "posix",
        "platform_machine": target.arch,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{target.python}.0",
        "python_version": target.python,
        "sys_platform": "linux",
    }


@dataclass(frozen=True)
class Requirement:
    """One Requires-Dist line.

    Attributes:
        name: of the project.
        extras: of that project that are asked for.
        specifier: which versions will do; empty for any.
        marker: when it applies; empty for always.
    """

    name: ProjectName
    extras: tuple[str, ...]
    specifier: str
    marker: str

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Read a line. Its specifier and marker are judged when they are asked.

        Raises:
            ValueError: when it is no requirement.
        """
        match = _REQUIREMENT.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if match is None:
            raise ValueError(f"expected a requirement, got {text[:200]!r}")
        name, extras, _, bracketed, plain, marker = match.groups()
        asked = tuple(sorted(project_name(extra.strip()) for extra in (extras or "").split(",") if extra.strip()))
        return cls(project_name(name), asked, (bracketed or plain or "").strip(), (marker or "").strip())

    def applies(self, values: Mapping[str, str], extras: Iterable[str] = ()) -> bool:
        """Whether the marker holds where the variables have these values, for a project installed with these extras.

        Raises:
            ValueError: when the marker cannot be read.
        """
        if not self.marker:
            return True
        return any(_Marker(self.marker, {**values, "extra": extra}).holds() for extra in ("", *extras))

    def is_met_by(self, version: str) -> bool:
        """Whether a version will do. Raises ``ValueError`` when the specifier cannot be read."""
        return satisfies(version, self.specifier)


class _Marker:
    """A marker being evaluated: ``or`` binds weaker than ``and``, parentheses as usual."""

    def __init__(self, text: str, values: Mapping[str, str]) -> None:
        self._text, self._values = text, values
        self._tokens = self._read()
        self._place = 0

    def holds(self) -> bool:
        found = self._either(0)
        if self._place != len(self._tokens):
            self._refuse()
        return found

    def _refuse(self) -> ValueError:
        raise ValueError(f"expected a marker such as 'python_version >= \"3.11\"', got {self._text!r}")

    def _read(self) -> list[tuple[str, str]]:
        tokens, place = [], 0
        text = self._text.rstrip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                self._refuse()
            assert match is not None
            place = match.end()
            kinds = ("bracket", "text", "text", "operator", "operator", "name")
            kind, value = next((kind, value) for kind, value in zip(kinds, match.groups()) if value is not None)
            if kind == "operator":
                value = " ".join(value.split())
            tokens.append(("operator", value) if value == "in" and kind == "name" else (kind, value))
        return tokens

    def _take(self) -> tuple[str, str]:
        if self._place == len(self._tokens):
            self._refuse()
        self._place += 1
        return self._tokens[self._place - 1]

    def _next_is(self, kind: str, value: str) -> bool:
        if self._tokens[self._place : self._place + 1] != [(kind, value)]:
            return False
        self._place += 1
        return True

    def _either(self, depth: int) -> bool:
        found = self._both(depth)
        while self._next_is("name", "or"):
            found = self._both(depth) or found
        return found

    def _both(self, depth: int) -> bool:
        found = self._one(depth)
        while self._next_is("name", "and"):
            found = self._one(depth) and found
        return found

    def _one(self, depth: int) -> bool:
        if depth > _MAX_DEPTH:
            self._refuse()
        if self._next_is("bracket", "("):
            found = self._either(depth + 1)
            if not self._next_is("bracket", ")"):
                self._refuse()
            return found
        left, (kind, operator), right = self._take(), self._take(), self._take()
        if kind != "operator" or left[0] not in ("name", "text") or right[0] not in ("name", "text"):
            self._refuse()
        return self._compared(left, operator, right)

    def _compared(self, left: _Operand, operator: str, right: _Operand) -> bool:
        key = _variable(left if left[0] == "name" else right)
        value, wanted = self._value(left), self._value(right)
        if key == "extra":
            value, wanted = _normal(value), _normal(wanted)
        if key in _VERSIONS:
            try:
                return satisfies(value, f"{operator}{wanted}")
            except ValueError:
                pass  # 'python_version in "3.10, 3.11"' compares words
        if operator not in _WORDS:
            self._refuse()
        return _WORDS[operator](value, wanted)

    def _value(self, operand: _Operand) -> str:
        if operand[0] == "text":
            return operand[1]
        name = _variable(operand)
        if name not in self._values:
            self._refuse()
        return self._values[name]


def _variable(operand: _Operand) -> str:
    return _OLD_NAMES.get(operand[1], operand[1])


def _normal(extra: str) -> str:
    return re.sub(r"[-_.]+", "-", extra).lower()

"""Words that must have passed a check: project names, digests, artifact file names, numbers.

Each ``NewType`` is only made by the function beside it, so a value of that type has been checked once, at the edge.

Example::

    >>> project_name("Foo.Bar_baz")
    'foo-bar-baz'
"""

from __future__ import annotations

import re
from typing import NewType, Optional, Tuple

ProjectName = NewType("ProjectName", str)
"""A Python project's name, normalised as in PEP 503."""

Sha256Hex = NewType("Sha256Hex", str)
"""64 lower-case hex digits."""

_NUMBER = re.compile("[0-9]{1,18}", re.ASCII)
_PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_STACK = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)


def project_name(text: str) -> ProjectName:
    """Normalise a project name (PEP 503).

    Raises:
        ValueError: if the text is no project name (PEP 508).
    """
    if not _PROJECT.fullmatch(text):
        raise ValueError(f"expected a project name, got {text!r}")
    return ProjectName(re.sub(r"[-_.]+", "-", text).lower())


def sha256_hex(text: str) -> Sha256Hex:
    """Check a digest. Upper case is refused: one digest has one spelling.

    Raises:
        ValueError: unless the text is 64 lower-case hex digits.
    """
    if not _SHA256.fullmatch(text):
        raise ValueError(f"expected 64 hex digits, got {text!r}")
    return Sha256Hex(text)


def stack_name(text: str) -> str:
    """Check a stack's name: it becomes a directory name on the closed side.

    Raises:
        ValueError: unless it is 1 to 64 letters, digits, dots, dashes, underscores, with a letter or digit at both ends.
    """
    if not _STACK.fullmatch(text):
        raise ValueError(f"expected a stack name such as 'h100', got {text!r}")
    return text


def whole_number(text: str) -> Optional[int]:
    """The number that a text is, where it is one of at most 18 ASCII digits; None otherwise.

    ``str.isdigit`` also takes what ``int`` does not (a raised 2), and ``int`` refuses what is longer than it likes.
    """
    return int(text) if _NUMBER.fullmatch(text) else None


def dotted_numbers(text: str) -> Tuple[int, ...]:
    """The parts of a dotted text that are numbers, so that they compare: ``"570.124.06"`` as ``(570, 124, 6)``."""
    return tuple(number for part in text.split(".") if (number := whole_number(part)) is not None)

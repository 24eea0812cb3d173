"""TOML that somebody wrote: people's files, locks, and ``pyproject.toml`` of strangers.

The caller decides what the values mean, mostly with ``mirror.core.fields.Fields``.

Rules: what ``tomllib`` refuses is ``InvalidDocument``, and so is what it would choke on: nesting deeper than Python follows,
numbers beyond TOML's 64 bits, and dotted keys so long that they take the square of their length in memory.

Example::

    parse_toml(b'[licences]\\nallowed = ["MIT"]\\n', "policy.toml", 1 << 20)     # {"licences": {"allowed": ["MIT"]}}
"""

from __future__ import annotations

import re
import sys
from typing import Any

from mirror.core.errors import InvalidDocument

if sys.version_info >= (3, 11):
    import tomllib
else:  # the one package that the closed side has besides the standard library; mirror.pyz carries it
    import tomli as tomllib

_MAX_KEY_PARTS = 32
_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:[ \t]*\.[ \t]*{_PART}){{{_MAX_KEY_PARTS}}}")
_NUMBERS = range(-(1 << 63), 1 << 63)


def parse_toml(data: bytes, document: str, max_bytes: int) -> dict[str, Any]:
    """Parse a document, which ``document`` names in errors.

    Raises:
        InvalidDocument: for more than ``max_bytes``, bytes that are not UTF-8, what is no TOML (with the line), and what the
            rules refuse.
    """
    if len(data) > max_bytes:
        raise InvalidDocument(document, "", f"it has {len(data)} bytes, more than the {max_bytes} allowed")
    try:
        text = data.decode("utf-8")
        for number, line in enumerate(text.split("\n"), start=1):
            if line.count(".") >= _MAX_KEY_PARTS and _LONG_KEY.search(line):
                raise InvalidDocument(document, f"line {number}", f"a key has more than {_MAX_KEY_PARTS} parts")
        value = tomllib.loads(text)
    except RecursionError:
        raise InvalidDocument(document, "", "nested too deep") from None
    except ValueError as exc:
        raise InvalidDocument(document, "", f"not valid TOML: {exc}") from exc
    _check_numbers(value, document)
    return value


def _check_numbers(value: object, document: str) -> None:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
        elif isinstance(one, int) and one not in _NUMBERS:
            raise InvalidDocument(document, "", "a number is beyond 64 bits")

"""SPDX licence expressions, evaluated: do these licences allow what this expression says?

The connected side checks that SPDX knows a name, when it writes an expression down (``mirror.connected.contents.licences``);
here a name counts only as allowed or not.

Rules (SPDX specification, annex D): OR binds weaker than AND, WITH strongest; names match whatever their case; an exception
only adds permissions, so a licence that is allowed is allowed with every exception, and ``NAME+`` is allowed where ``NAME`` is;
nothing else is inferred from names.

Example::

    is_allowed("MIT OR GPL-2.0-only WITH Classpath-exception-2.0", ("MIT",))        # True
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKEN = re.compile(r"\s*([()]|[A-Za-z0-9.:+-]+)\s*", re.ASCII)
_NAME = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?[A-Za-z0-9][A-Za-z0-9.-]*\+?", re.ASCII)
_WORDS = frozenset({"and", "or", "with", "(", ")"})
_MAX_LENGTH, _MAX_DEPTH = 10_000, 16


def is_allowed(expression: str, allowed: Iterable[str]) -> bool:
    """Whether an expression can be met with these licences alone. Raises ValueError: when it is no expression."""
    return _Expression(expression, frozenset(" ".join(one.lower().split()) for one in allowed)).holds()


def licence_name(text: str) -> str:
    """Check one entry of a list of licences.

    Raises:
        ValueError: unless it is ``"NAME"`` or ``"NAME WITH EXCEPTION"``.
    """
    parts = text.split()
    named = [part for index, part in enumerate(parts) if index != 1]
    if (
        len(parts) not in (1, 3)
        or (len(parts) == 3 and parts[1].lower() != "with")
        or not all(_NAME.fullmatch(part) and part.lower() not in _WORDS for part in named)
    ):
        raise ValueError(f"expected an SPDX licence such as 'Apache-2.0', got {text!r}")
    return " ".join(parts)


class _Expression:
    """An expression being read and judged in one go."""

    def __init__(self, text: str, allowed: frozenset[str]) -> None:
        self._text, self._allowed, self._at, self._depth = text, allowed, 0, 0
        self._tokens: list[str] = []
        position = 0
        while position < len(text) <= _MAX_LENGTH:
            match = _TOKEN.match(text, position)
            if match is None:
                break
            self._tokens.append(match[1])
            position = match.end()
        if position < len(text) or not text.strip():
            self._refuse()

    def _refuse(self) -> None:
        raise ValueError(f"expected an SPDX expression, got {self._text[:100]!r}")

    def _next(self) -> str:
        return self._tokens[self._at].lower() if self._at < len(self._tokens) else ""

    def _takes(self, word: str) -> bool:
        found = self._next() == word
        self._at += found
        return found

    def holds(self) -> bool:
        holds = self._either()
        if self._next():
            self._refuse()
        return holds

    def _either(self) -> bool:
        holds = self._both()
        while self._takes("or"):
            holds |= self._both()
        return holds

    def _both(self) -> bool:
        holds = self._one()
        while self._takes("and"):
            holds &= self._one()
        return holds

    def _one(self) -> bool:
        if self._takes("("):
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                self._refuse()
            holds = self._either()
            if not self._takes(")"):
                self._refuse()
            self._depth -= 1
            return holds
        name = self._name()
        allowed = name in self._allowed or name.rstrip("+") in self._allowed
        if self._takes("with"):
            return f"{name} with {self._name()}" in self._allowed or allowed
        return allowed

    def _name(self) -> str:
        name = self._next()
        if name in _WORDS or not _NAME.fullmatch(self._tokens[self._at] if name else ""):
            self._refuse()
        self._at += 1
        return name

"""TOML, as much of it as a policy needs, for a Python that has no ``tomllib`` (before 3.11).

Tables, arrays of tables, strings on one line, whole decimal numbers, booleans, arrays of strings, comments. What else TOML has
(dates, floats, inline tables, dotted or quoted keys, strings over several lines) is refused with a sentence that says so.

Rules: what is accepted here means the same to ``tomllib``, and what ``tomllib`` refuses is refused here: a test holds the two
against each other. Every error names its line.

Example::

    parse_toml(b'[licences]\\nallowed = ["MIT"]\\n', "policy.toml")     # {"licences": {"allowed": ["MIT"]}}
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from mirror.core.errors import InvalidDocument

MAX_BYTES = 1 << 20

_BLANK = re.compile(r"[ \t]*")
_REST = re.compile(r"[ \t]*(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?")
_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = re.compile(r"(\[\[?)[ \t]*([A-Za-z0-9_-]+(?:[ \t]*\.[ \t]*[A-Za-z0-9_-]+)*)[ \t]*(\]\]?)")
_INTEGER = re.compile(r"[+-]?(?:0|[1-9](?:_?[0-9])*)(?![0-9A-Za-z_.:+-])")
_WORD = re.compile(r"(?:true|false)(?![0-9A-Za-z_.-])")
_LITERAL = re.compile(r"'([^'\x00-\x08\x0a-\x1f\x7f]*)'")
_BASIC = re.compile(r'"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\.)*)"')
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
_MAX_INT = (1 << 63) - 1


def parse_toml(data: bytes, document: str) -> dict[str, Any]:
    """Parse a document.

    Args:
        document: its name, for errors.

    Raises:
        InvalidDocument: with the line of the fault.
    """
    if len(data) > MAX_BYTES:
        raise InvalidDocument(document, "", f"it has {len(data)} bytes, more than the {MAX_BYTES} allowed")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise InvalidDocument(document, f"line {line}", "not UTF-8") from exc
    return _Parser(text.replace("\r\n", "\n").split("\n"), document).parse()


class _Parser:
    """Goes through the lines once.

    Attributes:
        root: what was read so far.
        table: where the next key goes.
        headers: the tables that a header made, by identity: none may be made twice.
        lists: the arrays of tables, by identity; other arrays take no tables.
    """

    def __init__(self, lines: list[str], document: str) -> None:
        self._lines, self._document = lines, document
        self._number, self._at = 0, 0
        self.root: dict[str, Any] = {}
        self.table = self.root
        self.headers: set[int] = set()
        self.lists: set[int] = set()

    def parse(self) -> dict[str, Any]:
        while self._number < len(self._lines):
            self._at = 0
            self._match(_BLANK)
            if self._next() == "[":
                self._header()
            elif self._next() not in ("", "#"):
                self._pair()
            self._end_line()
        return self.root

    def _fail(self, problem: str) -> NoReturn:
        raise InvalidDocument(self._document, f"line {self._number + 1}", problem)

    @property
    def _line(self) -> str:
        return self._lines[self._number]

    def _next(self) -> str:
        return self._line[self._at : self._at + 1]

    def _shown(self) -> str:
        return repr(self._line[self._at : self._at + 30]) if self._next() else "the end of the line"

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._line, self._at)
        if match:
            self._at = match.end()
        return match

    def _end_line(self) -> None:
        self._match(_REST)
        if self._next():
            self._fail(f"expected the end of the line or a comment, got {self._shown()}")
        self._number += 1

    def _header(self) -> None:
        match = self._match(_HEADER)
        if not match or len(match[1]) != len(match[3]):
            self._fail(f"expected a table's name such as [licences] or [[waiver]], got {self._shown()}")
        names = re.split(r"[ \t]*\.[ \t]*", match[2])
        place = self.root
        for name in names[:-1]:
            place = self._inside(place, name)
        self.table = self._appended(place, names[-1]) if match[1] == "[[" else self._opened(place, names[-1])
        self.headers.add(id(self.table))

    def _inside(self, place: dict[str, Any], name: str) -> dict[str, Any]:
        """The table of that name, made when it is missing; of an array of tables the last one."""
        found = place.setdefault(name, {})
        if id(found) in self.lists:
            found = found[-1]
        if not isinstance(found, dict):
            self._fail(f"{name} has a value already and cannot be a table")
        return found

    def _opened(self, place: dict[str, Any], name: str) -> dict[str, Any]:
        found = place.setdefault(name, {})
        if not isinstance(found, dict) or id(found) in self.headers:
            self._fail(f"{name} is there already")
        return found

    def _appended(self, place: dict[str, Any], name: str) -> dict[str, Any]:
        if name not in place:
            place[name] = []
            self.lists.add(id(place[name]))
        if id(place[name]) not in self.lists:
            self._fail(f"{name} is there already, and is no array of tables")
        table: dict[str, Any] = {}
        place[name].append(table)
        return table

    def _pair(self) -> None:
        match = self._match(_KEY)
        if not match:
            self._fail(f"expected a name of letters, digits, '-' and '_', got {self._shown()}")
        key = match[0]
        self._match(_BLANK)
        if self._next() != "=":
            self._fail(f"expected '=' after {key}, got {self._shown()}")
        self._at += 1
        self._match(_BLANK)
        if key in self.table:
            self._fail(f"{key} is there twice")
        self.table[key] = self._value()

    def _value(self) -> Any:
        if self._next() == "[":
            return self._array()
        if self._next() in ("'", '"'):
            return self._string()
        word = self._match(_WORD)
        if word:
            return word[0] == "true"
        number = self._match(_INTEGER)
        if not number:
            self._fail(f"expected a string, a whole number, true, false or an array of strings, got {self._shown()}")
        value = int(number[0]) if len(number[0]) <= 40 else _MAX_INT + 1
        if abs(value) > _MAX_INT:
            self._fail("the number is too large")
        return value

    def _array(self) -> list[str]:
        self._at += 1
        values = []
        while True:
            self._skip_lines()
            if self._next() == "]":
                break
            if self._next() not in ("'", '"'):
                self._fail(f"expected a string or ']', got {self._shown()}: arrays hold strings only")
            values.append(self._string())
            self._skip_lines()
            if self._next() == "]":
                break
            if self._next() != ",":
                self._fail(f"expected ',' or ']', got {self._shown()}")
            self._at += 1
        self._at += 1
        return values

    def _skip_lines(self) -> None:
        """Go on to the next thing inside an array, over comments and ends of lines."""
        self._match(_BLANK)
        while self._next() in ("", "#"):
            self._end_line()
            if self._number == len(self._lines):
                self._number -= 1
                self._fail("the array does not end")
            self._at = 0
            self._match(_BLANK)

    def _string(self) -> str:
        if self._line.startswith(('"""', "'''"), self._at):
            self._fail("strings over several lines are not read here")
        match = self._match(_LITERAL)
        if match:
            return match[1]
        match = self._match(_BASIC)
        if not match:
            self._fail(f"the string does not end on its line, or holds a control character: {self._shown()}")
        return _ESCAPE.sub(self._escaped, match[1])

    def _escaped(self, match: re.Match[str]) -> str:
        word = match[1]
        if len(word) == 1:
            if word not in _ESCAPES:
                self._fail(f"no such escape: \\{word}; write a backslash twice, or use '...'")
            return _ESCAPES[word]
        code = int(word[1:], 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            self._fail(f"no such character: \\{word}")
        return chr(code)

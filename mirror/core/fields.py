"""Reading untyped documents (JSON, TOML) into typed values, with the path to the fault in each error.

Strict: duplicate keys, unknown keys, NaN, deep nesting and wrong types are refused, for a signed file has none.
``mirror.core.toml`` parses the text of TOML; this module takes the parsed mapping.

Example::

    statement = Fields.read(data, "Statement", "mirror-review/1", max_bytes=4096).fill(Statement)
    canonical_json({"format": "mirror-review/1", **told(statement)})
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Collection, Iterator
from typing import Any, NoReturn, TypeVar, cast

from mirror.core.errors import InvalidDocument
from mirror.core.names import sha256_hex
from mirror.core.words import did_you_mean

T = TypeVar("T")

_MAX_INT_DIGITS = 18
_MAX_MARKS = 2_000_000
"""Of punctuation: a list of 200,000 files has less."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def strict_json(data: bytes, document: str, max_bytes: int) -> Any:
    """Parse JSON without any of its ambiguities.

    Raises:
        InvalidDocument: for more than ``max_bytes``, bytes that are not UTF-8, duplicate keys, floats, NaN, integers of more
            than 18 digits, lone surrogates, nesting deeper than Python follows (about a thousand levels), or more values than
            ``check_values`` lets pass.
    """

    def refuse(problem: str) -> NoReturn:
        raise InvalidDocument(document, "", problem)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping = dict(items)
        if len(mapping) != len(items):
            refuse("a key occurs twice in one object")
        return mapping

    def integer(digits: str) -> int:
        if len(digits) > _MAX_INT_DIGITS:
            refuse(f"a number has {len(digits)} digits")
        return int(digits)

    def no_number(text: str) -> NoReturn:
        refuse(f"the number {text[:20]} is not a whole number")

    if len(data) > max_bytes:
        refuse(f"it has {len(data)} bytes, more than the {max_bytes} allowed")
    try:
        check_values(data)
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=pairs,
            parse_int=integer,
            parse_float=no_number,
            parse_constant=no_number,
        )
        if _SURROGATE.search(data):  # UTF-8 has none; an escape may be one half of a pair alone, and fails here
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        refuse("nested too deep")
    except (UnicodeError, ValueError) as exc:
        refuse(f"not valid JSON: {exc}")
    return value


def check_values(data: bytes) -> None:
    """Refuse JSON that would take far more memory than its text does: an empty object takes 24 times as much.

    Raises:
        ValueError: when it has more values than the lists that are true have.
    """
    if sum(map(data.count, (b",", b":", b"{", b"["))) > _MAX_MARKS:
        raise ValueError(f"it has more than {_MAX_MARKS // 2} values")


def canonical_json(value: object) -> bytes:
    """The one encoding that we write: sorted keys, two spaces, ASCII, a final newline."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=True).encode("ascii") + b"\n"


def _version(form: str) -> tuple[str, int]:
    """``("mirror-root", 1)``; version 0 for what is no format of anything."""
    family, _, number = form.rpartition("/")
    return family, int(number) if re.fullmatch("[0-9]{1,9}", number, re.ASCII) else 0


class Fields:
    """A mapping whose keys are taken one by one; what is left at ``end()`` is an error.

    Each getter raises ``InvalidDocument`` with the path to the fault: when the key is missing and no ``default`` is
    given, or when the value has another type.
    """

    def __init__(self, value: Any, document: str, where: str = "") -> None:
        self.document, self.where = document, where
        if not isinstance(value, dict):
            self.fail("", f"expected a table, got {type(value).__name__}")
        self._left: dict[str, Any] = dict(value)
        self._asked: set[str] = set()

    @classmethod
    def read(cls, data: bytes, name: str, formats: str | Collection[str], max_bytes: int) -> Fields:
        """A JSON document of ours, its ``format`` line taken and known.

        Args:
            name: what kind of document it is, for errors.
            formats: the one that its ``format`` must say, or several in their order.

        Raises:
            InvalidDocument: for what ``strict_json`` refuses, what is no table, and another format.
        """
        fields = cls(strict_json(data, name, max_bytes), name)
        fields.known_format(formats)
        return fields

    def known_format(self, formats: str | Collection[str]) -> str:
        """Take the ``format`` line, which must be one of these. Raises InvalidDocument."""
        known = [formats] if isinstance(formats, str) else list(formats)
        found = self.text("format")
        if found not in known:
            (family, number), (ours, newest) = _version(found), _version(known[-1])
            step = ": use a newer mirror" if family == ours and number > newest else ""
            self.fail("format", f"this mirror reads {' and '.join(map(repr, known))}, got {found!r}{step}")
        return found

    def fail(self, key: str, problem: str) -> NoReturn:
        raise InvalidDocument(self.document, self._path(key), problem)

    def _path(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where and key else self.where or key

    def __contains__(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._left

    def only(self, *known: str) -> None:
        """Refuse every key but these, before any getter finds one missing: a misspelt key is why another is missing.

        For tables that people write. ``end()`` refuses the same keys, after the getters.
        """
        self._asked.update(known)
        strange = sorted(self._left.keys() - set(known))
        if strange:
            self._unknown(strange[0])

    def left(self) -> tuple[str, ...]:
        """The keys not taken yet, in the document's order."""
        return tuple(self._left)

    def is_table(self, key: str) -> bool:
        """Whether a table is at ``key``, where a text may be as well."""
        return isinstance(self._left.get(key), dict)

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """The value of ``key``, which must be exactly of type ``kind`` (a bool is no int here)."""
        self._asked.add(key)
        if key not in self._left:
            if default is None:
                self.fail(key, "missing")
            return default
        value = self._left.pop(key)
        if type(value) is not kind:
            self.fail(key, f"expected {kind.__name__}, got {type(value).__name__}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        return self.take(key, str, default)

    def number(self, key: str, default: int | None = None, minimum: int = 0) -> int:
        value = self.take(key, int, default)
        if value < minimum:
            self.fail(key, f"expected at least {minimum}, got {value}")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        return self.take(key, bool, default)

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        if default is not None and key not in self:
            return default
        values = self.take(key, list)
        for index, value in enumerate(values):
            if type(value) is not str:
                self.fail(f"{key}[{index}]", f"expected str, got {type(value).__name__}")
        return tuple(values)

    def table(self, key: str) -> Fields:
        """The sub-table at ``key``; an empty one when it is missing (its own getters then say what is missing)."""
        return Fields(self.take(key, dict, {}), self.document, self._path(key))

    def tables(self, key: str) -> Iterator[Fields]:
        """The array of tables at ``key``, none when it is missing."""
        for index, value in enumerate(self.take(key, list, [])):
            yield Fields(value, self.document, f"{self._path(key)}[{index}]")

    def checked(self, key: str, check: Callable[[str], T], default: str | None = None) -> T:
        """The text at ``key`` passed through ``check``, whose ``ValueError`` becomes the fault's words."""
        try:
            return check(self.text(key, default))
        except ValueError as exc:
            self.fail(key, str(exc))

    def all_checked(self, key: str, check: Callable[[str], T]) -> tuple[T, ...]:
        """The texts at ``key``, each passed through ``check``; none when it is missing."""
        values = []
        for index, text in enumerate(self.texts(key, ())):
            try:
                values.append(check(text))
            except ValueError as exc:
                self.fail(f"{key}[{index}]", str(exc))
        return tuple(values)

    def fill(self, kind: type[T], /, **taken: Any) -> T:
        """A dataclass out of the keys that have the names of its fields, and no others; ``told`` is the inverse.

        A field of type ``str``, ``int``, ``bool``, ``Sha256Hex`` or a tuple of texts is read by the getter of that type; a
        dataclass, or a tuple of them, by its ``from_fields``, or else likewise; what has ``by(check)`` passes through that. A
        field with a default may be missing.

        Args:
            taken: values that the caller has taken and checked, and those of fields of other types.
        """
        for field in dataclasses.fields(cast(Any, kind)):
            if field.name not in taken:
                taken[field.name] = self._value(field, kind.__module__)
        self.end()
        return kind(**taken)

    def _value(self, field: dataclasses.Field[Any], module: str) -> Any:
        key, spelled = field.name, str(field.type).removesuffix(" | None")
        if field.default is not dataclasses.MISSING and key not in self:
            return field.default
        if check := field.metadata.get(_CHECK):
            return self.all_checked(key, check) if spelled.startswith("tuple") else self.checked(key, check)
        if spelled in _GETTERS:
            return _GETTERS[spelled](self, key)
        several, one = _NESTED.fullmatch(spelled).groups()  # type: ignore[union-attr]  # what else a field may be
        kind = vars(sys.modules[module])[several or one]
        read = getattr(kind, "from_fields", None) or (lambda table: table.fill(kind))
        return tuple(map(read, self.tables(key))) if several else read(self.table(key))

    def end(self) -> None:
        """Refuse the keys that nobody took."""
        if self._left:
            self._unknown(min(self._left))

    def _unknown(self, key: str) -> NoReturn:
        known = sorted(self._asked - {key})
        listed = f"; known here: {', '.join(known)}" if known else ""
        self.fail(key, f"unknown key{did_you_mean(key, known) or listed}")


_GETTERS: dict[str, Callable[..., Any]] = {
    "str": Fields.text,
    "int": Fields.number,
    "bool": Fields.flag,
    "tuple[str, ...]": Fields.texts,
    "Sha256Hex": lambda fields, key: fields.checked(key, sha256_hex),
    "tuple[Sha256Hex, ...]": lambda fields, key: fields.all_checked(key, sha256_hex),
}
"""By the type as a dataclass's annotation spells it."""

_NESTED = re.compile(r"tuple\[(\w+), \.\.\.\]|(\w+)")
_CHECK = "check"


def by(check: Callable[[str], Any]) -> dict[str, Any]:
    """The ``metadata`` of a dataclass's field whose text, or each of whose texts, passes through a check."""
    return {_CHECK: check}


def told(one: Any, *always: str) -> dict[str, Any]:
    """What a dataclass says, for a document: tuples as lists, dataclasses in them likewise; what is empty is left out.

    Args:
        always: fields that are told though they are empty.
    """
    return {key: _plain(value) for key, value in vars(one).items() if value or key in always}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return told(value) if dataclasses.is_dataclass(value) else value

"""YAML of others: what PyYAML raises is one kind of error here."""

from __future__ import annotations

import pytest

from mirror.connected.pins.foreignyaml import parse_yaml


@pytest.mark.group(11)
@pytest.mark.parametrize(
    "text",
    [
        '!!int ""', '!!int "-"', '!!float ""', "!!bool x", "!!timestamp x", "a: 2001-99-99", "a: [", "\0",
        "9" * 5000, "[" * 5000, "- " * 5000, "!!python/object:os.system x", "[[]]: 1", "0001-01-01 00:00:00 +99:99",
        "&a [*b]", "a: b: c",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_value_error_of_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse_yaml(text)


def test_plain_values_are_read() -> None:
    assert parse_yaml(b"a: [1, x, 2.5]\nb: {c: null}\n") == {"a": [1, "x", 2.5], "b": {"c": None}}

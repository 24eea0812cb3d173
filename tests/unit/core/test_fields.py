from __future__ import annotations

import dataclasses
import resource
from typing import Any

import pytest

from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, by, canonical_json, strict_json, told
from mirror.core.names import Sha256Hex, one_of


def parse(text: str) -> Any:
    return strict_json(text.encode("utf-8", "surrogatepass"), "Thing", max_bytes=1 << 20)


@pytest.mark.group(11)
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"sha256": "good", "sha256": "evil"}', "a key occurs twice in one object"),
        ('{"a": NaN}', "the number NaN is not a whole number"),
        ('{"a": Infinity}', "the number Infinity is not a whole number"),
        ('{"a": 1e999}', "the number 1e999 is not a whole number"),
        ('{"a": 1.5}', "the number 1.5 is not a whole number"),
        ('{"a": ' + "9" * 5000 + "}", "a number has 5000 digits"),
        ("[" * 100_000 + "]" * 100_000, "nested too deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deep"),
        ('[{"a":' * 100_000, "nested too deep"),
        ('"\\ud800"', "not valid JSON"),
        ('\ufeff{"a": 1}', "not valid JSON"),
        ('"\ud800"', "not valid JSON"),
        ('{"a": 1} x', "not valid JSON"),
        ("", "not valid JSON"),
    ],
)
def test_refuses_ambiguous_json(text: str, problem: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        parse(text)
    assert problem in str(caught.value)
    assert str(caught.value).startswith("Thing invalid: ")


@pytest.mark.group(11)
def test_refuses_bytes_that_are_not_utf8() -> None:
    with pytest.raises(InvalidDocument, match="not valid JSON"):
        strict_json(b'"\xff"', "Thing", max_bytes=10)


@pytest.mark.group(48)
def test_refuses_a_document_over_its_limit_before_parsing_it() -> None:
    with pytest.raises(InvalidDocument, match="it has 11 bytes, more than the 10 allowed"):
        strict_json(b"[" * 11, "Thing", max_bytes=10)


def test_brackets_inside_strings_do_not_count_as_nesting() -> None:
    assert parse('{"a": "' + "[" * 50 + '\\"' + "[" * 50 + '"}')["a"].count("[") == 100


def test_canonical_json_is_read_back() -> None:
    value = {"b": [1, 2, {"ä": "ö"}], "a": "x"}
    assert parse(canonical_json(value).decode()) == value
    assert canonical_json(value) == canonical_json(dict(reversed(value.items())))


def test_names_the_path_to_a_wrong_type() -> None:
    fields = Fields({"items": [{"size": 1}, {"size": True}]}, "Thing")
    first, second = fields.tables("items")
    assert first.number("size") == 1
    with pytest.raises(InvalidDocument) as caught:
        second.number("size")
    assert str(caught.value) == "Thing invalid at 'items[1].size': expected int, got bool"


def test_names_a_missing_key() -> None:
    with pytest.raises(InvalidDocument, match=r"Thing invalid at 'target\.python': missing"):
        Fields({"target": {}}, "Thing").table("target").text("python")


@pytest.mark.group(12)
def test_names_an_unknown_key() -> None:
    fields = Fields({"known": 1, "other": 2}, "Thing")
    fields.number("known")
    with pytest.raises(InvalidDocument, match="Thing invalid at 'other': unknown key"):
        fields.end()


def test_refuses_a_list_with_something_else_than_texts() -> None:
    with pytest.raises(InvalidDocument, match=r"'names\[1\]': expected str, got int"):
        Fields({"names": ["a", 1]}, "Thing").texts("names")


def test_refuses_a_number_below_its_minimum() -> None:
    with pytest.raises(InvalidDocument, match="expected at least 1, got 0"):
        Fields({"n": 0}, "Thing").number("n", minimum=1)


def test_a_key_that_nobody_knows_is_named_before_one_that_is_missing() -> None:
    with pytest.raises(InvalidDocument) as caught:
        Fields({"requirments": []}, "demo.toml", "python").only("requirements", "optional")
    assert str(caught.value) == ("demo.toml invalid at 'python.requirments': unknown key; did you mean requirements?")


def test_an_unknown_key_that_is_like_none_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InvalidDocument) as caught:
        Fields({"expires": ""}, "demo.toml", "waiver[1]").only("rule", "reason", "by")
    assert str(caught.value) == "demo.toml invalid at 'waiver[1].expires': unknown key; known here: by, reason, rule"


@dataclasses.dataclass(frozen=True)
class Thing:
    name: str
    sizes: dict[str, int]
    words: tuple[str, ...] = ()
    count: int = 3
    is_odd: bool = False


def test_a_dataclass_is_filled_by_its_annotations() -> None:
    fields = Fields({"name": "a", "words": ["b"], "is_odd": True}, "Thing")
    assert fields.fill(Thing, sizes={"x": 1}) == Thing("a", {"x": 1}, ("b",), 3, True)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({}, "Thing invalid at 'name': missing"),
        ({"name": "a", "words": "b"}, "Thing invalid at 'words': expected list, got str"),
        ({"name": "a", "count": True}, "Thing invalid at 'count': expected int, got bool"),
        ({"name": "a", "count": -1}, "Thing invalid at 'count': expected at least 0, got -1"),
        ({"name": "a", "is_odd": 1}, "Thing invalid at 'is_odd': expected bool, got int"),
        ({"name": "a", "sizes": {}}, "Thing invalid at 'sizes': unknown key; known here: count, is_odd, name, words"),
    ],
)
def test_a_key_that_does_not_fit_its_dataclass_is_named(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        Fields(document, "Thing").fill(Thing, sizes={})
    assert str(caught.value) == problem


@dataclasses.dataclass(frozen=True)
class Part:
    name: str
    kind: str = dataclasses.field(default="small", metadata=by(one_of(("small", "large"))))
    sha256: Sha256Hex | None = None


@dataclasses.dataclass(frozen=True)
class Whole:
    first: Part
    others: tuple[Part, ...] = ()
    kinds: tuple[str, ...] = dataclasses.field(default=(), metadata=by(one_of(("small", "large"))))
    last: Part | None = None
    count: int = 0


WHOLE = Whole(Part("a"), (Part("b", "large"), Part("c", sha256=Sha256Hex("0" * 64))), ("small",), count=0)


def test_what_a_dataclass_told_fills_it_again_with_the_rows_in_its_rows() -> None:
    document = told(WHOLE, "count")
    assert document == {
        "first": {"name": "a", "kind": "small"},
        "others": [{"name": "b", "kind": "large"}, {"name": "c", "kind": "small", "sha256": "0" * 64}],
        "kinds": ["small"],
        "count": 0,
    }
    assert strict_json(canonical_json(document), "Whole", 1 << 10) == document
    del document["others"][1]["sha256"]
    document["last"] = document["others"].pop()
    filled = Fields({**document, "first": {"name": "a", "sha256": "1" * 64}}, "Whole").fill(Whole)
    assert filled == Whole(Part("a", sha256=Sha256Hex("1" * 64)), (Part("b", "large"),), ("small",), Part("c"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"first": {}}, "Whole invalid at 'first.name': missing"),
        (
            {"first": {"name": "a", "more": 1}},
            "Whole invalid at 'first.more': unknown key; known here: kind, name, sha256",
        ),
        ({"first": {"name": "a", "sha256": "A"}}, "Whole invalid at 'first.sha256': expected 64 hex digits, got 'A'"),
        (
            {"others": [{"name": "b", "kind": "x"}]},
            "Whole invalid at 'others[0].kind': expected one of small, large, got 'x'",
        ),
        ({"kinds": ["small", "big"]}, "Whole invalid at 'kinds[1]': expected one of small, large, got 'big'"),
        ({"last": 1}, "Whole invalid at 'last': expected dict, got int"),
    ],
)
def test_a_fault_in_a_row_of_a_row_is_named_with_its_path(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        Fields({"first": {"name": "a"}, **change}, "Whole").fill(Whole)
    assert str(caught.value) == problem


@pytest.mark.group(11)
@pytest.mark.parametrize("value", ["{}", "[]", '""', "1", '{"":0}'])
def test_refuses_a_document_of_more_values_than_memory_has_room_for(value: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidDocument, match="it has more than 1000000 values"):
        strict_json(f"[{f'{value},' * 2_000_001}1]".encode(), "Thing", max_bytes=64 << 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80 << 10
    assert len(strict_json(f"[{'[],' * 900_000}1]".encode(), "Thing", max_bytes=64 << 20)) == 900_001

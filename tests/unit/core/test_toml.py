"""TOML of ours and of strangers: what Python's parser takes means what it says, and what it chokes on has a name."""

from __future__ import annotations

import time

import pytest

from mirror.core.errors import InvalidDocument
from mirror.core.toml import parse_toml


def problem(data: bytes, max_bytes: int = 8 << 20) -> str:
    with pytest.raises(InvalidDocument) as caught:
        parse_toml(data, "policy.toml", max_bytes)
    return str(caught.value).removeprefix("policy.toml invalid")


def test_reads_all_of_toml() -> None:
    text = 'a.b = 1\n[[c]]\nd = {e = ["f", 0x10, 1.5, true]}\ng = """\nh"""\n'
    assert parse_toml(text.encode(), "x", 100) == {"a": {"b": 1}, "c": [{"d": {"e": ["f", 16, 1.5, True]}, "g": "h"}]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = 1\na = 2", ": not valid TOML: Cannot overwrite a value (at end of document)"),
        ("a = 1\nb", ": not valid TOML: "),
        ("a = '\ud800'", ": not valid TOML: 'utf-8' codec"),
        ("a = " + "[" * 100_000, ": nested too deep"),
        ("a = " + "{a=" * 100_000, ": nested too deep"),
        ("a = " + "9" * 5000, ": "),
        ("a = 0x" + "f" * 5000, ": a number is beyond 64 bits"),
        ("a = [{b = -9223372036854775809}]", ": a number is beyond 64 bits"),
        ("x = 1\n" + "a." * 100_000 + "b = 1", " at 'line 2': a key has more than 32 parts"),
        ("c = {" + '"a" . ' * 100_000 + "b = 1}", " at 'line 1': a key has more than 32 parts"),
        (r'"\"".a.' * 100_000 + "b = 1", " at 'line 1': a key has more than 32 parts"),
        ("[" + r'"\\". "\u0022\"\\" .' * 100_000 + "b]", " at 'line 1': a key has more than 32 parts"),
        ("[" + "a." * 100_000 + "b]", " at 'line 1': a key has more than 32 parts"),
    ],
)
def test_what_is_no_toml_and_what_its_parser_chokes_on_is_an_invalid_document(text: str, words: str) -> None:
    assert problem(text.encode("utf-8", "surrogatepass")).startswith(words)


def test_a_document_over_its_limit_is_refused_before_it_is_parsed() -> None:
    assert problem(b"[" * 11, 10) == ": it has 11 bytes, more than the 10 allowed"


def test_the_largest_numbers_and_long_texts_pass() -> None:
    text = f'a = [{2**63 - 1}, {-(2**63)}]\nb = "{"0" * 5000}"\nc = "{". " * 5000}"\n' + "d." * 31 + "d = 1\n"
    assert len(parse_toml(text.encode(), "x", 1 << 20)) == 4


@pytest.mark.parametrize(
    "line",
    [
        "a" * 500_000 + "." * 40,
        '"' * 500_000 + "." * 40,
        "a" * 30 + ".b" * 31 + "!" * 500_000,
        r'"\"".' * 40 + r'"\\\"' * 200_000,
    ],
)
def test_looking_for_long_keys_takes_no_time(line: str) -> None:
    started = time.monotonic()
    problem(f"# {line}\n= {line}".encode())
    assert time.monotonic() - started < 5

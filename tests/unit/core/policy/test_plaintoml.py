"""The TOML that a policy is written in, held against tomllib."""

from __future__ import annotations

import pytest
import tomllib
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mirror.core.errors import InvalidDocument
from mirror.core.policy.plaintoml import MAX_BYTES, parse_toml


def outcome(text: str) -> object:
    try:
        return parse_toml(text.encode("utf-8", "surrogatepass"), "policy.toml")
    except InvalidDocument as exc:
        return str(exc)


GOOD = """\
# a comment with "quotes" and ünïcode
top = "one"\t# behind a value
[licences]
allowed = [   # in an array
  "MIT", 'Apache-2.0'   ,

  # between two
  "BSD-3-Clause",
]
none = []
[ licences . deep ]
escaped = "a\\tb\\n\\"c\\" \\\\ \\u00e9 \\U0001F600"
literal = 'C:\\no\\escape'
empty = ""
[[waiver]]
count = -1_000
[waiver.more]
yes = true
[[waiver]]
no = false
zero = +0
[licences.deep.er]
[[licences.list]]
[[licences.list]]
x-Y_9 = 9223372036854775807
"""


def test_everything_that_it_knows_means_the_same_to_tomllib() -> None:
    assert outcome(GOOD) == tomllib.loads(GOOD)
    assert outcome(GOOD.replace("\n", "\r\n")) == tomllib.loads(GOOD)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a = 1\na = 2", 2, "a is there twice"),
        ("[a]\n[a]", 2, "a is there already"),
        ("[a]\n[[a]]", 2, "a is there already, and is no array of tables"),
        ("[[a]]\n[a]", 2, "a is there already"),
        ("a = []\n[[a]]", 2, "a is there already, and is no array of tables"),
        ("a = 1\n[a.b]", 2, "a has a value already and cannot be a table"),
        ("a = []\n[a.b]", 2, "a has a value already and cannot be a table"),
        ("a = 1\n\n[a]", 3, "a is there already"),
        ("[[a]", 1, "expected a table's name such as [licences] or [[waiver]]"),
        ("[a", 1, "expected a table's name"),
        ("[a] b", 1, "expected the end of the line or a comment, got 'b'"),
        ("a.b = 1", 1, "expected '=' after a, got '.b = 1'"),
        ("a", 1, "expected '=' after a, got the end of the line"),
        ('"a" = 1', 1, "expected a name of letters, digits, '-' and '_'"),
        ("a = ", 1, "expected a string, a whole number, true, false or an array of strings, got the end of the line"),
        ("a = 2026-12-31", 1, "expected a string, a whole number"),
        ("a = 1.5", 1, "expected a string, a whole number"),
        ("a = {}", 1, "expected a string, a whole number"),
        ("a = 007", 1, "expected a string, a whole number"),
        ("a = truely", 1, "expected a string, a whole number"),
        ("a = 9223372036854775808", 1, "the number is too large"),
        ("a = " + "9" * 5000, 1, "the number is too large"),
        ("a = [1]", 1, "expected a string or ']', got '1]': arrays hold strings only"),
        ("a = ['x' 'y']", 1, "expected ',' or ']', got \"'y']\""),
        ("a = [\n'x',\n\n", 4, "the array does not end"),
        ("a = [\n'x',\n[b]\n", 3, "arrays hold strings only"),
        ('a = "x', 1, "the string does not end on its line"),
        ("a = 'x\x01'", 1, "the string does not end on its line, or holds a control character"),
        ('a = """x"""', 1, "strings over several lines are not read here"),
        ('a = "\\q"', 1, "no such escape: \\q; write a backslash twice"),
        ('a = "\\ud800"', 1, "no such character: \\ud800"),
        ('a = "\\U00110000"', 1, "no such character"),
        ("# \x07", 1, "expected the end of the line or a comment"),
        ("a = 1\rb = 2", 1, "expected the end of the line or a comment"),
        ("\ufeffa = 1", 1, "expected a name"),
    ],
)
def test_what_it_does_not_read_is_refused_with_its_line(text: str, line: int, problem: str) -> None:
    said = outcome(text)
    assert isinstance(said, str) and said.startswith(f"policy.toml invalid at 'line {line}': ") and problem in said


def test_bytes_that_are_no_text_and_too_many_are_refused() -> None:
    with pytest.raises(InvalidDocument, match="'line 2': not UTF-8"):
        parse_toml(b"a = 1\nb = '\xff'", "policy.toml")
    with pytest.raises(InvalidDocument, match=f"more than the {MAX_BYTES} allowed"):
        parse_toml(b"#" * (MAX_BYTES + 1), "policy.toml")


PIECES = st.sampled_from(
    ["a", "b", "-", "_", "[", "]", "[[", "]]", "=", " = ", "\n", "\n", "\r\n", "\r", ".", ",", "#", '"', "'", "\\", "\\n",
     "\\u0041", "\\ud800", "1", "0", "+", "-1", "1_0", "_", "true", "false", " ", "\t", "\x00", "\x7f", "é", "\u2028", "{", "}",
     "1.0", "nan", '"""', "\'\'\'", "a = 1\n", "[a]\n", "[[a]]\n", "[a.b]\n", "[[a.b]]\n", "b = ['x', \"y\"]\n", "c = [\n",
     "2026-12-31", "0x1"]
)  # fmt: skip


@settings(max_examples=800, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=30))
@example("[a.b]\n[a]\n[a.c]\n")
@example("[[a]]\n[[a.b]]\n[a.b.c]\n[[a]]\n[a.b]\n")
@example("[a.b]\n[[a]]\n")
@example("[[a.b]]\n[a]\n[a.b.c]\n")
def test_whatever_is_accepted_means_the_same_to_tomllib(text: str) -> None:
    found = outcome(text)
    if not isinstance(found, str):
        assert found == tomllib.loads(text)


NAMES = st.text("ab-_0", min_size=1, max_size=3)
STRINGS = st.text(st.characters(codec="utf-8"), max_size=8)


def quoted(text: str) -> str:
    escaped = "".join(f"\\U{ord(letter):08x}" if ord(letter) < 32 or letter in '"\\\x7f' else letter for letter in text)
    return f'"{escaped}"'


VALUES = st.one_of(
    st.integers(-(1 << 63) + 1, (1 << 63) - 1).map(str),
    st.booleans().map(lambda value: str(value).lower()),
    STRINGS.map(quoted),
    st.lists(STRINGS.map(quoted), max_size=3).map(lambda values: "[ # all\n" + " ,\n".join(values) + "]"),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["[{}]", "[[{}]]", "[t.{}]"]), NAMES, st.dictionaries(NAMES, VALUES, max_size=3)),
        max_size=4,
    )
)
def test_a_document_of_these_parts_is_accepted_whenever_tomllib_does(
    tables: list[tuple[str, str, dict[str, str]]],
) -> None:
    lines = []
    for header, name, pairs in tables:
        lines += [header.format(name), *(f"{key} = {value}" for key, value in pairs.items())]
    text = "\n".join(lines)
    try:
        expected: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        expected = None
    found = outcome(text)
    assert isinstance(found, str) if expected is None else found == expected

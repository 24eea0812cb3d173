from __future__ import annotations

import pytest

from mirror.core.names import dotted_numbers, project_name, sha256_hex, stack_name, whole_number


@pytest.mark.group(38)
@pytest.mark.parametrize("text", ["Foo.Bar", "foo-bar", "foo_bar", "FOO-_.bar"])
def test_one_project_has_one_name(text: str) -> None:
    assert project_name(text) == "foo-bar"


@pytest.mark.parametrize("text", ["", "-a", "a-", "a b", "a/b", "ä", "a\n"])
def test_refuses_what_is_no_project_name(text: str) -> None:
    with pytest.raises(ValueError, match="expected a project name"):
        project_name(text)


@pytest.mark.parametrize("text", ["a" * 63, "A" * 64, "g" * 64, "a" * 65, "a" * 64 + "\n", ""])
def test_refuses_what_is_no_sha256(text: str) -> None:
    with pytest.raises(ValueError, match="expected 64 hex digits"):
        sha256_hex(text)


@pytest.mark.parametrize("text", ["..", ".hidden", "a/b", "", "x" * 65, "a\x00b", "h100."])
def test_refuses_a_stack_name_that_is_no_plain_directory(text: str) -> None:
    with pytest.raises(ValueError, match="expected a stack name"):
        stack_name(text)


def test_accepts_the_names_of_the_shipped_stacks() -> None:
    assert [stack_name(name) for name in ("h100", "h100-cu130", "quickstart")] == ["h100", "h100-cu130", "quickstart"]


@pytest.mark.group(11)
@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1), ("9" * 19, None), ("9" * 5000, None), ("\u00b2", None), ("\u0663", None),
     ("", None), ("-1", None), ("+1", None), ("1_0", None), (" 1", None), ("1\n", None)],
)  # fmt: skip
def test_a_number_is_at_most_18_ascii_digits(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_the_numbers_of_a_dotted_text_compare() -> None:
    assert dotted_numbers("570.124.06") == (570, 124, 6) > dotted_numbers("570.99")
    assert dotted_numbers("2.\u00b2." + "9" * 5000) == (2,)

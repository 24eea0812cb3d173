import pytest

from mirror.core.names import project_name, sha256_hex, stack_name


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

"""One name for a stack everywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirror.core.errors import Unreadable
from mirror.core.stackfiles import StackFiles, find_stack, own_name, target_names


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("")


@pytest.mark.parametrize(
    "word", ["h100", "lockfiles/h100", "lockfiles/h100.toml", "lockfiles/h100.txt", "lockfiles/h100.rpms.toml",
             "lockfiles/h100.build.txt", "./lockfiles/h100.files.txt"]
)  # fmt: skip
@pytest.mark.parametrize("there", ["h100.toml", "h100.txt"])
def test_a_name_and_a_path_to_any_of_its_files_mean_the_same(word: str, there: str) -> None:
    touch(f"lockfiles/{there}", "h100.toml")
    assert find_stack(word) == StackFiles(Path("lockfiles/h100.toml"), Path("lockfiles/h100.txt"))


def test_a_name_is_looked_for_in_lockfiles_and_then_here() -> None:
    touch("demo.toml")
    assert find_stack("demo").wishes == Path("demo.toml")
    touch("lockfiles/demo.txt")
    assert find_stack("demo").wishes == Path("lockfiles/demo.toml")


def test_a_name_may_have_dots() -> None:
    touch("lockfiles/h100-cu13.0.toml")
    assert find_stack("h100-cu13.0").lock == Path("lockfiles/h100-cu13.0.txt")


@pytest.mark.parametrize("name", ["demo.build", "demo.rpms", "h100-cu13.0.files"])
def test_a_stack_is_not_called_as_a_lock_of_another_is(name: str) -> None:
    other, _, ending = name.rpartition(".")
    with pytest.raises(
        ValueError, match=rf"no stack's name ends in \.{ending}: {name}\.\* would be locks of {other}, too"
    ):
        own_name(name)
    assert own_name(other) == other and own_name(ending) == ending


def test_a_pylock_stands_in_for_the_lock() -> None:
    touch("lockfiles/demo.toml", "lockfiles/pylock.demo.toml", "pylock.toml")
    assert find_stack("demo").lock == Path("lockfiles/pylock.demo.toml")
    assert find_stack("lockfiles/pylock.demo.toml").wishes == Path("lockfiles/demo.toml")
    assert find_stack("pylock.toml").lock == Path("pylock.toml")


def test_a_lock_of_another_tool_may_have_any_name() -> None:
    Path("req.lock").write_text("")
    Path("locked.toml").write_text('lock-version = "1.0"\n')
    assert find_stack("req.lock").lock == Path("req.lock")
    assert find_stack("locked.toml").lock == Path("locked.toml")


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("h10", "cannot read h10: there is no h10.toml in lockfiles/ and none in this directory; did you mean h100?"),
        ("zzz", "cannot read zzz: there is no zzz.toml in lockfiles/ and none in this directory"),
        ("lockfiles/h10.txt", "cannot read lockfiles/h10.txt: there is no h10.toml in lockfiles; did you mean h100?"),
        ("nowhere/h100", "cannot read nowhere/h100: there is no directory nowhere"),
    ],
)
def test_a_stack_that_is_not_there_is_refused_with_both_places_and_what_is_near(word: str, sentence: str) -> None:
    touch("lockfiles/h100.toml", "lockfiles/h100.rpms.toml", "requirements.txt")
    with pytest.raises(Unreadable) as caught:
        find_stack(word)
    assert str(caught.value) == sentence
    assert "mirror init NAME" in caught.value.hint


@pytest.mark.parametrize("word", ["h100", "lockfiles/h100.toml", "lockfiles/h100.txt"])
@pytest.mark.parametrize("has_lock", [True, False])
def test_a_pipe_in_the_place_of_a_stacks_file_is_named_and_not_waited_for(word: str, has_lock: bool) -> None:
    touch("lockfiles/other.toml", *(["lockfiles/h100.txt"] if has_lock else []))
    os.mkfifo("lockfiles/h100.toml")
    with pytest.raises(Unreadable) as caught:
        find_stack(word)
    assert str(caught.value) == "cannot read lockfiles/h100.toml: not a regular file"
    with pytest.raises(Unreadable, match="there is no h10"):
        find_stack("h10")
    assert target_names(Path("lockfiles/h100.toml")) == ()


@pytest.mark.parametrize("word", [".", "..", "/", "lockfiles", "lockfiles/"])
def test_a_directory_is_no_stack(word: str) -> None:
    touch("lockfiles/h100.toml")
    with pytest.raises(Unreadable):
        find_stack(word)

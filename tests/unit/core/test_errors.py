"""An error's sentence is a template over what it has."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mirror.core.errors import InvalidDocument, MirrorError, Unwritable, reading, writing


class Unfit(MirrorError):
    """Several things do not fit."""

    ref = "unfit"
    exit_code = 7
    message = "{place} does not fit: {issues:first}; of {kinds}; {kinds: and }; {issues[0]!r} at {place:>3}"

    path: str
    issues: tuple[str, ...]
    kinds: tuple[str, ...] = ("a", "b")

    @property
    def place(self) -> str:
        return self.path.upper()


class Stepped(MirrorError):
    """It has a step for whoever has none of their own."""

    hint: str = "Go on."


def test_a_sentence_names_the_first_of_several_and_joins_others() -> None:
    assert str(Unfit("x", ("one", "two", "three"))) == (
        "X does not fit: one (and 2 more); of a, b; a and b; 'one' at   X"
    )
    assert str(Unfit("x", ("one",), ("a",))) == "X does not fit: one; of a; a; 'one' at   X"


class Told(MirrorError):
    """Words round what is there, and others in place of what is not."""

    ref = "told"
    message = "{name:|a file}{note: (%s)} of {at:utc} by {digits:grouped} has {known:only %s|nothing}{known:more}"

    name: str
    note: str
    at: int
    digits: str
    known: tuple[str, ...]


def test_a_sentence_has_words_round_what_is_there_and_others_for_what_is_not() -> None:
    assert str(Told("", "", 0, "0011aabb", ())) == "a file of 1970-01-01T00:00:00Z by 0011 aabb has nothing"
    assert str(Told("x", "100 %s", 0, "a key", ("b", "c"))) == (
        "x (100 %s) of 1970-01-01T00:00:00Z by a key has only b, c (and 1 more)"
    )


def test_an_error_is_made_of_its_data_alone() -> None:
    with pytest.raises(TypeError, match="Unfit takes path, issues, kinds; got"):
        Unfit("x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Unfit takes"):
        Unfit("x", ("one",), places=1)  # type: ignore[call-arg]


def test_an_error_that_is_given_no_step_has_the_one_of_its_class() -> None:
    assert Stepped("").hint == "Go on."
    assert Stepped("Wait.").hint == pickle.loads(pickle.dumps(Stepped("Wait."))).hint == "Wait."


def test_an_error_is_itself_again_after_a_pipe() -> None:
    error = InvalidDocument("Manifest", "artifacts[3]", "missing")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "Manifest invalid at 'artifacts[3]': missing"
    assert again.where == "artifacts[3]"


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (errno.ENOSPC, "'df -i'"),
        (errno.ENOENT, "Make the directory first"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "room"),
    ],
)
def test_the_step_after_a_failed_write_hangs_on_what_the_system_says(number: int, step: str, tmp_path: Path) -> None:
    with pytest.raises(Unwritable) as caught, writing(tmp_path):
        raise OSError(number, os.strerror(number))
    assert step in caught.value.hint and caught.value.hint.endswith(", or name another place.")
    assert caught.value.advised("Wait.").hint == "Wait."


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("manager", [reading, writing])
def test_too_many_open_files_are_no_matter_of_room_or_of_permissions(
    manager: Callable[[str], AbstractContextManager[None]], number: int
) -> None:
    with pytest.raises(MirrorError) as caught, manager("x"):
        raise OSError(number, os.strerror(number))
    assert "'ulimit -n' shows how many files" in caught.value.hint

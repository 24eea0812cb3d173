from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirror.core.system.home import NoHome, expand_home, home_directory, user_directory


def test_home_is_where_HOME_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: N802
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_directory() == tmp_path
    assert expand_home(Path("~/a/b")) == tmp_path / "a/b"


@pytest.mark.parametrize("path", ["", ".", "a", "/a/~", "a/~/b"])
def test_a_path_without_a_leading_tilde_stays_as_it_is(path: str) -> None:
    assert expand_home(Path(path)) == Path(path)


@pytest.mark.parametrize("home", ["here", ""])
def test_a_home_that_is_empty_or_relative_is_none(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    with pytest.raises(NoHome) as caught:
        home_directory()
    assert str(caught.value) == f"user id {os.getuid()} has no home directory: HOME is {home!r}"


def test_what_a_variable_names_stands_in_for_a_directory_of_the_home_unless_it_is_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_directory("XDG_CACHE_HOME", ".cache", {"XDG_CACHE_HOME": "/c"}) == Path("/c")
    assert user_directory("XDG_CACHE_HOME", ".cache", {"XDG_CACHE_HOME": "c"}) == tmp_path / ".cache"
    assert user_directory("XDG_CACHE_HOME", ".cache", {}) == tmp_path / ".cache"


def test_the_home_of_a_user_who_does_not_exist_is_named() -> None:
    with pytest.raises(NoHome) as caught:
        expand_home(Path("~nosuchuser/x"))
    assert str(caught.value) == "~nosuchuser is nobody's home directory on this host"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another user id")
def test_a_user_id_that_nobody_has_and_no_HOME_is_no_home(monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: N802
    monkeypatch.delenv("HOME")
    before = os.getresuid()
    os.setresuid(54321, -1, -1)  # the real one only: that is the one that a home is looked up by
    try:
        with pytest.raises(NoHome, match="user id 54321 has no home directory: HOME is 'not set'"):
            home_directory()
    finally:
        os.setresuid(*before)

"""Directories for temporary files: nobody else can exchange what lies there."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from mirror.core.errors import Unwritable
from mirror.core.trust.scratch import ExposedTemporary, scratch_directory

pytestmark = pytest.mark.group(67)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_it_is_made_for_this_user_alone_and_removed(temporary: Path) -> None:
    temporary.chmod(0o1777)
    with scratch_directory("mirror-") as directory:
        assert directory.parent == temporary and directory.stat().st_mode & 0o777 == 0o700
        (directory / "file").touch()
    assert list(temporary.iterdir()) == []


def test_where_all_may_write_without_a_sticky_bit_nothing_is_put(temporary: Path) -> None:
    temporary.chmod(0o777)
    with pytest.raises(ExposedTemporary) as caught, scratch_directory("mirror-"):
        pytest.fail("it was used")
    assert str(caught.value) == (
        f"{temporary} may be written by every user: what lies in temporary files below it could be exchanged while it is used"
    )
    assert caught.value.hint.startswith("Set TMPDIR to a directory of your own")
    assert list(temporary.iterdir()) == []


def test_without_any_place_for_it_that_is_said(temporary: Path) -> None:
    temporary.rmdir()
    with pytest.raises(Unwritable) as caught, scratch_directory("mirror-"):
        pytest.fail("it was used")
    assert str(caught.value) == (
        "cannot write a temporary directory in the one that TMPDIR names, or else in /tmp: No such file or directory"
    )

"""The room of a build: it is gone when the build is, whatever ended that, and somebody is told where that takes a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.building.workshop import Workshop
from tests.support.progress import Heard


def large(directory: Path) -> None:
    """As large as a build with torch to whoever asks, and nothing on the disk."""
    directory.mkdir(exist_ok=True)
    with open(directory / "libtorch_cuda.so", "wb") as stream:
        stream.truncate(3 << 30)


def test_removing_gigabytes_is_said_before_it_is_done(tmp_path: Path) -> None:
    spoken, path = Heard(), tmp_path / "0123"
    with pytest.raises(KeyboardInterrupt), Workshop(path, spoken):
        large(path)
        raise KeyboardInterrupt
    assert spoken.lines == [f"removing {path}, where a build was (3.00 GiB)"]
    with Workshop(path, spoken) as room:
        room.source.joinpath("a.c").write_text("")
    assert not path.exists() and len(spoken.lines) == 1


def test_what_killed_builds_left_goes_and_what_others_are_in_stays(tmp_path: Path) -> None:
    left, spoken = tmp_path / "4567", Heard()
    with Workshop(tmp_path / "89ab") as other:
        large(left)
        with Workshop(tmp_path / "0123", spoken):
            assert other.source.is_dir() and not left.exists()
    assert spoken.lines == [f"removing {left}, where a build was (3.00 GiB)"]

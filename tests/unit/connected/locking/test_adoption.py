from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.locking.adoption import adopted
from mirror.connected.toolchain.repository import RepositoryUnreachable
from mirror.core.errors import Unreadable
from tests.unit.connected.stack.test_host import TOML
from tests.unit.core.targets.test_detected import HOST


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    (tmp_path / "target.toml").write_bytes(HOST.encode())
    path = tmp_path / "demo.toml"
    path.write_text(TOML)
    return path


def test_what_fails_afterwards_leaves_the_file_as_it_was(toml: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), adopted(toml, tmp_path / "target.toml"):
        assert toml.read_text() != TOML
        raise KeyboardInterrupt
    assert toml.read_text() == TOML


def test_a_toolchain_out_of_reach_leaves_the_new_target_which_the_python_side_is_locked_for(
    toml: Path, tmp_path: Path
) -> None:
    with pytest.raises(RepositoryUnreachable), adopted(toml, tmp_path / "target.toml"):
        raise RepositoryUnreachable("example.org", "repodata/repomd.xml", "no route")
    assert 'glibc = "2.34"' in toml.read_text()


def test_what_changed_is_told(toml: Path, tmp_path: Path) -> None:
    with adopted(toml, tmp_path / "target.toml") as told:
        assert told == tuple(
            f"[target] of demo.toml changed: {one}"
            for one in ("python 3.8 -> 3.11", "glibc 2.17 -> 2.34", "gpu (none) -> sm_90a")
        )
    with adopted(toml, tmp_path / "target.toml") as told:
        assert told == ()


def test_a_file_that_is_not_there_is_named(toml: Path, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"none\.toml"), adopted(tmp_path / "none.toml", tmp_path / "target.toml"):
        pass

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.locking.adoption import ForOneOfSeveral, adopted
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
        *changes, left_out = told
        assert changes == [
            f"[target] of demo.toml changed: {one}"
            for one in ("python 3.8 -> 3.11", "glibc 2.17 -> 2.34", "gpu (none) -> sm_90a")
        ]
        assert left_out.startswith("hosts with a glibc older than 2.34 are left out from now on: ")
    toml.write_text(toml.read_text().replace('"2.34"', '"2.40"'))
    with adopted(toml, tmp_path / "target.toml") as told:
        assert told == ("[target] of demo.toml changed: glibc 2.40 -> 2.34",)
    with adopted(toml, tmp_path / "target.toml") as told:
        assert told == ()


def test_of_one_target_among_several_it_is_told_what_to_write_and_nothing_is_changed(
    toml: Path, tmp_path: Path
) -> None:
    toml.write_text(several := TOML + "\n[targets.a]\n[targets.b]\n")
    one = toml.with_name("demo.a.toml")
    with pytest.raises(ForOneOfSeveral) as caught, adopted(one, tmp_path / "target.toml"):
        pass
    values = ('python = "3.11"', 'glibc = "2.34"', 'gpu = "sm_90a"')
    assert str(caught.value) == (
        f"demo.toml is for several targets, and is not changed for one: [targets.a] has to say {', '.join(values)}"
    )
    assert caught.value.hint == "Write that into [targets.a], and lock it without a host's file."
    assert toml.read_text() == several
    toml.write_text(several.replace("[targets.a]\n", "\n".join(("[targets.a]", *values, ""))))
    with adopted(one, tmp_path / "target.toml") as told:
        assert told == ()


def test_a_file_that_is_not_there_is_named(toml: Path, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"none\.toml"), adopted(tmp_path / "none.toml", tmp_path / "target.toml"):
        pass

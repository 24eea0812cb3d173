"""A claim: one run at a time has a directory, and what a killed one left in it goes."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mirror.connected.fetching.claim import claimed, sweep

KILLED = """
import os, sys
from pathlib import Path
from mirror.connected.fetching.claim import claimed
with claimed(path := Path(sys.argv[1])):
    path.mkdir()
    (path / "left").write_bytes(b"x")
    os.kill(os.getpid(), 9)
"""


def killed(path: Path) -> None:
    """A run that dies with the directory in its hands."""
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)]).returncode == -signal.SIGKILL
    assert (path / "left").exists() and path.with_suffix(".lock").exists()


def test_nothing_is_left_of_a_claim_that_ended_whatever_ended_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path / "a"):
        (tmp_path / "a").mkdir()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_gone_when_the_same_directory_is_claimed(tmp_path: Path) -> None:
    killed(tmp_path / "a")
    with claimed(tmp_path / "a"):
        assert not (tmp_path / "a").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_takes_what_nobody_holds_and_is_told_before_it_goes(tmp_path: Path) -> None:
    killed(tmp_path / "a")
    (tmp_path / "unlocked/below").mkdir(parents=True)
    removed: list[Path] = []
    with claimed(tmp_path / "held"):
        (tmp_path / "held").mkdir()
        sweep(tmp_path, removed.append)
        assert removed == [tmp_path / "a", tmp_path / "unlocked"]
        sweep(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["held", "held.lock"]


def test_a_sweep_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/precious").write_bytes(b"x")
    top = tmp_path / "top"
    top.mkdir()
    (top / "link").symlink_to(tmp_path / "home")
    (top / "link.lock").touch()
    (top / "other.lock").symlink_to(tmp_path / "home/precious")
    (top / "file").write_bytes(b"x")
    sweep(top)
    assert (tmp_path / "home/precious").read_bytes() == b"x"
    assert sorted(path.name for path in top.iterdir()) == ["file", "link", "other.lock"]


def test_whoever_waits_for_a_directory_gets_it_alone_though_its_lock_goes_with_each_claim(tmp_path: Path) -> None:
    inside: list[int] = []

    def work(number: int) -> None:
        with claimed(tmp_path / "a"):
            (tmp_path / "a").mkdir()
            inside.append(number)
            assert inside == [number]
            inside.remove(number)
        sweep(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(400)))
    assert list(tmp_path.iterdir()) == []

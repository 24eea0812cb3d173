"""Looking inside while others are fetched: what is found is there for whoever asks, and nothing else comes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.connected.contents.arriving import looking_inside
from mirror.connected.contents.inside import Contents
from mirror.connected.contents.inspection import Task, inspect
from mirror.connected.fetching.store import Store
from mirror.core.errors import Unreadable
from mirror.core.names import Sha256Hex
from mirror.core.progress import Advance
from tests.support.wheels import make_wheel, sha256_of


@pytest.fixture
def task(tmp_path: Path) -> Task:
    wheel = make_wheel(tmp_path, "alpha", "1.0")
    return Task.of_wheel("wheels/alpha-1.0-py3-none-any.whl", wheel, Sha256Hex(sha256_of(wheel)))


def never(scratch: Path, advance: Advance) -> Contents:
    raise AssertionError("it is read again")


def test_what_arrived_is_not_read_again(tmp_path: Path, task: Task) -> None:
    store = Store(tmp_path / "store")
    expected = inspect([task], Store(tmp_path / "other"))
    with looking_inside(store) as arrived:
        arrived(replace(task, path=""))
    with looking_inside(store) as arrived:
        arrived(replace(task, read=never))
    assert inspect([replace(task, read=never)], store) == expected
    assert list((store.root / "scratch").iterdir()) == []


def failing(error: Exception) -> Callable[[Path, Advance], Contents]:
    def read(scratch: Path, advance: Advance) -> Contents:
        raise error

    return read


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), Unreadable("alpha", "gone"), ValueError("a bug")])
def test_what_goes_wrong_is_told_by_whoever_asks_for_it(tmp_path: Path, task: Task, error: Exception) -> None:
    store = Store(tmp_path / "store")
    with looking_inside(store) as arrived:
        arrived(replace(task, read=failing(error)))
    with pytest.raises(Unreadable if isinstance(error, OSError) else type(error)):
        inspect([replace(task, read=failing(error))], store)


def test_where_nothing_is_believed_nothing_is_looked_into(tmp_path: Path, task: Task) -> None:
    store = Store(tmp_path / "store")
    store.root.mkdir()
    store.root.chmod(0o777)
    with looking_inside(store) as arrived:
        arrived(replace(task, read=never))
    assert not list(store.root.iterdir())


def test_what_is_broken_off_ends_and_what_waits_does_not_begin(tmp_path: Path, task: Task) -> None:
    """As many are read as there are processors, each without end; more wait behind them."""
    store, begun, over = Store(tmp_path / "store"), threading.Event(), threading.Event()
    reads: list[Path] = []

    def endless(scratch: Path, advance: Advance) -> Contents:
        reads.append(scratch)
        begun.set()
        while not over.wait(0.01):
            advance(1)
        raise AssertionError("nobody told it")

    with pytest.raises(KeyboardInterrupt), looking_inside(store) as arrived:
        for number in range(100):
            arrived(replace(task, depends=str(number), read=endless))
        begun.wait()
        raise KeyboardInterrupt
    over.set()
    assert 0 < len(reads) < 100
    assert list((store.root / "scratch").iterdir()) == []
    assert not (store.root / "facts").exists()

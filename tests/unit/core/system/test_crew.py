"""mirror.core.system.crew: threads that end together."""

from __future__ import annotations

import threading
import time

import pytest

from mirror.core.errors import MirrorError
from mirror.core.system import crew as module
from mirror.core.system.crew import Crew, Stopped, abandoned, may_go_on, pause


def test_a_crew_that_succeeds_does_all_that_it_was_given() -> None:
    with Crew(2) as crew:
        assert list(crew.map(lambda number: number * 2, range(9))) == [*range(0, 18, 2)]
    assert not abandoned()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MirrorError, Stopped])
def test_when_it_fails_what_waits_is_not_begun_and_what_runs_ends(error: type[BaseException]) -> None:
    begun, ended = [], []

    def read(number: int) -> None:
        begun.append(number)
        try:
            while True:
                may_go_on()
                time.sleep(0.001)
        except MirrorError:
            raise AssertionError("it goes on") from None
        except Exception:  # noqa: BLE001  # the widest handler that goes on
            raise AssertionError("nothing that goes on keeps it") from None
        except Stopped:
            ended.append(number)
            raise

    since = time.monotonic()
    with pytest.raises(error), Crew(2) as crew:
        for number in range(50):
            crew.submit(read, number)
        while len(begun) < 2:
            time.sleep(0.001)
        raise error
    assert time.monotonic() - since < 10
    assert sorted(begun) == sorted(ended) == [0, 1]


def test_a_pause_ends_with_the_crew() -> None:
    since = time.monotonic()
    with pytest.raises(KeyError), Crew(1) as crew:
        waiting = crew.submit(pause, 600)
        raise KeyError
    assert isinstance(waiting.exception() if not waiting.cancelled() else Stopped(), Stopped)
    assert time.monotonic() - since < 10


def test_who_hangs_is_left_behind_and_the_others_are_not_waited_for_any_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE_S", 0.05)
    begun, server = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        server.wait(30)

    with pytest.raises(KeyError), Crew(1) as crew:
        crew.submit(hang)
        begun.wait(30)
        raise KeyError
    assert abandoned()
    server.set()
    for _ in range(1000):
        if not abandoned():
            break
        time.sleep(0.01)
    assert not abandoned()


def test_in_no_crew_nothing_stops() -> None:
    may_go_on()
    pause(0)

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from mirror.core.system.signals import held_signals


@pytest.fixture
def heard() -> Iterator[list[int]]:
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


def test_a_signal_waits_for_the_end_of_the_block(heard: list[int]) -> None:
    with held_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == []
    assert heard == [signal.SIGTERM]
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM] * 2


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held_signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_failure_inside_is_told_and_the_handlers_are_back(heard: list[int]) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(OSError, match="nothing"), held_signals():
        raise OSError("nothing")
    assert signal.getsignal(signal.SIGTERM) is handler

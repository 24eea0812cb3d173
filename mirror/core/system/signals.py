"""Signals: how they wait while something must not be cut in two.

It holds one context manager. ``mirror.cli.failure`` decides what a signal does.

Rule: a program that gets a process group of its own is started inside: a signal between its start and our knowing its
number would leave it running.

Example::

    process = None
    try:
        with held_signals():
            process = subprocess.Popen(command, start_new_session=True)
        process.wait()
    finally:
        ...  # here process is known whenever a program runs
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

_THAT_END_US = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def held_signals() -> Iterator[None]:
    """Let the signals that end us wait for the end of the block, and deliver them there.

    A program started inside begins with the default of each of them, or ignores what we ignore, as without the block.
    Outside of the main thread it does nothing: Python runs no handler there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    before = {number: signal.getsignal(number) for number in _THAT_END_US}
    held = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    try:
        for number in held:
            signal.signal(number, lambda number, _: waiting.append(number))
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
    for late in waiting:
        signal.raise_signal(late)

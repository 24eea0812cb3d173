"""Threads that work at the same time, and end together.

A pool of the standard library does all that was handed to it before it lets an error, or Ctrl-C, out. A crew does not: what
waits is not begun, and what runs ends where it next asks whether it ``may_go_on``, which is asked wherever bytes are read.

Rules: when the block of a crew fails, its threads are waited for, but not for long: who hangs in a server's silence is left
behind, and the process ends without it (``abandoned``); ``Stopped`` is nobody's failure and is told to nobody: what stopped
the crew is; it is no ``Exception``, so that no handler that goes on keeps it.

Example::

    with Crew(4) as crew:
        digests = list(crew.map(digest_of, paths))
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

_GRACE_S = 2.0


class Stopped(BaseException):
    """The rest of the crew has failed or was interrupted: what this thread does is of no use any more."""


class Crew(ThreadPoolExecutor):
    """Threads, for the length of a block.

    Args:
        threads: how many; as many as the standard library thinks fit when None.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._stop = threading.Event()
        self._members: list[threading.Thread] = []
        super().__init__(threads, initializer=self._enter)

    def _enter(self) -> None:
        _own.stop = self._stop
        self._members.append(threading.current_thread())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.shutdown()
            return
        self._stop.set()
        self.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + _GRACE_S
        for member in tuple(self._members):
            member.join(max(0.0, until - time.monotonic()))
            if member.is_alive():
                _left.append(member)


_own = threading.local()
_left: list[threading.Thread] = []


def may_go_on() -> None:
    """Raises ``Stopped`` in a thread whose crew ends; does nothing in any other."""
    stop: threading.Event | None = getattr(_own, "stop", None)
    if stop is not None and stop.is_set():
        raise Stopped


def pause(seconds: float) -> None:
    """Sleep. Raises ``Stopped`` as soon as the crew of this thread ends."""
    stop: threading.Event | None = getattr(_own, "stop", None)
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        raise Stopped


def abandoned() -> bool:
    """Whether a thread that was left behind still runs: the interpreter would wait for it."""
    return any(thread.is_alive() for thread in _left)

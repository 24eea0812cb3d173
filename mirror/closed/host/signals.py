"""Being between a program and whoever stops it.

Example::

    with passing_on(lambda: process):
        process.wait()
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Callable, Optional


@contextmanager
def passing_on(whose: Callable[[], Optional[subprocess.Popen[bytes]]]) -> Iterator[None]:
    """Hand a request to end to the program, and stay to tell what it did. Ctrl-C reaches it from the terminal itself.

    Args:
        whose: the program, once it was started. In another thread than the main one nothing is handed on.
    """

    def hand_on(number: int, _: Optional[FrameType]) -> None:
        process = whose()
        if process is not None and number != signal.SIGINT:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Where the process of a command begins and ends: Ctrl-C gives no traceback at any moment of it.

Rules: before there is anything to tell and after all is told, Ctrl-C ends the process as it ends any program that knows nothing
of it, without a word; in between ``mirror.cli.main`` answers it. Who ignores it (``nohup``, a job of a script's background)
goes on ignoring it. Nobody waits for a thread that was left behind (``mirror.core.system.crew``).

Example::

    start()     # all that a program's script does
"""

from __future__ import annotations

import sys

# The module around it costs 5 ms, for its enumerations.
from _signal import (  # type: ignore[import-not-found]
    SIG_DFL,
    SIG_IGN,
    SIGINT,
    default_int_handler,
    getsignal,
    signal,
)

TYPE_CHECKING = False  # as in mirror.cli.main
if TYPE_CHECKING:
    from typing import NoReturn


def start() -> NoReturn:
    """Run the command that the process was started with, and end the process."""
    answers = getsignal(SIGINT) != SIG_IGN
    if answers:
        signal(SIGINT, SIG_DFL)
    from mirror.cli.main import main

    code = 130
    try:
        if answers:
            signal(SIGINT, default_int_handler)
        code = main()
    except KeyboardInterrupt:  # before main is there to answer it, or just after
        pass
    finally:
        if answers:
            signal(SIGINT, SIG_DFL)
    crew = sys.modules.get("mirror.core.system.crew")
    if crew and crew.abandoned():
        import os

        os._exit(code)  # all is written: main flushes what it has said
    sys.exit(code)


if __name__ == "__main__":
    start()

"""Long text on a terminal goes through the reader's pager; anywhere else it is printed."""

from __future__ import annotations

import os
import sys

from mirror.cli.terminal import is_terminal


def show(text: str) -> int:
    """Show a text, and return 0.

    The pager is ``$PAGER``, or ``less``; where there is none, or the text fits the screen, it is printed.
    """
    if is_terminal(sys.stdout) and sys.stdin.isatty() and text.count("\n") >= _lines():
        import shlex
        import subprocess

        command = shlex.split(os.environ.get("PAGER") or "less")
        sys.stdout.flush()
        try:
            subprocess.run(command, input=text.encode(), env={"LESS": "FRX", **os.environ}, check=False)
            return 0
        except OSError:  # there is none
            pass
    sys.stdout.write(text)
    sys.stdout.flush()
    return 0


def _lines() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).lines
    except (OSError, ValueError):
        return 24

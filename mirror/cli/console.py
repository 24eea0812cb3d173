"""What a person sees while mirror works: bars on a terminal, plain lines elsewhere; always on stderr.

One implementation for both sides of the gap, so it stays within the standard library.

Example::

    progress = Console()
    with progress.task("fetch", total=size) as advance: ...
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from mirror.core.progress import Advance
from mirror.core.sizes import human_bytes as human_bytes
from mirror.review.markup import visible

_REDRAW_S = 0.1


def print_json(document: Mapping[str, Any]) -> None:
    """A result for machines, on stdout."""
    print(json.dumps(document, indent=2))


def shown(words: str) -> str:
    """Words of a bundle, a statement or a dump, for a terminal: nothing in them moves the cursor or begins a line of ours."""
    return visible(words).replace("\n", "\n             ")


class Console:
    """A ``mirror.core.progress.Progress`` for people."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._draws = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._lock = threading.Lock()

    def say(self, line: str) -> None:
        with self._lock:
            print(("\r\033[K" if self._draws else "") + line, file=self._stream, flush=True)

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "B") -> Iterator[Advance]:
        done, drawn, started = 0, 0.0, time.monotonic()

        def advance(amount: int) -> None:
            nonlocal done, drawn
            with self._lock:
                done += amount
                now = time.monotonic()
                if self._draws and now - drawn >= _REDRAW_S:
                    drawn = now
                    self._stream.write("\r\033[K" + self._bar(label, done, total, unit, now - started))
                    self._stream.flush()

        yield advance
        if total != 0:
            self.say(self._summary(label, done, unit, time.monotonic() - started))

    def _bar(self, label: str, done: int, total: int | None, unit: str, seconds: float) -> str:
        rate = f"{human_bytes(done / seconds)}/s" if unit == "B" and seconds > 0 else ""
        if not total:
            return f"{label:<10} {_amount(done, unit)} {rate}"
        cells = min(24, 24 * done // total)
        return f"{label:<10} [{'#' * cells:<24}] {_amount(done, unit)} of {_amount(total, unit)} {rate}"

    def _summary(self, label: str, done: int, unit: str, seconds: float) -> str:
        return f"{label:<10} {_amount(done, unit)} in {seconds:.1f} s"


def _amount(count: int, unit: str) -> str:
    return human_bytes(count) if unit == "B" else f"{count} {unit}"

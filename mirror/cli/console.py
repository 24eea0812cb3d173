"""What a person sees while mirror works: a bar on a terminal, plain lines elsewhere; always on stderr.

One implementation for both sides of the gap, so it stays within the standard library.

Rules: long work shows itself within a second, and goes on showing that time passes; the last line of a terminal belongs to it
and is left clean, the cursor at its beginning, so that a result may be printed at any moment; no line is wider than the
terminal. ``--quiet`` says nothing; ``--verbose`` says when each step begins, and the seconds since the first.

Example::

    progress = Console()
    with progress.task("fetch", total=size) as advance: ...
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Callable, Optional, TextIO

from mirror.cli.caller import spoken
from mirror.cli.document import print_json as print_json
from mirror.cli.prose import item
from mirror.cli.terminal import FAINT, GOOD, columns, is_terminal, paint, paint_label
from mirror.cli.terminal import WARNING as YELLOW
from mirror.core.progress import Advance
from mirror.core.words import human_bytes as human_bytes
from mirror.review.markup import visible

_REDRAW_S = 0.1
_TICK_S = 0.5
_QUIET, _NORMAL, _VERBOSE = range(3)
_loudness = _NORMAL


def talk(*, quiet: bool, verbose: bool) -> None:
    """How much is said from here on, by every console of this process."""
    global _loudness
    _loudness = _QUIET if quiet else _VERBOSE if verbose else _NORMAL


def is_verbose() -> bool:
    """Whether somebody asked for more."""
    return _loudness == _VERBOSE


def shown(words: str) -> str:
    """Words of a bundle, a statement or a dump, for a terminal: nothing in them moves the cursor or begins a line of ours."""
    return visible(words).replace("\n", "\n             ")


def out(text: str = "") -> None:
    """A result for people, on stdout. On a terminal a sentence that is too long goes on below, between two words; what is
    indented or in columns will be copied or compared, and stays as it is."""
    if is_terminal(sys.stdout):
        text = "\n".join(map(_folded, text.split("\n")))
    print(text)


def tell(args: argparse.Namespace, facts: Mapping[str, Any], lines: Iterable[str], shape: str = "") -> None:
    """A result: for machines where ``--json`` was given, else for people, line by line."""
    if args.json:
        print_json(facts, shape)
    else:
        out("\n".join(lines))


def _folded(line: str) -> str:
    wide = columns(sys.stdout)
    if len(line) >= wide and not line.startswith(" ") and "  " not in line:
        line = item("", line, wide - 1)
    for label, colour in (("note:", YELLOW), ("ok:", GOOD)):
        if line.startswith(label):
            line = paint_label(line, colour, sys.stdout)
    return line


class _StatusLine:
    """The last line of the terminal: what is going on, drawn again as time passes. There is one, whoever draws on it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._show: Optional[Callable[[], str]] = None
        self._stream: TextIO = sys.stderr
        self._drawn = 0.0
        self._clock: Optional[threading.Thread] = None

    def hold(self, stream: TextIO, show: Callable[[], str], now: bool) -> None:
        """Show this until ``clear``; at once, or when the clock ticks next."""
        with self.lock:
            self._stream, self._show, self._drawn = stream, show, 0.0
            if self._clock is None:
                self._clock = threading.Thread(target=self._tick, daemon=True)
                self._clock.start()
            if now:
                self.draw()
                self._drawn = 0.0  # the first news is shown when it comes

    def draw(self) -> None:
        """Draw it again, if the last time is long enough ago."""
        with self.lock:
            now = time.monotonic()
            if self._show and now - self._drawn >= _REDRAW_S:
                self._drawn = now
                # The cursor goes back to the beginning: whatever is printed next, by whomever, writes over this line.
                self._stream.write(f"\r\033[K{self._show()[: columns(self._stream) - 1]}\r")
                self._stream.flush()

    def clear(self) -> None:
        """Nothing is going on."""
        with self.lock:
            if self._show and not self._stream.closed:
                self._stream.write("\r\033[K")
                self._stream.flush()
            self._show = None

    def _tick(self) -> None:
        while True:
            time.sleep(_TICK_S)
            try:
                self.draw()
            except (OSError, ValueError):  # the terminal is gone, or the stream is closed: there is nobody to draw for
                self._show = None


_status = _StatusLine()


def rest() -> None:
    """The work has ended: the terminal's last line is free."""
    _status.clear()


class Console:
    """A ``mirror.core.progress.Progress`` for people."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._draws = is_terminal(self._stream)
        self._began = time.monotonic()

    def say(self, line: str) -> None:
        """One line; on a terminal the seconds that pass after it are shown until the next one."""
        if _loudness == _QUIET:
            return
        self._print(spoken(line))
        if self._draws:
            since = time.monotonic()
            _status.hold(self._stream, lambda: f"  ... {time.monotonic() - since:.0f} s", now=False)

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "B") -> Iterator[Advance]:
        """Show how far something is."""
        done, started = 0, time.monotonic()
        lock = threading.Lock()

        def line() -> str:
            return self._bar(label, done, total, unit, time.monotonic() - started)

        def advance(amount: int) -> None:
            nonlocal done
            with lock:
                done += amount
            if shows:
                _status.draw()

        shows = self._draws and _loudness != _QUIET and total != 0
        if shows:
            _status.hold(self._stream, line, now=True)
        elif _loudness == _VERBOSE and total != 0:
            self._print(f"{label:<10} begins" + (f", {_amount(total, unit)}" if total else ""))
        try:
            yield advance
        except BaseException:
            rest()
            raise
        if total != 0 and _loudness != _QUIET:
            self._print(f"{label:<10} {_amount(done, unit)} in {time.monotonic() - started:.1f} s")

    def _print(self, line: str) -> None:
        stamp = f"{time.monotonic() - self._began:7.1f} s  " if _loudness == _VERBOSE else ""
        if self._draws:
            line = "\n".join(self._fitted(one) for one in line.split("\n"))
        if line.startswith(("note:", "WARNING:")):
            line = paint_label(line, YELLOW, self._stream)
        with _status.lock:
            if self._draws:
                rest()
            print(paint(stamp, FAINT, self._stream) + line, file=self._stream, flush=True)

    def _fitted(self, line: str) -> str:
        """A line that is too long for the terminal goes on in the next one between two words."""
        wide = columns(self._stream)
        return line if len(line) < wide else item("", line, wide - 1)

    def _bar(self, label: str, done: int, total: int | None, unit: str, seconds: float) -> str:
        rate = f" {human_bytes(done / seconds)}/s" if unit == "B" and done and seconds > 0.5 else ""
        if not total:
            return f"{label:<10} {_amount(done, unit)}{rate}" if done else f"{label:<10} {seconds:.0f} s"
        tail = f"{_amount(done, unit)} of {_amount(total, unit)}{rate}"
        cells = min(24, columns(self._stream) - len(f"{label:<10} [] {tail}") - 1)
        if cells < 4:
            return f"{label:<10} {tail}"
        return f"{label:<10} [{'#' * min(cells, cells * done // total):<{cells}}] {tail}"


def _amount(count: int, unit: str) -> str:
    return human_bytes(count) if unit == "B" else f"{count} {unit}"

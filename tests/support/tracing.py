"""A program under strace: every system call that touches a directory of ours, and one of them failing, or killing, at a time.

strace counts ``when=N`` for each name of a call apart, so a fault is a name and a number.

Example::

    for fault in faults(python("..."), tmp_path, ("openat", "newfstatat"), "error=EIO"):
        finished = fault.run()
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.faults import HOUSE, STRACE, needs_strace

__all__ = ["Traced", "calls", "faults", "needs_strace", "python", "traced"]


def python(source: str, *arguments: object) -> list[str]:
    """A small program on this Python that can import mirror."""
    start = f"import sys; sys.path.insert(0, {str(HOUSE)!r}); from pathlib import Path\n"
    return [sys.executable, "-B", "-I", "-c", start + source, *map(str, arguments)]


@dataclass(frozen=True)
class Fault:
    """One call of a program that goes wrong.

    Attributes:
        command: the program.
        name, number: the call.
        kind: as strace names it: ``"error=EIO"``, ``"signal=KILL"``.
        call: what it is when nothing goes wrong.
        also: another call that fails in every run: ``"inject=openat:error=EOPNOTSUPP:when=3"``.
    """

    command: Sequence[str]
    name: str
    number: int
    kind: str
    call: str
    also: str = ""

    def __str__(self) -> str:
        return f"{self.kind} at {self.name} {self.number}: {self.call}"

    def run(self) -> subprocess.CompletedProcess[str]:
        return _traced(self.command, os.devnull, f"inject={self.name}:{self.kind}:when={self.number}", self.also)


def faults(command: Sequence[str], place: Path, names: Collection[str], kind: str, also: str = "") -> Iterator[Fault]:
    """The calls of these names that concern a place, as faults: of equal ones the first and the last.

    The program is run once to find them.

    Args:
        place: a directory; a call concerns it that names it, or a descriptor below it.
    """
    equal: dict[str, list[Fault]] = {}
    for name, number, call in calls(command, place, names, also):
        what = re.sub(r"\b[0-9]+<|0x[0-9a-f]+|\) = .*", "", call)
        equal.setdefault(what, []).append(Fault(command, name, number, kind, call, also))
    for found in equal.values():
        yield found[0]
        if len(found) > 1:
            yield found[-1]


def calls(command: Sequence[str], place: Path, names: Collection[str], also: str = "") -> list[tuple[str, int, str]]:
    """The calls that concern a place: name, which of that name it is, and its line."""
    counted: dict[str, int] = {}
    found = []
    with tempfile.NamedTemporaryFile("r", prefix="mirror-trace-") as log:
        traced = {*names, *([also.split(":")[0].partition("=")[2]] if also else [])}
        finished = _traced(command, log.name, f"trace={','.join(sorted(traced))}", also)
        if "ptrace" in finished.stderr:
            pytest.skip("strace may not trace here")
        assert finished.returncode == 0, finished.stderr
        for line in log:
            name = line.partition("(")[0]
            counted[name] = counted.get(name, 0) + 1
            if name in names and str(place) in line and not (name == "read" and f"<{place}" not in line):
                found.append((name, counted[name], line.strip()))
    return found


class Traced(NamedTuple):
    """One call of a log of ``strace -f``.

    Attributes:
        began, ended: the numbers of the lines that tell of it, which are one where no other thread came between.
        text: the call as strace writes it whole, without the process that made it.
    """

    began: int
    ended: int
    text: str


def traced(lines: Iterable[str]) -> Iterator[Traced]:
    """The calls of a log, each whole: strace cuts one in two when another thread's comes between.

    They come as they ended; one that never did, for its thread was ended first, is told last, as far as it is known.
    """
    begun: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines):
        process, _, text = line.rstrip("\n").partition(" ")
        text = text.lstrip()
        if text.endswith(" <unfinished ...>"):
            begun[process] = (number, text[: -len(" <unfinished ...>")])
        elif text.startswith("<... ") and process in begun:
            began, first = begun.pop(process)
            yield Traced(began, number, first + text.partition(" resumed>")[2])
        else:
            yield Traced(number, number, text)
    for number, text in begun.values():
        yield Traced(number, number, text)


def _traced(command: Sequence[str], log: str, *expressions: str) -> subprocess.CompletedProcess[str]:
    assert STRACE is not None
    options = [word for expression in expressions if expression for word in ("-e", expression)]
    words = [STRACE, "-y", "-qq", "-e", "signal=none", "-o", log, *options, *command]
    return subprocess.run(words, capture_output=True, text=True)

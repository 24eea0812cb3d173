"""Measurements that are kept (``results/*.json``, each what ``scripts/bench --json`` printed) as the tables of the page speed.

Rules: nothing is in a table that is not in the results; a ratio is told with the load average that it was taken under; what
could not be measured is said.

Example::

    print(tables(kept()))
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .measure import Spread
from .table import verdict

RESULTS = Path(__file__).with_name("results")
ITS_OWN = ("growth", "start")
"""Jobs whose commands stand beside each other and are no alternatives."""

_WITHOUT = re.compile(r"pip is not asked for [^:]*: [^.]*\.")

_WIDTH = 79


def kept() -> list[dict[str, Any]]:
    """The measurements in the repository, by the names of their files."""
    return [json.loads(path.read_bytes()) for path in sorted(RESULTS.glob("*.json"))]


def tables(documents: Iterable[Mapping[str, Any]]) -> str:
    """Markdown: for each measurement what it was taken on, and its jobs."""
    return "\n\n".join(part for one in documents for part in (_head(one), f"```text\n{_table(one)}\n```", *_found(one)))


def _found(document: Mapping[str, Any]) -> Iterable[str]:
    """What was tried besides (what the others take that came back altered), what the typed side goes without, and why something
    was not measured.
    """
    notes = {job["job"]: job["note"] for job in document["jobs"]}
    if "peers" in notes:
        yield _wrapped(notes["peers"])
    without = dict.fromkeys(match[0] for note in notes.values() if (match := _WITHOUT.search(note)))
    yield from map(_wrapped, without)
    told = dict.fromkeys(typed["told"] for job in document["jobs"] for typed in job["typed"] if "told" in typed)
    if told:
        yield _wrapped("Not measured: " + "; ".join(one.removeprefix("not measured: ") for one in told) + ".")


def _head(document: Mapping[str, Any]) -> str:
    machine = document["machine"]
    loads = [run["load"] for job in document["jobs"] for run in _runs(job)]
    counts = {len(job["mirror"].get("runs", ())) for job in document["jobs"]} - {0}
    rounds = "1 round" if counts == {1} else f"{min(counts)} to {max(counts)} rounds" if len(counts) > 1 else ""
    rounds = rounds or f"{max(counts)} rounds"
    words = (
        f"The stack {document['stack']}, on {document['day']}: {machine['processors']} processors, "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}; {rounds}; load average "
        f"{min(loads):.1f} to {max(loads):.1f}."
    )
    return _wrapped(words)


def _runs(job: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for measured in (job["mirror"], *job["typed"]):
        yield from measured.get("runs", ())


def _table(document: Mapping[str, Any]) -> str:
    rows = [("", "seconds", "CPU-s", "MiB", "ratio")]
    for job in document["jobs"]:
        rows.append((f"{job['mirror']['command']}", *_figures(job["mirror"]), ""))
        is_compared = job["job"] not in ITS_OWN
        rows += [
            (f"  {typed['command']}", *_figures(typed), _compared(typed) if is_compared else "")
            for typed in job["typed"]
        ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for name, *figures, compared in rows:
        cells = [name.ljust(widths[0]), *(one.rjust(width) for one, width in zip(figures, widths[1:4], strict=True))]
        lines.append(" ".join([*cells, compared]).rstrip())
    return "\n".join(lines)


def _figures(measured: Mapping[str, Any]) -> tuple[str, str, str]:
    runs: Sequence[Mapping[str, Any]] = measured.get("runs", ())
    if not runs:
        return "-", "-", "-"
    wall, cpu = (Spread.of(run[key] for run in runs).median for key in ("wall_s", "cpu_s"))
    own = max(run["own_bytes"] or run["peak_bytes"] for run in runs) / 2**20
    return _seconds(wall), _seconds(cpu), f"{own:.0f}"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _compared(typed: Mapping[str, Any]) -> str:
    """The typed command's time over mirror's, and whether that meets the goal."""
    if "ratio" not in typed:
        return "-"
    ratio, goal = Spread(**typed["ratio"]), typed.get("goal")
    met = "" if goal is None or goal["at_least"] is None else verdict(ratio, goal["at_least"]).partition(",")[0]
    return f"{ratio.median:.2f} {met}".rstrip()


def _wrapped(words: str) -> str:
    lines, line = [], ""
    for word in words.split(" "):
        if len(f"{line} {word}") > _WIDTH:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\n".join([*lines, line])

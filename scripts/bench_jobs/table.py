"""Results as a table and as JSON: medians, spreads and ratios.

Example::

    print(table(results))
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Sequence
from typing import Any

from .measure import Measured, Result, Spread

_HEADINGS = ("job", "command", "median", "min-max", "cpu", "written", "peak", "mirror is", "min-max", "goal")


def table(results: Iterable[Result]) -> str:
    """Lines of equal columns; under a job, what the reader must know to compare."""
    rows: list[tuple[str, ...]] = [_HEADINGS]
    after: dict[int, list[str]] = {}
    for result in results:
        for number, measured in enumerate((result.mirror, *result.typed)):
            name = result.job.name if number == 0 else ""
            if measured.told:
                rows.append((name, measured.command.label))
                after.setdefault(len(rows) - 1, []).append(f"    {measured.told}")
            elif number == 0:
                rows.append((name, measured.command.label, *_times(measured), "", "", _memory_goal(result)))
            else:
                rows.append((name, measured.command.label, *_times(measured), *_compared(measured)))
        if result.job.note:
            after.setdefault(len(rows) - 1, []).append(f"    {result.job.note}")
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(_HEADINGS))]
    lines = []
    for number, row in enumerate(rows):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())
        lines.extend(after.get(number, ()))
    return "\n".join(lines)


def _times(measured: Measured) -> tuple[str, str, str, str, str]:
    wall = measured.wall
    spread = f"{wall.least:.2f}-{wall.most:.2f} s"
    written, peak = (f"{size / 2**20:.0f} MiB" for size in (measured.written_bytes, measured.peak_bytes))
    return (f"{wall.median:.2f} s", spread, f"{measured.cpu.median:.2f} s", written, peak)


def _compared(measured: Measured) -> tuple[str, str, str]:
    assert measured.ratio is not None, "a typed command with runs has a ratio"
    return (faster(measured.ratio.median), f"{measured.ratio.least:.2f}-{measured.ratio.most:.2f}x", _verdict(measured))


def faster(ratio: float) -> str:
    """A ratio in words: above 1 mirror takes less time."""
    return f"{ratio:.2f}x faster" if ratio >= 1 else f"{1 / ratio:.2f}x slower"


def _verdict(measured: Measured) -> str:
    goal, ratio = measured.command.goal, measured.ratio
    if goal is None or ratio is None:
        return ""
    return goal.words if goal.at_least is None else f"{goal.words}: {verdict(ratio, goal.at_least)}"


def verdict(ratio: Spread, at_least: float) -> str:
    """By the median; a spread with the goal in it is said to be one, for the next run may end on the other side."""
    word = "met" if ratio.median >= at_least else "missed"
    return word if ratio.least >= at_least or ratio.most < at_least else f"{word}, within the spread"


def _memory_goal(result: Result) -> str:
    """By mirror's own process, which the compilers and installers that it calls are no part of."""
    limit, own = result.job.peak_mib, result.mirror.own_bytes
    if not own:
        return f"below {limit} MiB: too short to see"
    return f"below {limit} MiB: {'met' if own < limit << 20 else 'missed'} (itself {own / 2**20:.0f})"


def document(results: Sequence[Result], stack: str) -> dict[str, Any]:
    """A measurement that can be kept: every figure, and on what it was taken, without any name of the machine.

    Args:
        stack: what was measured on, in a few words.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    machine = {
        "processors": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30),
        "system": f"{platform.system()} {platform.release().split('-')[0]} on {platform.machine()}",
        "python": platform.python_version(),
    }
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return {"format": "bench/1", "day": day, "machine": machine, "stack": stack, "jobs": to_json(results)}


def to_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Every run's figures; times in seconds, sizes in bytes."""
    return [
        {
            "job": result.job.name,
            "note": result.job.note,
            "mirror": _figures(result.mirror),
            "typed": [_figures(measured) for measured in result.typed],
        }
        for result in results
    ]


def _figures(measured: Measured) -> dict[str, Any]:
    if measured.told:
        return {"command": measured.command.label, "told": measured.told}
    figures: dict[str, Any] = {
        "command": measured.command.label,
        "runs": [vars(run) for run in measured.runs],
        "wall_s": vars(measured.wall),
    }
    if measured.ratio:
        figures["ratio"] = vars(measured.ratio)
    if measured.command.goal:
        figures["goal"] = vars(measured.command.goal)
    return figures

"""Every call into the file system fails in turn, command by command; ``tests/support/faults.py`` plays it.

What was done is written line by line into a log, and is not done again: the job can be stopped at any time and goes on when it
is started with the same log, on another machine as well. A trial that could not be made is tried again then.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from zlib import crc32

from tests.support.faults import Call, Missed, Theatre, distinct, faults_of
from tests.support.scenes import scenes

Trial = tuple[str, str, int, str]
"""Scene, call without its numbers, how manieth of those alike, fault: the same in each process and on each machine."""


def trials(scene: str, calls: Sequence[Call], of: str) -> list[tuple[Trial, Call]]:
    """What is to be done of a scene.

    Args:
        of: ``"changes"``, ``"reads"`` or ``"all"``.
    """
    wanted = [call for call in calls if of == "all" or call.is_change == (of == "changes")]
    alike: Counter[tuple[str, str]] = Counter()
    found = []
    for call in wanted:
        found += [((scene, " ".join(call.alike), alike[call.alike], fault), call) for fault in faults_of(call)]
        alike[call.alike] += 1
    return found


def play(scene: str, of: str, log: Path, every: bool, share: int, shares: int) -> tuple[str, int, list[str]]:
    """Play one share of a scene in a process of its own; its name, how many trials were made, and what was found.

    Which share a trial belongs to hangs on the trial alone, for each process makes the scene anew.
    """
    done: set[tuple[object, ...]] = {tuple(one["trial"]) for one in _read(log) if not one.get("missed")}
    made, found = 0, []
    with (
        tempfile.TemporaryDirectory(prefix="attack-") as directory,
        Theatre(scenes()[scene], Path(directory)) as theatre,
    ):
        calls = theatre.calls if every else distinct(theatre.calls)
        for trial, call in trials(scene, calls, of):
            if trial in done or crc32(repr(trial).encode()) % shares != share:
                continue
            line: dict[str, Any] = {"trial": trial}
            try:
                line["wrong"] = theatre.trial(call, trial[3])
            except Missed as missed:
                line |= {"wrong": [f"not made, for the call was not met again: {missed}"], "missed": True}
            made += 1
            found += line["wrong"]
            with log.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
    return scene, made, found


def _read(log: Path) -> Iterable[dict[str, Any]]:
    lines = log.read_text().splitlines() if log.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def summary(log: Path) -> tuple[str, int]:
    """What the log holds, as text, and how many faults were found."""
    made: Counter[str] = Counter()
    found = []
    for one in {tuple(one["trial"]): one for one in _read(log)}.values():
        made[one["trial"][0]] += 1
        found += one["wrong"]
    lines = [f"{sum(made.values()):,} faults made"]
    lines += [f"  {count:>7,} {scene}" for scene, count in made.items()]
    lines += [f"found: {len(found)}", *(f"  {one}" for one in found)]
    return "\n".join(lines), len(found)


def run(names: Sequence[str], of: str, log: Path, every: bool, workers: int, say: Callable[[str], object]) -> int:
    """Play these scenes, in shares where there are more processes than scenes; the exit code."""
    log.parent.mkdir(parents=True, exist_ok=True)
    shares = max(1, workers // len(names))
    with ProcessPoolExecutor(workers) as pool:
        playing = [pool.submit(play, name, of, log, every, share, shares) for name in names for share in range(shares)]
        for one in playing:
            name, made, found = one.result()
            say(f"{name}: {made} faults made now, {len(found)} things found")
    text, count = summary(log)
    print(text)
    return 1 if count else 0

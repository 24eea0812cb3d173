"""Running commands in turn and reading what the kernel says of each; ``jobs`` says which commands.

Rules: one round runs every command of a job once, mirror's first, so that a machine that slows down slows all of them, and
ratios are taken round by round; before each run the inputs are read, so that both find them in the page cache; nobody else's
writing is waited for; each run has a new directory and new caches, removed outside of the measured time.

Example::

    result = measure(job, runs=5, work=Path("work"))
    result.typed[0].ratio.median       # how many times longer the typed command takes
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Goal:
    """What a job is to reach.

    Attributes:
        words: as DESIGN.md says it.
        at_least: the ratio (typed time / mirror's time) that meets it; None when no ratio does.
    """

    words: str
    at_least: float | None = None


@dataclass(frozen=True)
class Command:
    """A command line for bash.

    Attributes:
        label: for the table.
        script: run by ``bash -euo pipefail`` in an empty directory.
        needs: programs that must be on PATH.
        goal: of a typed alternative, for mirror beside it.
        online: keeps the user's settings of pip and uv (which index, which proxy); otherwise they are taken away.
        limit_s: after how many seconds it is given up, however long others may take; None for as long as they.
    """

    label: str
    script: str
    needs: tuple[str, ...] = ()
    goal: Goal | None = None
    online: bool = False
    limit_s: float | None = None

    def missing(self) -> str:
        """The first program that is not installed; empty when all are."""
        return next((name for name in self.needs if shutil.which(name) is None), "")


@dataclass(frozen=True)
class Job:
    """Mirror's command and what people type instead.

    Attributes:
        inputs: files that are read before each run.
        peak_mib: memory that mirror is to stay below.
        note: what the reader must know to compare.
        is_warmed: whether a round that does not count comes first; not where every round begins with nothing.
    """

    name: str
    mirror: Command
    typed: tuple[Command, ...]
    inputs: tuple[Path, ...] = ()
    peak_mib: int = 256
    note: str = ""
    is_warmed: bool = True


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        wall_s, cpu_s: wall and processor seconds, the latter with all children.
        peak_bytes: peak memory of the largest single process.
        own_bytes: peak memory of the first process alone, seen every 20 ms; 0 when it ended before it was seen.
        written_bytes: what it and its children gave the file systems to write, by the kernel's count.
        read_bytes: what it and its children had read from disks; what was in the page cache is not among it.
        load: the load average of the last minute as it began, which others on the machine are part of.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    own_bytes: int = 0
    written_bytes: int = 0
    read_bytes: int = 0
    load: float = 0.0


@dataclass(frozen=True)
class Spread:
    """Median, least and most of several numbers."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        numbers = list(values)
        return cls(statistics.median(numbers), min(numbers), max(numbers))


@dataclass(frozen=True)
class Measured:
    """A command and its runs.

    Attributes:
        runs: one for each round; none when it could not be run.
        ratio: its wall time over mirror's, round by round; None for mirror's own and when there are no runs.
        told: why there are no runs; empty when there are.
    """

    command: Command
    runs: tuple[Run, ...] = ()
    ratio: Spread | None = None
    told: str = ""

    @property
    def wall(self) -> Spread:
        return Spread.of(run.wall_s for run in self.runs)

    @property
    def cpu(self) -> Spread:
        return Spread.of(run.cpu_s for run in self.runs)

    @property
    def written_bytes(self) -> int:
        return int(Spread.of(run.written_bytes for run in self.runs).median)

    @property
    def peak_bytes(self) -> int:
        return max(run.peak_bytes for run in self.runs)

    @property
    def own_bytes(self) -> int:
        return max(run.own_bytes for run in self.runs)


@dataclass(frozen=True)
class Result:
    """A job, measured."""

    job: Job
    mirror: Measured
    typed: tuple[Measured, ...]


class CommandFailed(Exception):
    """A command ended with an error, or did not end in time."""


def measure(
    job: Job, *, runs: int, work: Path, timeout_s: float = 900, say: Callable[[str], None] = lambda line: None
) -> Result:
    """Run a job's commands in turn.

    Args:
        runs: rounds that count; one before them does not, where the job is to be warmed.
        work: an existing directory, on the disk that is to be measured.
        timeout_s: for one run of one command.
        say: told of each round.
    """
    told = {
        command: f"not measured: {command.missing()} is not installed" for command in job.typed if command.missing()
    }
    done: dict[Command, list[Run]] = {command: [] for command in (job.mirror, *job.typed)}
    for number in range(0 if job.is_warmed else 1, runs + 1):
        for command in done:
            if command in told or job.mirror in told:
                continue
            try:
                run = run_once(command, job.inputs, work, min(timeout_s, command.limit_s or timeout_s))
            except CommandFailed as exc:
                told[command] = f"not measured: {exc}"
                continue
            if number:
                done[command].append(run)
        say(f"{job.name}: " + (f"round {number} of {runs}" if number else "one round that does not count"))
    mirror = _measured(job.mirror, done, told, None)
    return Result(job, mirror, tuple(_measured(command, done, told, job.mirror) for command in job.typed))


def _measured(
    command: Command, done: Mapping[Command, Sequence[Run]], told: Mapping[Command, str], beside: Command | None
) -> Measured:
    if command in told:
        return Measured(command, told=told[command])
    if beside is None:
        return Measured(command, tuple(done[command]))
    if beside in told:
        return Measured(command, told="not measured: nothing to compare with")
    return Measured(command, tuple(done[command]), ratio(done[command], done[beside]))


def ratio(typed: Sequence[Run], mirror: Sequence[Run]) -> Spread:
    """The typed command's wall time over mirror's, round by round."""
    return Spread.of(theirs.wall_s / ours.wall_s for theirs, ours in zip(typed, mirror, strict=True))


def run_once(command: Command, inputs: Iterable[Path], work: Path, timeout_s: float) -> Run:
    """One run in a new directory.

    Raises:
        CommandFailed: with the end of what it printed.
    """
    with tempfile.TemporaryDirectory(dir=work, prefix="run-") as name:
        home = Path(name)
        directory = home / "here"
        directory.mkdir()
        for path in inputs:
            _read(path)
        with (home / "output").open("w+b") as output:
            return _timed(command, directory, output.fileno(), home, timeout_s)


def _read(path: Path) -> None:
    with path.open("rb", buffering=0) as stream:
        buffer = bytearray(1 << 20)
        while stream.readinto(buffer):
            pass


def _timed(command: Command, directory: Path, output: int, home: Path, timeout_s: float) -> Run:
    load, start = os.getloadavg()[0], time.monotonic()
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", command.script],
        cwd=directory,
        env=_environment(home, online=command.online),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    late = threading.Event()

    def stop() -> None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(timeout_s, stop)
    timer.start()
    watch = _Watch(process.pid)
    watch.start()
    try:
        # What the kernel counted for the process and all that it waited for. A child's peak never reads lower than this
        # process's own memory, which is why nothing large is imported here.
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - start
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        timer.cancel()
        watch.ended.set()
    watch.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if late.is_set():
        raise CommandFailed(f"gave up after {timeout_s:.0f} s")
    if process.returncode:
        last = os.pread(output, 1 << 20, max(0, os.fstat(output).st_size - 400)).decode(errors="replace").strip()
        raise CommandFailed(f"exit code {process.returncode}: {last}")
    cpu_s, written_bytes, read_bytes = usage.ru_utime + usage.ru_stime, usage.ru_oublock * 512, usage.ru_inblock * 512
    return Run(wall_s, cpu_s, usage.ru_maxrss << 10, watch.peak_bytes, written_bytes, read_bytes, load)


class _Watch(threading.Thread):
    """Looks at one process's own peak memory: what mirror needs, without the compilers and installers that it calls."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status, self.ended, self.peak_bytes = Path(f"/proc/{pid}/status"), threading.Event(), 0

    def run(self) -> None:
        while not self.ended.wait(0.02):
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            sizes = [int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")]
            self.peak_bytes = max([self.peak_bytes, *sizes])


def _environment(home: Path, *, online: bool) -> dict[str, str]:
    """New caches for every run: a cache filled by the run before is no fresh machine."""
    kept = {name: value for name, value in os.environ.items() if online or not name.startswith(("PIP_", "UV_"))}
    caches = {"XDG_CACHE_HOME": home / "cache", "UV_CACHE_DIR": home / "cache/uv", "PIP_CACHE_DIR": home / "cache/pip"}
    return {**kept, **{name: str(path) for name, path in caches.items()}, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

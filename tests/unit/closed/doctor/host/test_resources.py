from __future__ import annotations

from pathlib import Path

import pytest

from mirror.closed.doctor.host.resources import Resources, judge_resources, read_resources
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, WARNING, Finding

GIB = 1 << 30


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def told(subject: str, found: Resources, variables: dict[str, str] | None = None) -> list[Finding]:
    return [finding for finding in judge_resources(found, variables or {}) if finding.subject == subject]


def test_reads_this_machine() -> None:
    found = read_resources(has_loopback=True)
    assert found.available_bytes > 0
    assert found.processors >= 1
    assert found.now > 1_700_000_000


def test_what_cannot_be_read_is_not_judged(tmp_path: Path) -> None:
    found = read_resources(True, tmp_path, tmp_path)
    assert (found.available_bytes, found.by_cgroup) == (0, False)
    assert told("memory", found) == []


@pytest.mark.parametrize("second", [True, False])
def test_the_cgroups_limit_counts_and_those_above_it(tmp_path: Path, second: bool) -> None:
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    put(proc / "meminfo", f"MemTotal: 1 kB\nMemAvailable: {512 * GIB // 1024} kB\n")
    put(proc / "self/cgroup", "0::/slice/job\n" if second else "5:cpu:/x\n4:memory,hugetlb:/slice/job\n")
    place = cgroups if second else cgroups / "memory"
    limit, used = ("memory.max", "memory.current") if second else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    put(place / "slice" / limit, str(64 * GIB))
    put(place / "slice" / used, str(24 * GIB))
    put(place / "slice/job" / limit, "max" if second else str(2**63 - 4096))
    found = read_resources(True, proc, cgroups)
    assert (found.available_bytes, found.by_cgroup) == (40 * GIB, True)
    (memory,) = told("memory", found, {"MAX_JOBS": "16"})
    assert (memory.level, memory.row) == (WARNING, "62")
    assert memory.what == "this cgroup leaves 40 GiB of memory free, room for 5 nvcc at once, and MAX_JOBS is 16"
    assert memory.fix == "export MAX_JOBS=5"


@pytest.mark.parametrize(
    ("gib", "processors", "jobs", "level"),
    [(64, 8, "", GOOD), (64, 100, "8", GOOD), (64, 100, "9", WARNING), (64, 32, "", NOTE), (64, 33, "", WARNING),
     (64, 2, "many", GOOD), (1, 1, "", GOOD)],
)  # fmt: skip
def test_memory_is_held_against_jobs(gib: int, processors: int, jobs: str, level: str) -> None:
    found = Resources(available_bytes=gib * GIB, processors=processors)
    assert [finding.level for finding in told("memory", found, {"MAX_JOBS": jobs})] == [level]


@pytest.mark.parametrize(
    ("files", "level"),
    [((1024, 2048), WARNING), ((1024, 1 << 20), NOTE), ((65536, 65536), ""), ((1024, -1), NOTE), ((-1, -1), "")],
)
def test_limits_of_open_files(files: tuple[int, int], level: str) -> None:
    assert [finding.level for finding in told("open files", Resources(files=files))] == ([level] if level else [])


def test_locked_memory_is_a_note() -> None:
    assert [finding.level for finding in told("locked memory", Resources(locked_bytes=65536))] == [NOTE]
    assert told("locked memory", Resources(locked_bytes=-1)) == []


def test_a_clock_before_the_stacks_lock_is_wrong() -> None:
    (found,) = [
        f for f in judge_resources(Resources(now=1_000_000_000), {}, locked=1_790_000_000) if f.subject == "clock"
    ]
    assert (found.level, found.what) == (PROBLEM, "this host says 2001-09-09, the stack was locked on 2026-09-21")


def test_a_namespace_without_loopback_is_a_problem() -> None:
    assert [finding.level for finding in told("loopback", Resources(has_loopback=False))] == [PROBLEM]
    assert [finding.level for finding in told("loopback", Resources(has_loopback=True))] == [GOOD]

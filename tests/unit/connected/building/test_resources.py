"""How many compilers run at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirror.connected.building.resources import jobs

GIB = 1 << 30
SECOND = {"cpu.max": "200000 100000", "memory.max": str(9 * GIB), "memory.current": str(GIB)}
FIRST = {
    "cpu/cpu.cfs_quota_us": "200000",
    "cpu/cpu.cfs_period_us": "100000",
    "memory/memory.limit_in_bytes": str(9 * GIB),
    "memory/memory.usage_in_bytes": str(GIB),
}


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


def machine(root: Path, membership: str, files: dict[str, str], available_gib: int = 64) -> Path:
    told = {"proc/meminfo": f"MemAvailable: {available_gib << 20} kB\n", "proc/self/cgroup": membership}
    for name, text in {**told, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    return root


@pytest.mark.usefixtures("many_cores")
def test_the_machine_s_memory_and_cores_count(tmp_path: Path) -> None:
    root = machine(tmp_path, "", {}, available_gib=26)
    assert (jobs(True, root=root), jobs(False, root=root), jobs(True, 13, root)) == (3, 16, 2)
    assert jobs(True, root=tmp_path / "nothing") == 16, "what is not known is no limit"


@pytest.mark.usefixtures("many_cores")
@pytest.mark.parametrize(("membership", "files"), [("0::/", SECOND), ("4:cpu,cpuacct:/\n5:memory:/", FIRST)])
def test_a_container_s_limits_count_in_both_layouts(tmp_path: Path, membership: str, files: dict[str, str]) -> None:
    root = machine(tmp_path, membership, files)
    assert (jobs(True, root=root), jobs(True, 3, root), jobs(False, root=root)) == (1, 2, 2), "8 GiB, two processors"


@pytest.mark.usefixtures("many_cores")
def test_a_limit_of_a_group_above_counts_and_there_is_always_one_job(tmp_path: Path) -> None:
    files = {"job/memory.max": "max", "job/cpu.max": "max 100000", "memory.max": str(GIB), "memory.current": str(GIB)}
    assert jobs(False, root=machine(tmp_path, "0::/job/step", files)) == 1

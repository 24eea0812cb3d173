"""How many compilers at once: by the cores that this process may use, and by the memory that it may.

Rules: a container's or a job's limits (cgroup v2 and v1) count, not the machine's; a compiler of GPU code is taken to need
4 GiB, another 1 GiB, unless ``[build.NAME] job_gib`` says what a project's own needs; there is always one job. None of this is
an input of the build: it changes how long it takes, not what comes out.

Example::

    jobs(has_gpu=True, job_gib=0)   # 6 of 16 cores, where 26 GiB are free
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_GIB = 1 << 30
_GPU_JOB_GIB, _JOB_GIB = 4, 1
_UNLIMITED = 1 << 60


def jobs(has_gpu: bool, job_gib: int = 0, root: Path = Path("/")) -> int:
    """How many compilers to run at once.

    Args:
        has_gpu: whether GPU code is compiled.
        job_gib: what one compiler takes, in GiB; 0 for what is usual.
        root: of the file system that is asked; tests have their own.
    """
    each = (job_gib or (_GPU_JOB_GIB if has_gpu else _JOB_GIB)) * _GIB
    return max(1, min(cores(root), memory(root) // each))


def cores(root: Path = Path("/")) -> int:
    """The cores that this process may use, as whole ones."""
    found = len(os.sched_getaffinity(0))
    for group in _groups(root, "cpu"):
        quota, _, period = _text(group / "cpu.max").partition(" ")
        quota, period = (
            (quota, period) if period else (_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us"))
        )
        if _number(quota) and _number(period):
            found = min(found, max(1, _number(quota) // _number(period)))
    return found


def memory(root: Path = Path("/")) -> int:
    """Bytes of memory that are left for this process."""
    left = _UNLIMITED
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            left = _number(value.split()[0]) * 1024
    for group in _groups(root, "memory"):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            allowed = _number(_text(group / limit))
            if 0 < allowed < _UNLIMITED:
                left = min(left, max(0, allowed - _number(_text(group / used))))
    return left


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The control groups that we are in, from our own up to the root's."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / (controller if controllers else "")
        group = base / path.lstrip("/")
        yield from (one for one in (group, *group.parents) if base in (one, *one.parents))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(text: str) -> int:
    """A number of the kernel's; 0 for "max", and for none."""
    return int(text) if text.isascii() and text.strip("0123456789") == "" and text else 0

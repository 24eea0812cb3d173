"""What this process may still take: memory and processors, by the kernel and by the control groups that it is in.

Nothing is started; ``/proc`` and the cgroup tree are read, in both of its layouts (cgroups(7)).

Rules: a limit of any group above counts; what cannot be read, or is no number ("max"), is no limit.

Example::

    left = min([available_memory(), *memory_limits()])
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mirror.core.system.durable import text_of

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_FIRST_LAYOUT = ("memory.limit_in_bytes", "memory.usage_in_bytes")
_SECOND_LAYOUT = ("memory.max", "memory.current")
NVCC_BYTES = 8 << 30
"""What one compiler of GPU code takes at worst (CUDA.md B6): FlashInfer's own build divides the free memory by it, and reports
of builds that ran out of memory have 3 to 8 GiB for one nvcc."""

_UNLIMITED = 1 << 60
"""The first layout's word for no limit is a number near the largest."""


def available_memory(proc: Path = PROC) -> int:
    """Bytes of the machine's memory that programs can still get; 0 when not known."""
    try:
        lines = (proc / "meminfo").read_text("utf-8", "replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return 0


def memory_limits(proc: Path = PROC, cgroups: Path = CGROUPS) -> Iterator[int]:
    """Bytes that the limit of each group leaves."""
    for directory, is_first in _groups("memory", proc, cgroups):
        names = _FIRST_LAYOUT if is_first else _SECOND_LAYOUT
        limit, used = (_number(text_of(directory / name)) for name in names)
        if 0 <= limit < _UNLIMITED:
            yield max(0, limit - max(0, used))


def processor_limits(proc: Path = PROC, cgroups: Path = CGROUPS) -> Iterator[float]:
    """Processors' worth of time that the limit of each group gives."""
    for directory, is_first in _groups("cpu", proc, cgroups):
        words = (
            [text_of(directory / "cpu.cfs_quota_us"), text_of(directory / "cpu.cfs_period_us")]
            if is_first
            else text_of(directory / "cpu.max").split()
        )
        quota, period = [*map(_number, words), -1, -1][:2]
        if quota > 0 and period > 0:
            yield quota / period


def _groups(controller: str, proc: Path, cgroups: Path) -> Iterator[tuple[Path, bool]]:
    """Directories of the groups that this process is in, each up to the root, and whether they are of the first layout."""
    for line in text_of(proc / "self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        place = cgroups / (controller if controllers else "") / path.lstrip("/")
        for directory in (place, *place.parents):
            if directory == cgroups.parent:
                break
            yield directory, bool(controllers)


def _number(text: str) -> int:
    """A number of the kernel's; -1 for "max", and for none."""
    try:
        return int(text)
    except ValueError:
        return -1

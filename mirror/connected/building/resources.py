"""How many compilers at once: by the cores that this process may use, and by the memory that it may.

Rules: a container's or a job's limits (cgroup v2 and v1) count, not the machine's; a compiler of GPU code is taken to need
what ``mirror doctor`` reckons with, too, another 1 GiB, unless ``[build.NAME] job_gib`` says what a project's own needs; there
is always one job. None of this is an input of the build: it changes how long it takes, not what comes out.

Example::

    jobs(has_gpu=True, job_gib=0)   # 3 of 16 cores, where 26 GiB are free
"""

from __future__ import annotations

import os
from pathlib import Path

from mirror.core.system.allowance import NVCC_BYTES, available_memory, memory_limits, processor_limits

_GIB = 1 << 30


def jobs(has_gpu: bool, job_gib: int = 0, root: Path = Path("/")) -> int:
    """How many compilers to run at once.

    Args:
        has_gpu: whether GPU code is compiled.
        job_gib: what one compiler takes, in GiB; 0 for what is usual.
        root: of the file system that is asked; tests have their own.
    """
    proc, cgroups = root / "proc", root / "sys/fs/cgroup"
    each = job_gib * _GIB or (NVCC_BYTES if has_gpu else _GIB)
    cores = min([len(os.sched_getaffinity(0)), *map(int, processor_limits(proc, cgroups))])
    machine, limits = available_memory(proc), list(memory_limits(proc, cgroups))
    left = [machine, *limits] if machine else limits
    return max(1, min([cores, *(memory // each for memory in left)]))

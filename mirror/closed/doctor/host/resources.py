"""Memory, limits, clock and loopback: what long builds and servers run out of.

``mirror.core.system.allowance`` reads how much memory is left; nothing is started.

Rule: what cannot be read is not judged.

Example::

    for finding in judge_resources(read_resources(has_loopback=True), os.environ): ...
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.core.logs.finding import NOTE, WARNING, About, Finding
from mirror.core.names import whole_number
from mirror.core.system.allowance import CGROUPS, NVCC_BYTES, PROC, available_memory, memory_limits

_GIB = 1 << 30
_FEW_FILES, _MANY_FILES = 4_096, 65_536
"""Too few for a server under load, and what vLLM sets its own limit to."""

_LOCKED = 1_700_000_000
"""No bundle is older than mirror (November 2023, generously)."""


@dataclass(frozen=True)
class Resources:
    """What there is.

    Attributes:
        available_bytes: memory that programs can still get, by the kernel and by this process's cgroup; 0 when not known.
        by_cgroup: whether the cgroup, not the machine, is what limits it.
        processors: that this process may use.
        files: soft and hard limit of open files.
        locked_bytes: soft limit of locked memory; -1 for none.
        now: seconds since 1970 UTC by this host's clock.
        has_loopback: whether programs reach each other on 127.0.0.1.
    """

    available_bytes: int = 0
    by_cgroup: bool = False
    processors: int = 1
    files: tuple[int, int] = (_MANY_FILES, _MANY_FILES)
    locked_bytes: int = -1
    now: int = 0
    has_loopback: bool = True


def read_resources(has_loopback: bool, proc: Path = PROC, cgroups: Path = CGROUPS) -> Resources:
    """Look at this machine.

    Args:
        has_loopback: as ``mirror.closed.host.machine`` found it.
        cgroups: where the cgroup tree is.
    """
    machine, limits = available_memory(proc), list(memory_limits(proc, cgroups))
    available = min([machine, *limits]) if machine else min(limits, default=0)
    return Resources(
        available_bytes=available,
        by_cgroup=bool(limits) and available < machine,
        processors=len(os.sched_getaffinity(0)),
        files=resource.getrlimit(resource.RLIMIT_NOFILE),
        locked_bytes=resource.getrlimit(resource.RLIMIT_MEMLOCK)[0],
        now=int(time.time()),
        has_loopback=has_loopback,
    )


def judge_resources(found: Resources, variables: Mapping[str, str], locked: int = _LOCKED) -> Iterable[Finding]:
    """What long builds and servers may run out of.

    Args:
        locked: when the stack was locked, in seconds since 1970 UTC: no clock can be earlier.
    """
    if found.available_bytes:
        yield _judge_memory(found, variables.get("MAX_JOBS", ""))
    soft, hard = found.files
    if 0 <= hard < _FEW_FILES:
        yield About("open files").warning(
            f"a process may open {hard} files, servers want {_MANY_FILES}",
            cause="the hard limit is low",
            proof="ulimit -Hn",
            fix="ask the administrator for a higher nofile limit",
        )
    elif 0 <= soft < _FEW_FILES:
        fix = f"ulimit -n {min(hard, _MANY_FILES) if hard >= 0 else _MANY_FILES}"
        yield About("open files").note(
            f"a process may open {soft} files",
            cause="that is this shell's limit; the system allows more",
            proof="ulimit -n",
            fix=fix,
        )
    if 0 <= found.locked_bytes < 64 << 20:
        yield About("locked memory").note(
            f"a process may lock {found.locked_bytes >> 10} KiB; RDMA between servers needs more",
            cause="that is the usual limit, and what RDMA uses must stay in memory",
            proof="ulimit -l",
            fix="ask for an unlimited memlock limit when several servers work together",
        )
    if found.now and found.now < locked:
        yield About("clock").problem(
            f"this host says {_date(found.now)}, the stack was locked on {_date(locked)}",
            proof="date",
            cause="the clock is behind; ninja and caches compare times",
            fix="ask the administrator to set the clock",
            row="57",
        )
    if found.has_loopback:
        yield About("loopback").good("programs reach each other on 127.0.0.1")
    else:
        yield About("loopback").problem(
            "no program can reach another one on 127.0.0.1",
            cause="the loopback device is down: a network namespace begins so",
            proof="a connection to a port of our own",
            fix="ip link set lo up, inside of the namespace",
        )


def _judge_memory(found: Resources, max_jobs: str) -> Finding:
    limit = "this cgroup leaves" if found.by_cgroup else "the machine has"
    fitting = max(1, found.available_bytes // NVCC_BYTES)
    jobs = whole_number(max_jobs) or 0
    room = f"{limit} {found.available_bytes / _GIB:.0f} GiB of memory free, room for {fitting} nvcc at once"
    proof = "MemAvailable of /proc/meminfo, memory.max of the cgroup"
    if (jobs or found.processors) <= fitting:
        return About("memory").good(
            f"{room}; {f'MAX_JOBS is {jobs}' if jobs else f'there are {found.processors} processors'}"
        )
    if jobs:
        return About("memory").warning(
            f"{room}, and MAX_JOBS is {jobs}",
            cause="one nvcc takes up to 8 GiB; the kernel kills what is too much",
            proof=proof,
            fix=f"export MAX_JOBS={fitting}",
            row="62",
        )
    return About("memory").at(
        WARNING if found.available_bytes < 2 * _GIB * found.processors else NOTE,
        f"{room}, and MAX_JOBS is not set: ninja starts one for each of {found.processors} processors",
        cause="one nvcc takes up to 8 GiB; the kernel kills what is too much",
        proof=proof,
        fix=f"export MAX_JOBS={fitting} when kernels are compiled",
        row="62",
    )


def _date(when: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(when))

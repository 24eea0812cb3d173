"""The directories that compilers and servers write to: whether they can, and whether what they wrote can be run.

It holds the probes and their judgement. The caller chooses the directories.

Rules: a probe writes one file of a megabyte without a name, or one that is removed at once, and nothing else; a directory
that does not exist yet is judged by its nearest parent that does; permissions are tried, not computed, because a quota, a
read-only mount and a full disk show themselves in no mode bits.

Example::

    for finding in judge_place(probe(Path("/tmp")), TEMPORARY): ...
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.host.machine import nearest_existing
from mirror.core.logs.finding import PROBLEM, WARNING, About, Finding

_PROBE_BYTES = 1 << 20
_MIN_INODES, _MOST_FILES = 10_000, 20_000


@dataclass(frozen=True)
class Purpose:
    """What a directory is for.

    Attributes:
        name: in a sentence, ``"the temporary directory"``.
        needed_bytes: less than this free is worth a warning.
        variable: what moves it elsewhere.
        loads_code: whether libraries that were just built are loaded from it.
    """

    name: str
    needed_bytes: int
    variable: str
    loads_code: bool


TEMPORARY = Purpose("the temporary directory", 2 << 30, "TMPDIR", False)
CACHE = Purpose("the cache directory", 10 << 30, "XDG_CACHE_HOME", True)


@dataclass(frozen=True)
class Place:
    """A directory, as it was found.

    Attributes:
        path: the one that was meant.
        nearest: the one that exists and was tried.
        write_error: errno of writing there; 0 when it worked.
        exec_error: errno of mapping a file from there as code; 0 when it worked, or could not be tried.
        free_bytes: what this user may still write.
        free_inodes: how many files more; -1 when the file system has no such limit.
    """

    path: Path
    nearest: Path
    write_error: int = 0
    exec_error: int = 0
    free_bytes: int = 0
    free_inodes: int = -1


def probe(path: Path, must_exist: bool = False) -> Place:
    """Try a directory out. Never raises.

    Args:
        must_exist: whether nobody is going to make it.
    """
    if must_exist and not path.is_dir():
        return Place(path, path, write_error=errno.ENOTDIR if path.exists() else errno.ENOENT)
    try:
        nearest = nearest_existing(path if path.is_absolute() else Path.cwd() / path)
        facts = os.statvfs(nearest)
    except OSError as exc:
        return Place(path, path, write_error=exc.errno or errno.EIO)
    free, inodes = facts.f_bavail * facts.f_frsize, facts.f_favail if facts.f_files else -1
    if not nearest.is_dir():
        return Place(path, nearest, errno.ENOTDIR, 0, free, inodes)
    write_error, exec_error = _try(nearest)
    return Place(path, nearest, write_error, exec_error, free, inodes)


def _try(directory: Path) -> tuple[int, int]:
    try:
        with tempfile.TemporaryFile(dir=directory, prefix=".mirror-probe-") as stream:
            stream.write(bytes(_PROBE_BYTES))
            stream.flush()
            os.fsync(stream.fileno())  # over NFS a quota is noticed no earlier
            try:
                mmap.mmap(
                    stream.fileno(), mmap.PAGESIZE, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC
                ).close()
            except OSError as exc:
                return 0, exc.errno or errno.EPERM
    except OSError as exc:
        return exc.errno or errno.EIO, 0
    return 0, 0


def temporary_directory(variables: Mapping[str, str]) -> Path:
    """Where nvcc and compilers put temporary files; they believe TMPDIR even when it does not exist."""
    return Path(variables.get("TMPDIR") or "/tmp")  # noqa: S108 - the name, nothing is made there


def cache_directory(variables: Mapping[str, str]) -> Path | None:
    """Where kernels are kept that are compiled at run time, as ``env.sh`` says it; None without a home."""
    cache, home = variables.get("XDG_CACHE_HOME"), variables.get("HOME")
    return Path(cache) if cache else Path(home, ".cache") if home else None


def judge_place(place: Place, purpose: Purpose) -> Iterable[Finding]:
    """What is wrong with a directory for its purpose."""
    what = f"{purpose.name} {place.path}"
    move = f"set {purpose.variable} to a directory on a local disk that you own"
    if place.write_error:
        row = {errno.EDQUOT: "43", errno.ENOSPC: "43", errno.EROFS: "44"}.get(place.write_error, "14")
        yield About("disk").problem(
            f"{what} cannot be written: {os.strerror(place.write_error)}",
            cause=_CAUSES.get(place.write_error, "it belongs to somebody else, or is not there"),
            proof=f"a file of 1 MiB in {place.nearest}",
            fix=move,
            row=row,
        )
        return
    is_small, lacks_inodes = place.free_bytes < purpose.needed_bytes, 0 <= place.free_inodes < _MIN_INODES
    if place.exec_error:
        yield About("disk").at(
            PROBLEM if purpose.loads_code else WARNING,
            f"no code can be loaded from {what}: {os.strerror(place.exec_error)}",
            cause="its file system is mounted noexec",
            proof=f"mmap with PROT_EXEC of a file in {place.nearest}",
            fix=move,
            row="42",
        )
    if is_small:
        yield About("disk").warning(
            f"{what} has {_gib(place.free_bytes)} free, {_gib(purpose.needed_bytes)} or more is wise",
            cause="compiled kernels and compilers' temporary files take gigabytes",
            proof=f"statvfs of {place.nearest}",
            fix=move,
            row="43",
        )
    if lacks_inodes:
        yield About("disk").warning(
            f"{what} has room for {place.free_inodes} more files, {_MIN_INODES} or more is wise",
            cause="the file system is out of inodes",
            proof=f"df -i {place.nearest}",
            fix=move,
            row="43",
        )
    if not (place.exec_error or is_small or lacks_inodes):
        yield About("disk").good(f"{what} can be written and run from, {_gib(place.free_bytes)} free")


_CAUSES = {
    errno.EDQUOT: "your quota there is used up ('quota -s' shows it)",
    errno.ENOSPC: "the disk is full, or out of inodes",
    errno.EROFS: "it is mounted read-only, as homes in containers often are",
    errno.EACCES: "it belongs to somebody else",
    errno.ENOENT: "it does not exist, and no compiler makes it",
    errno.ENOTDIR: "a part of the path is a file",
}


_SHARED = "/dev/shm"  # noqa: S108 - the name, nothing is made there


def judge_shared_memory(place: Place) -> Finding:
    """``/dev/shm``, through which the workers of a server and NCCL talk."""
    if place.write_error:
        return About("shared memory").warning(
            f"{_SHARED} cannot be written: {os.strerror(place.write_error)}",
            cause="it is not mounted, or full",
            proof="a file of 1 MiB was written to /dev/shm",
            fix="ask for it, or start the container with --ipc=host",
        )
    if place.free_bytes < 1 << 30:
        return About("shared memory").warning(
            f"{_SHARED} has {_gib(place.free_bytes)} free; workers of a server share tensors through it",
            cause="containers begin with 64 MiB",
            proof="df /dev/shm",
            fix="start the container with --shm-size=16g or --ipc=host",
        )
    return About("shared memory").good(f"{_SHARED} has {_gib(place.free_bytes)} free")


def default_caches(variables: Mapping[str, str]) -> Iterable[tuple[Path, int]]:
    """Caches that a shell without ``env.sh`` uses, with their sizes: kernels of any toolkit may lie in them (CUDA.md C5)."""
    home = variables.get("HOME")
    user = variables.get("USER") or variables.get("LOGNAME") or "unknown"
    places = [temporary_directory(variables) / f"torchinductor_{user}"]
    if home:
        places += [Path(home, name) for name in (".triton", ".nv/ComputeCache", ".cache/flashinfer", ".cache/vllm",
                                                 ".cache/torch_extensions", ".cache/deep_gemm", ".cache/sglang")]  # fmt: skip
    return [(place, _size(place)) for place in places if place.is_dir()]


def _size(place: Path) -> int:
    """Bytes below a directory, of its first files only: a home may be on a slow file server."""
    total = count = 0
    for directory, _, names in os.walk(place):
        for name in names:
            count += 1
            if count > _MOST_FILES:
                return total
            try:
                total += Path(directory, name).lstat().st_size
            except OSError:
                continue
    return total


def judge_default_caches(caches: Iterable[tuple[Path, int]]) -> Iterable[Finding]:
    found = [(place, size) for place, size in caches if size]
    if found:
        names = ", ".join(f"{place} ({size / (1 << 20):.0f} MiB)" for place, size in found)
        yield About("caches").note(
            f"a shell without env.sh would use kernels from {names}",
            cause="they were compiled by some toolkit, and their names do not say which",
            proof="the directories",
            fix="source env.sh, which names its own; remove these when nobody uses them",
            row="57",
        )


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"

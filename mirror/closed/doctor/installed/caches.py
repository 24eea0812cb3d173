"""JIT caches that hurt without a word: compiled with another toolkit than today's, or locked by somebody (rows 57 and 58).

It finds them; ``mirror.core.logs.symptoms.flashinfer`` holds the words. Caches of this install itself lie under the
toolchain's digest (``mirror.closed.environment.variables``) and cannot be stale.

Rules:
(1) nothing is changed: files are opened for reading, a lock is asked for without waiting, shared, and let go at once;
(2) what ninja compares is compared: the text of ``cuda_home`` and ``nvcc`` in each ``build.ninja`` (CUDA.md B3), beside the
    CUDA runtime that each compiled library needs;
(3) what cannot be read is passed over, and links are not followed out of a cache.

Example::

    for finding in stale_caches(cache_roots(os.environ), Path(os.environ["CUDA_HOME"]), cuda="13.0"): ...
    for finding in held_locks(cache_roots(os.environ)): ...
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Callable

from mirror.closed.doctor.host.disks import cache_directory
from mirror.core.binaries.elf import MalformedElf, read_elf
from mirror.core.logs.finding import Finding
from mirror.core.logs.symptom import Context
from mirror.core.logs.symptoms import BY_ROW
from mirror.core.system.durable import text_of

_MOST = 5000
"""Compiled operations that are looked at in one cache; a full FlashInfer cache has about 700."""

_HEAD_BYTES = 64 << 10
_VARIABLE = re.compile(r"^(cuda_home|nvcc)[ \t]*=[ \t]*(\S.*)$", re.MULTILINE)
_RUNTIME = re.compile(r"libcudart\.so\.(\d+)")
_PATTERNS = ("*/*/cached_ops/*/build.ninja", "*/*/build.ninja", "*/build.ninja")
"""FlashInfer: ``<version>/<archs>/cached_ops/<op>``; torch: ``py311_cu128/<name>``, or ``<name>`` in a directory of its own."""

_LEFT_OVER_S = 600


def cache_roots(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where FlashInfer and torch keep what they compile, for a process with this environment; those that exist."""
    home = environment.get("HOME", "")
    workspace = environment.get("FLASHINFER_WORKSPACE_BASE") or home
    roots = [Path(workspace) / ".cache" / "flashinfer"] if workspace else []
    cache = cache_directory(environment)
    extensions = environment.get("TORCH_EXTENSIONS_DIR") or (f"{cache}/torch_extensions" if cache else "")
    roots += [Path(extensions)] if extensions else []
    return tuple(root for root in dict.fromkeys(roots) if root.is_dir())


def stale_caches(roots: Iterable[Path], cuda_home: Path | None, cuda: str = "") -> tuple[Finding, ...]:
    """Row 57: operations that were compiled with another toolkit.

    Args:
        roots: caches, as ``cache_roots`` gives them.
        cuda_home: today's ``CUDA_HOME``, as it is exported; None when there is none, which nothing is compared with then.
        cuda: today's release, ``"13.0"``; empty when not known.
    """
    found: dict[tuple[Path, str, str], list[Path]] = {}
    for root in roots:
        for operation in (path.parent for path in _files(root, *_PATTERNS)):  # what has been compiled in
            reason = _built_with(operation, cuda_home) or _loads(operation, cuda) or _older(operation, cuda_home)
            if reason:
                found.setdefault((operation.parent, *reason), []).append(operation)
    return tuple(_stale(cache, was, now, operations) for (cache, was, now), operations in found.items())


def _built_with(operation: Path, cuda_home: Path | None) -> tuple[str, str] | None:
    if cuda_home is None:
        return None
    text = ""
    with contextlib.suppress(OSError), open(operation / "build.ninja", encoding="utf-8", errors="replace") as stream:
        text = stream.read(_HEAD_BYTES)
    values = dict(reversed(_VARIABLE.findall(text)))
    was = values.get("cuda_home", "").strip()
    if not was and values.get("nvcc", "").strip().endswith("/bin/nvcc"):
        was = values["nvcc"].strip()[: -len("/bin/nvcc")]
    # FlashInfer compares texts: another spelling of the same place compiles everything again, and is no fault.
    if not was or was.startswith("$") or os.path.realpath(was) == os.path.realpath(cuda_home):
        return None
    return f"CUDA_HOME={was}", f"CUDA_HOME={cuda_home}"


def _loads(operation: Path, cuda: str) -> tuple[str, str] | None:
    major = cuda.partition(".")[0]
    for library in sorted(_files(operation, "*.so")) if major else ():
        elf = None
        with contextlib.suppress(OSError, MalformedElf), open(library, "rb") as stream:
            elf = read_elf(stream, library.name)
        for name in elf.needed if elf else ():
            runtime = _RUNTIME.match(name)
            if runtime and runtime[1] != major:
                return f"the runtime of CUDA {runtime[1]}", f"CUDA {cuda}"
    return None


def _older(operation: Path, cuda_home: Path | None) -> tuple[str, str] | None:
    """The toolkit was exchanged in its place: ninja compares sources and commands, not the compiler."""
    if cuda_home is None:
        return None
    with contextlib.suppress(OSError):
        # ctime, not mtime: an unpacked nvcc carries the time of its maker, a copied library that of its original.
        nvcc = (cuda_home / "bin" / "nvcc").stat().st_ctime
        if any(library.stat().st_ctime < nvcc for library in operation.glob("*.so")):
            return "an nvcc that was there before", f"{cuda_home}/bin/nvcc, which is newer"
    return None


def _stale(cache: Path, was: str, now: str, operations: list[Path]) -> Finding:
    first = operations[0].name
    proof = f"{len(operations)} compiled here, first of them {first}"
    groups = {"path": str(cache), "was": was, "now": now, "first": first}
    return BY_ROW["57"].finding(groups, Context(), proof)


def held_locks(
    roots: Iterable[Path],
    proc: Path = Path("/proc"),
    now: float | None = None,
    ask: Callable[[IO[bytes], int], None] = fcntl.flock,
) -> tuple[Finding, ...]:
    """Row 58: locks of a JIT build that somebody holds, or that cannot be asked for.

    Args:
        roots: caches, as ``cache_roots`` gives them.
        proc: where the kernel says who holds which lock.
        now: in seconds since 1970; by default the host's clock.
        ask: takes or lets go a lock of an open file.
    """
    found = []
    moment = time.time() if now is None else now
    for root in roots:
        for path in _files(root, "*/*/cached_ops/tmp/*.lock", "*/*/tmp/*.lock"):
            holder = _holder(path, proc, ask)
            if holder:
                found.append(_held(path, holder))
        # torch's lock is the file itself, which a build that was killed leaves behind for good.
        for path in _files(root, "*/*/lock", "*/lock"):
            with contextlib.suppress(OSError):
                age = moment - path.stat().st_mtime
                if age > _LEFT_OVER_S and path.with_name("build.ninja").exists():
                    found.append(_held(path, f"a build that began {age / 60:.0f} minutes ago or was killed"))
    return tuple(found)


def _files(root: Path, *patterns: str) -> Iterator[Path]:
    for pattern in patterns:
        with contextlib.suppress(OSError):  # a pipe's opening would wait for ever
            yield from (path for path in islice(root.glob(pattern), _MOST) if path.is_file() and not path.is_symlink())


def _holder(path: Path, proc: Path, ask: Callable[[IO[bytes], int], None]) -> str:
    """Who holds a lock; empty when nobody does."""
    try:
        with open(path, "rb") as stream:
            # filelock, which FlashInfer uses, takes flock(2), not fcntl(2)'s byte ranges.
            ask(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            ask(stream, fcntl.LOCK_UN)
        return ""
    except BlockingIOError:
        return _process(path, proc) or "a process of another machine or namespace"
    except OSError as exc:
        if exc.errno in (errno.ENOLCK, errno.EIO, errno.ESTALE, errno.ENOSYS, errno.EOPNOTSUPP):
            return f"nobody who can be asked: this file system has no working locks ({exc.strerror})"
        return ""


def _process(path: Path, proc: Path) -> str:
    """The process that holds a lock, of those that this one can see."""
    with contextlib.suppress(OSError):
        wanted = path.stat().st_ino
        for line in (proc / "locks").read_text("utf-8", "replace").splitlines():
            fields = line.split()  # 1: FLOCK ADVISORY WRITE 1234 fe:00:5678 0 EOF
            if len(fields) > 5 and "->" not in fields and fields[5].rpartition(":")[2] == str(wanted):
                name = text_of(proc / fields[4] / "comm").strip()
                return f"process {fields[4]}" + (f" ({name})" if name else "") if fields[4] != "0" else ""
    return ""


def _held(path: Path, holder: str) -> Finding:
    return BY_ROW["58"].finding({"path": str(path), "holder": holder}, Context(), f"flock on {path}")

"""Who uses a directory right now: processes and mounts, as /proc shows them, and locks that are held on a generation.

It finds the users, and holds the lock that a program started by ``mirror run`` keeps. ``mirror.closed.garbage`` acts on it.

Rules: what other users do not show counts as no use: of their processes only the command line shows, and their lock when they
were started by ``mirror run``; what cannot be told for another reason (no descriptor left, no memory, a sick disk) is an error;
nothing waits.

Example::

    users = processes_below([generation.path])[generation.path]     # ("process 4711 (vllm)",)
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from mirror.core.errors import reading
from mirror.core.names import whole_number
from mirror.core.system.durable import held_open, text_of

_TRIES, _PAUSE_S = 3, 0.02


def hold(generation: Path) -> int:
    """Lock a generation as being used, for as long as the descriptor is open in any process; -1 where no lock is kept.

    Args:
        generation: its directory.

    Returns:
        The descriptor, which programs that are started inherit.
    """
    try:
        descriptor = os.open(generation / "COMPLETE", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
    for _ in range(_TRIES):
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            os.set_inheritable(descriptor, True)
            return descriptor
        time.sleep(_PAUSE_S)  # somebody is just asking whether it is held
    os.close(descriptor)
    return -1


_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""What file systems say that keep no locks: nobody can hold one there."""


def is_held(generation: Path) -> bool:
    """Whether a program that ``mirror run`` started, of whatever user, still runs.

    Raises:
        Unreadable: when that cannot be told.
    """
    mark = generation / "COMPLETE"
    flags, absent = os.O_RDONLY | os.O_NOFOLLOW, contextlib.suppress(FileNotFoundError)
    with reading(mark), absent, held_open(os.open(mark, flags)) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as exc:
            if exc.errno not in _NO_LOCKS:
                raise
    return False


def processes_below(directories: Iterable[Path]) -> dict[Path, tuple[str, ...]]:
    """The processes that run, map, hold open or stand in something below each directory.

    Args:
        directories: absolute, without symbolic links in them.

    Raises:
        Unreadable: when it cannot be told what a process uses.
    """
    wanted = {directory: os.fsencode(directory) for directory in directories}
    found: dict[Path, list[str]] = {directory: [] for directory in wanted}
    for process in sorted(
        (path for path in Path("/proc").iterdir() if whole_number(path.name) is not None),
        key=lambda path: int(path.name),
    ):
        if not wanted or process.name == str(os.getpid()):
            continue
        with reading(process, below=True):
            places = b"\n".join(_places(process)) + b"\n"
        for directory, name in wanted.items():
            if name + b"/" in places or name + b"\n" in places:
                found[directory].append(f"process {process.name} ({text_of(process / 'comm').strip() or 'ended'})")
    return {directory: tuple(names) for directory, names in found.items()}


def mounted_below(directory: Path) -> tuple[str, ...]:
    """Where something is mounted in a directory, or upon it: what removes the directory would empty that.

    Args:
        directory: absolute, without symbolic links in it.

    Raises:
        Unreadable: when it cannot be told; on a host without /proc nothing is.
    """
    wanted = os.fsencode(directory)
    with reading("/proc/self/mountinfo"), contextlib.suppress(FileNotFoundError):
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
        # proc(5): the fifth field, in which blanks and the like are written as octal numbers.
        points = (_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), line.split(b" ")[4]) for line in lines)
        return tuple(os.fsdecode(point) for point in points if point == wanted or point.startswith(wanted + b"/"))
    return ()


_OCTAL = re.compile(rb"\\([0-7]{3})")
_NOT_SHOWN = (FileNotFoundError, ProcessLookupError, PermissionError, NotADirectoryError)
"""A process that has ended, one of another user's, and the kernel's own."""


def _places(process: Path) -> Iterator[bytes]:
    """The paths that a process has to do with, and its command line; a process may end at any time."""
    for name in ("cwd", "exe", "root"):
        with contextlib.suppress(*_NOT_SHOWN):
            yield os.fsencode((process / name).readlink())
    for name in ("maps", "cmdline"):
        with contextlib.suppress(*_NOT_SHOWN):
            yield (process / name).read_bytes().replace(b"\0", b"\n")
    with contextlib.suppress(*_NOT_SHOWN):
        for link in (process / "fd").iterdir():
            with contextlib.suppress(*_NOT_SHOWN):
                yield os.fsencode(link.readlink())

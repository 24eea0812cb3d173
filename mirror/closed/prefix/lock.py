"""The lock of a prefix: one run of mirror at a time creates, removes or activates generations there.

``mirror.closed.prefix.generations`` works under it.

Rules: the lock is the kernel's (flock), so a dead holder's is free; who waits would wait for hours, so nobody does; the file
stays, for a program that was started under the lock may still hold it.

Example::

    with holding(opened.descriptor, prefix.root) as descriptor: ...
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mirror.closed.prefix.usage import processes_below
from mirror.core.errors import MirrorError, Unreadable, Unwritable, writing
from mirror.core.system.durable import held_open


class PrefixBusy(MirrorError):
    """Another run of mirror works in this prefix."""

    ref = "prefix-busy"
    exit_code = 91
    hint = (
        "Wait until it has ended and run again. A run that died leaves no lock behind, but a program that it had started may "
        "still run, and write there: `fuser PREFIX/.lock` names it, kill ends it."
    )
    message = "{prefix} is in use by {holder:|another process}"

    prefix: str
    holder: str

    def __post_init__(self) -> None:
        self.hint = self.hint.replace("PREFIX/.lock", shlex.quote(str(Path(self.prefix, ".lock"))))


@contextmanager
def holding(directory: int, root: Path) -> Iterator[int]:
    """Hold the lock of a prefix; gives the lock's descriptor.

    Args:
        directory: the prefix, open.
        root: its path, for messages.

    Raises:
        PrefixBusy: when another process holds it.
        Unwritable: when its file cannot be made or is no file of this user's, or its file system keeps no locks.
    """
    path = root / ".lock"
    with writing(path):
        descriptor = os.open(".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=directory)
    with held_open(descriptor):
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
            raise Unwritable(str(path), "it is no file of yours")
        _flock(descriptor, root, path)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)
        yield descriptor


def _flock(descriptor: int, root: Path, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise PrefixBusy(str(root), _holder(descriptor)) from exc
    except OSError as exc:
        raise Unwritable(str(path), f"its file system keeps no locks ({exc.strerror})") from exc


def _holder(descriptor: int) -> str:
    """Who holds the lock: the run that took it, or what it had started, where it has ended."""
    told = os.pread(descriptor, 200, 0).decode("utf-8", "replace")
    found = re.fullmatch(r"process ([0-9]+) on (.*)", told, re.ASCII | re.DOTALL)
    if not found or found[2] != os.uname().nodename:
        return told
    users: tuple[str, ...] = ()
    with suppress(OSError, Unreadable):
        if Path("/proc", found[1], "cmdline").read_bytes():  # empty of one that was killed and is still listed
            return told
    with suppress(OSError, Unreadable):
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        users = processes_below([place])[place]
    return f"{' and '.join(users) or 'a program'}, which {told} had started before it ended"

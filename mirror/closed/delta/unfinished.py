"""A large file on its way to its name: stopped or killed, it is gone on with; when something fails, nothing of it stays.

Rule: what has got its name meanwhile is not replaced.

Example::

    with unfinished(Path("h100.tar"), digest) as stream:
        ...  # what is there is read, held to what it should be, and the rest written
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import glob
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mirror.core.errors import Unwritable, place_of
from mirror.core.names import Sha256Hex
from mirror.core.system.durable import facts_of, sync_directory

_AT_FDCWD, _RENAME_NOREPLACE = -100, 1
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
"""What a kernel, a C library or a file system says that has no such rename."""


@contextmanager
def unfinished(output: Path, digest: Sha256Hex) -> Iterator[BinaryIO]:
    """A file that gets its name at the end of the block. What a run that was stopped or killed has left of it is gone on with.

    Args:
        digest: of what it is to hold; it is hidden beside the output until then, under a name that this is a part of.

    Raises:
        Unwritable: when the directory or the disk refuses, or somebody else is writing it, or something else has got its name.
    """
    path = output.absolute()
    place = path.with_name(f".{path.name[:180]}.{digest[:12]}.part")
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor, is_new = os.open(place, flags | os.O_EXCL, 0o644), True
        except FileExistsError:
            descriptor, is_new = os.open(place, flags, 0o644), False
        with open(descriptor, "r+b") as stream:
            facts = os.fstat(stream.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_nlink != 1:
                raise OSError(errno.EPERM, f"{place.name}, beside it, is no file of ours")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise OSError(exc.errno, "another mirror is writing it now") from exc
            except OSError:
                if is_new:
                    place.unlink(missing_ok=True)
                raise
            try:
                _forget_others(place, path.name)
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                _take_name(place, path, output)
                sync_directory(path.parent)
            except Exception:  # not a stop: that leaves it for the next run
                place.unlink(missing_ok=True)
                raise
    except OSError as exc:
        named = place_of(exc, place)
        if named not in (str(place), str(path), str(path.parent)):
            raise
        raise Unwritable(str(output), exc.strerror or str(exc)) from exc


def _take_name(place: Path, path: Path, output: Path) -> None:
    try:
        try:
            _rename_new(place, path)
        except OSError as exc:
            if exc.errno not in _UNKNOWN:
                raise
            if facts_of(path) is not None:
                raise FileExistsError from exc
            place.replace(path)
    except FileExistsError as exc:
        error = Unwritable(str(output), "another file has got that name meanwhile, and is not replaced")
        raise error.advised("Name another file with -o, or remove that one if nobody needs it.") from exc


def _rename_new(source: Path, target: Path) -> None:
    """renameat2(2), which Python does not offer: rename(2) would replace what is there.

    Raises:
        FileExistsError: when something is. OSError: as the system says, ``_UNKNOWN`` where it cannot.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc 2.28, musl 1.2.4
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if rename(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def _forget_others(place: Path, name: str) -> None:
    """Remove what was left of another bundle that was to have this name; who is writing one keeps it."""
    for other in place.parent.glob(f".{glob.escape(name[:180])}.*.part"):
        if other != place and re.fullmatch("[0-9a-f]{12}", other.name.split(".")[-2]):
            with suppress(OSError), other.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                other.unlink()

"""Files that appear whole or not at all, and looks that never take "unknown" for "not there".

Writes go to a temporary name in the same directory, are flushed to the disk, and take their final name in one step
(rename(2)); whatever goes wrong, the temporary file is removed. A failed fsync is never tried again: the kernel may
have dropped the pages (SECURITY.md 2.4).

Rules: all steps of a write are made in one directory, which is held open; what a killed process has left is removed by the
next write of the same file, and only if nobody holds its lock; before something is removed for want of something else, that is
looked for with ``facts_of``.

Example::

    with replacing(Path("bundle.tar")) as out:
        out.write(data)
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from mirror.core.errors import InvalidDocument, Unreadable, Unwritable, WrongKind, place_of, reading, writing
from mirror.core.names import Sha256Hex
from mirror.core.progress import Advance
from mirror.core.system.filekinds import kind_of_file

_PIPE_STEP = "See that the command that writes into it succeeds, or name a file."
_UNCONFIRMED = "it has its new content, but the disk did not confirm that this outlasts a power failure"


def facts_of(path: str | Path, directory: int | None = None) -> os.stat_result | None:
    """What lstat(2) says; None only of what certainly is not there.

    ``Path.exists`` and ``os.path.lexists`` answer "no" also when the system could not tell (EIO, ESTALE, EACCES, EMFILE).

    Args:
        directory: an open one that a relative ``path`` starts from.

    Raises:
        OSError: when it cannot be told.
    """
    try:
        return os.stat(path, dir_fd=directory, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextmanager
def held_open(descriptor: int) -> Iterator[int]:
    """An open descriptor, which is closed when the block ends."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def step_into(directory: int, name: str, place: Path, mode: int | None = None, flags: int = os.O_DIRECTORY) -> int:
    """Open a directory, or with other flags whatever else, that is in an open one; never through a link.

    Args:
        place: its path, for messages.
        mode: of a directory that is made where it is missing; None for none.

    Raises:
        OSError: when it is not there, is a link, or cannot be opened; ``place`` is its ``filename``.
    """
    try:
        if mode is not None:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, mode, dir_fd=directory)
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | flags, dir_fd=directory)
    except NotADirectoryError as exc:  # what open(2) says of a link as well
        raise OSError(exc.errno, "it is a link or a file, and no directory", str(place)) from exc
    except OSError as exc:
        exc.filename = str(place)
        raise


def sha256_of(stream: IO[bytes], advance: Advance = lambda amount: None) -> Sha256Hex:
    """The digest of what a stream still holds, read piece by piece. ``advance`` is told of the bytes read."""
    digest = hashlib.sha256()
    while piece := stream.read(1 << 20):
        digest.update(piece)
        advance(len(piece))
    return Sha256Hex(digest.hexdigest())


@contextmanager
def replacing(path: Path, mode: int = 0o644, directory: int | None = None) -> Iterator[BinaryIO]:
    """Open a file that takes ``path``'s name only when the block ends well.

    Args:
        path: the final name; its directory must exist.
        mode: permission bits, lessened by the umask.
        directory: an open one, in which the last part of ``path`` is written; ``path`` is for messages then.

    Raises:
        Unwritable: when the directory or the disk refuses. When it says that the file has its new content, only that
            could not be made sure of.
    """
    temporary, is_renamed, place = "", False, -1
    try:
        with _opened(path, directory) as place:
            _sweep(place, path.name)
            temporary, descriptor = _temporary(place, path.name, mode)
            try:
                with open(descriptor, "wb") as stream:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
                    os.replace(temporary, path.name, src_dir_fd=place, dst_dir_fd=place)
                    is_renamed = True
                os.fsync(place)
            except BaseException:
                if not is_renamed:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(temporary, dir_fd=place)
                raise
    except OSError as exc:
        # Only what happened to this file is ours to name; the block's own errors pass through untouched.
        named = path.name if exc.filename is None else place_of(exc, path.name if exc.filename == place else "")
        if named not in (path.name, os.fspath(path.parent)) and not _is_temporary(named, path.name):
            raise
        reason = exc.strerror or str(exc)
        raise Unwritable(str(path), f"{reason}; {_UNCONFIRMED}" if is_renamed else reason) from exc


def _opened(path: Path, directory: int | None) -> AbstractContextManager[int]:
    """The directory of a file, open until the block ends."""
    return held_open(os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY) if directory is None else os.dup(directory))


def _temporary(place: int, name: str, mode: int) -> tuple[str, int]:
    """Make a new file that nobody else has, and lock it as being written."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    number = 0
    while True:
        temporary = f".{name[:200]}.{os.getpid()}{f'.{number}' if number else ''}.tmp"
        try:
            descriptor = os.open(temporary, flags, mode, dir_fd=place)
        except FileExistsError:
            facts = facts_of(temporary, place)
            if facts and not stat.S_ISREG(facts.st_mode):
                raise OSError(errno.ELOOP, f"{temporary}, beside it, is no file of ours") from None
            number += 1  # another thread's, or one of an equal number in another container
            continue
        with contextlib.suppress(OSError):  # where no locks are kept, the process number alone protects it
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            if os.fstat(descriptor).st_nlink:
                return temporary, descriptor
        except OSError:
            os.close(descriptor)
            os.unlink(temporary, dir_fd=place)
            raise
        os.close(descriptor)  # swept between the two steps


def remove_leftovers(path: Path, directory: int | None = None) -> None:
    """Remove what a killed process has left of a file under other names, as each write of it does.

    Args:
        directory: as ``replacing`` takes it.

    Raises:
        Unwritable: when its directory cannot be looked into.
    """
    with writing(path), contextlib.suppress(FileNotFoundError, NotADirectoryError), _opened(path, directory) as place:
        _sweep(place, path.name)


def remove_leftovers_of(place: Path, names: str, directory: int | None = None) -> None:
    """The same of every file whose whole name this expression fits, also where none is written again.

    Args:
        place: the directory, for messages where it is open.

    Raises:
        Unwritable: when the directory cannot be looked into.
    """
    with writing(place):
        there = os.listdir(place if directory is None else directory)  # noqa: PTH208 - an open one has no path
        found = (re.fullmatch(rf"\.({names})\.[0-9]+(\.[0-9]+)?\.tmp", one) for one in there)
        for path in {place / one[1] for one in found if one}:
            remove_leftovers(path, directory)


def _sweep(place: int, name: str) -> None:
    """Remove what a killed process left of this file; one that still runs keeps its own, also on another host."""
    for stale in os.listdir(place):
        if _is_temporary(stale, name) and not _is_running(int(stale[len(name[:200]) + 2 :].split(".")[0])):
            flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
            with contextlib.suppress(OSError), held_open(os.open(stale, flags, dir_fd=place)) as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where somebody holds it
                os.unlink(stale, dir_fd=place)


def _is_temporary(found: str, name: str) -> bool:
    """Whether a name is one that a temporary file of another has."""
    head = f".{name[:200]}."
    return found.startswith(head) and re.fullmatch(r"[0-9]+(\.[0-9]+)?\.tmp", found[len(head) :]) is not None


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether a process has ended and nobody has asked how, as in a container whose first process asks nobody."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as stream:
        return stream.read().rpartition(b")")[2].split()[:1] == [b"Z"]
    return False


def read_file(path: Path, most: int) -> bytes:
    """A small file that a person named; no more of a larger one is read.

    Raises:
        Unreadable: when it cannot be read, or is a pipe from which nothing came.
        WrongKind: when it is a bundle, a wheel, a key or the like.
        InvalidDocument: when it has more than ``most`` bytes.
    """
    with reading(path), open_unblocked(path) as stream:
        is_pipe = stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
        if is_pipe:
            os.set_blocking(stream.fileno(), True)
        data = stream.read(most + 1)
    if is_pipe and not data:
        raise Unreadable(str(path), "it is a pipe, and nothing came from it").advised(_PIPE_STEP)
    if kind := kind_of_file(data):
        raise WrongKind(str(path), "", kind)
    if len(data) > most:
        raise InvalidDocument(str(path), "", f"it has more than the {most} bytes allowed")
    return data


def read_if_there(path: Path, most: int) -> bytes | None:
    """A small file of ours, and one byte more of a larger one; None when it certainly is not there.

    Raises:
        Unreadable: when it cannot be read, or is no file.
    """
    with reading(path), contextlib.suppress(FileNotFoundError), open_regular(path) as stream:
        return stream.read(most + 1)
    return None


def write_all(descriptor: int, data: bytes) -> None:
    """write(2), which may take less than it is given, to the end."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def text_of(path: Path) -> str:
    """What a file says, where nothing depends on it: empty when it cannot be read."""
    with contextlib.suppress(OSError):
        return path.read_text("utf-8", "replace")
    return ""


def write_file(path: Path, data: bytes, mode: int = 0o644, directory: int | None = None) -> None:
    """Write a whole small file. Arguments and errors as ``replacing``."""
    with replacing(path, mode, directory) as stream:
        stream.write(data)


def open_unblocked(path: Path) -> BinaryIO:
    """A file for reading, without waiting: whoever puts a FIFO in its place would make everybody wait."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


def open_regular(path: Path) -> BinaryIO:
    """The same of a regular file, or a link to one.

    Raises:
        OSError: also when it is anything else: what a device says may have no end.
    """
    stream = open_unblocked(path)
    if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        return stream
    stream.close()
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_regular(path: Path, most: int) -> bytes | None:
    """What a regular file says, and one byte more of a larger one; None where none is that can be read, whatever lies there."""
    with contextlib.suppress(OSError), open_regular(path) as stream:
        return stream.read(most + 1)
    return None


def end_of(stream: IO[bytes], most: int) -> bytes:
    """What an open file ends with, at this moment, whoever else reads or writes it. Raises ``OSError``."""
    size = os.fstat(stream.fileno()).st_size
    return os.pread(stream.fileno(), min(size, most), max(0, size - most))


def create_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a whole small file that is new; killed anywhere, it is there once or not at all.

    Raises:
        FileExistsError: when something of that name is there; it is never replaced.
        Unwritable: when the directory or the disk refuses.
    """
    try:
        with _opened(path, None) as place:
            _sweep(place, path.name)
            if not _created_unnamed(place, path.name, data, mode):
                _created_named(place, path.name, data, mode)
            os.fsync(place)
    except FileExistsError:
        raise
    except OSError as exc:
        raise Unwritable(str(path), exc.strerror or str(exc)) from exc


_NO_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
"""Where a file system, or an old kernel, makes no files without a name; ENOENT: there is no /proc to name one by."""


def _created_unnamed(place: int, name: str, data: bytes, mode: int) -> bool:
    """Make a file that has no name until it is whole; False where that cannot be done."""
    try:
        descriptor = os.open(".", os.O_TMPFILE | os.O_WRONLY, mode, dir_fd=place)
    except OSError as exc:
        if exc.errno in _NO_UNNAMED:
            return False
        raise
    with open(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(descriptor)
        try:
            # open(2), O_TMPFILE: the way to a name that needs no privilege.
            os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=place, follow_symlinks=True)
        except FileNotFoundError:
            return False
    return True


def _created_named(place: int, name: str, data: bytes, mode: int) -> None:
    """The same with two names for a moment; should we be killed then, the next run sweeps the second."""
    temporary, descriptor = _temporary(place, name, mode)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
            os.link(temporary, name, src_dir_fd=place, dst_dir_fd=place)
    finally:
        os.unlink(temporary, dir_fd=place)


def make_private_directory(path: Path) -> None:
    """Make a directory, and those above it that are missing, for this user alone. One that exists stays as it is.

    Raises:
        Unwritable: when the system refuses.
    """
    with writing(path):
        for directory in (*reversed(path.parents), path):
            # mkdir(parents=True) would make those above with the umask's mode, which may let a group write.
            if not directory.is_dir():
                directory.mkdir(mode=0o700, exist_ok=True)


def sync_directory(path: Path) -> None:
    """Flush a directory's entries to the disk."""
    with held_open(os.open(path, os.O_RDONLY | os.O_DIRECTORY)) as descriptor:
        os.fsync(descriptor)

"""The one door through which a large file is read: as it lies there, or in volumes, which are not joined for it.

A file in volumes is named by its index, by any of its volumes, or by its own name where only its volumes are there. They may
lie in several directories. Opening looks whether each is there and as large as it should be; whether its bytes are the right
ones is known once whoever reads them misses something (``check``), for a digest of the whole would be a second pass.

Rules: reading is by offset (pread), so that threads may share a file; a volume that is bad is named, with what it holds
instead where that is another volume; of several copies of one the first that is good is read, the one that was named before all
others; nothing here writes.

Example::

    with open_file(Path("h100.tar.volumes"), [Path("/media/b")]) as file:
        file.read_at(4096, offset=0)
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Optional

from mirror.core.bundle.volumes.index import MAGIC, MAX_BYTES, SUFFIX, VolumeIndex, volume_name, volume_of
from mirror.core.errors import FAMILIES, MirrorError, Unreadable, place_of, reading
from mirror.core.names import Sha256Hex
from mirror.core.system.crew import may_go_on
from mirror.core.system.durable import facts_of, held_open, open_unblocked

_CHUNK = 1 << 20


class BadVolumes(MirrorError):
    """Some of a file's volumes are missing, or are not what the index says."""

    ref = "bad-volumes"
    exit_code = FAMILIES["files"]
    message = "{index}: {faults:; }"

    index: str
    faults: tuple[str, ...]
    hint: str = (
        "Copy these volumes again, beside the index or into a directory that --volumes names; the others need no new copy. "
        "If a volume is named again after that, copy the index again, too."
    )


class NoVolumeIndex(MirrorError):
    """Volumes are there, and no index that says what they are."""

    ref = "no-volume-index"
    exit_code = FAMILIES["files"]
    message = "{name}.volumes, the index of its volumes, lies in none of {places}"
    hint = "Copy the index, which 'mirror split' wrote beside the volumes, or name its directory with --volumes."

    name: str
    places: tuple[str, ...]


class VolumesMixed(MirrorError):
    """Two indexes of one name are there, and say different things."""

    ref = "volumes-mixed"
    exit_code = FAMILIES["files"]
    message = "{one} and {other} are indexes of different files, or of one that was split twice"
    hint = "Move the volumes and the index of the one that you do not mean elsewhere, then run the same command again."

    one: str
    other: str


class OpenFile:
    """A file that lies there whole.

    Attributes:
        path: the file's own, for messages and for what lies beside it.
        volumes: how many it lies in; none when it is whole.
        passed_over: what bad copies of volumes have against the index, of which another copy is read.
        places: the directories in which its index and its volumes lie.
    """

    volumes = 0
    passed_over: tuple[str, ...] = ()
    places: tuple[Path, ...] = ()

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self._descriptor = path, descriptor

    @property
    def size(self) -> int:
        """In bytes, now. Raises Unreadable."""
        with reading(self.path):
            return os.fstat(self._descriptor).st_size

    def read_at(self, size: int, offset: int) -> bytes:
        """At most ``size`` bytes from ``offset`` on; none at the end. Raises OSError: as the system says it."""
        return os.pread(self._descriptor, size, offset)

    def exactly(self, size: int, offset: int, ended: Callable[[int], MirrorError]) -> bytes:
        """So many bytes from ``offset`` on; pread may return fewer at once.

        Args:
            ended: makes the error for a file that ends before, of the byte where it does.

        Raises:
            Unreadable: when the system cannot read it.
        """
        parts = []
        while size:
            may_go_on()
            try:
                part = self.read_at(size, offset)
            except OSError as exc:
                raise Unreadable(place_of(exc, self.path), f"{exc.strerror or exc} (at byte {offset})") from exc
            if not part:
                raise ended(offset)
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b"".join(parts)

    def check(self, limit: Optional[int] = None) -> None:
        """Nothing is known of a whole file. Of volumes: look whether the bytes up to ``limit`` are what the index says.

        Raises:
            BadVolumes: when they are not.
        """


class VolumesFile(OpenFile):
    """A file in volumes: ``index`` says what it should be, and was read at ``index_path``."""

    def __init__(
        self, path: Path, index: VolumeIndex, index_path: Path, found: FoundVolumes, descriptors: Sequence[int]
    ) -> None:
        self.path, self.index, self.index_path = path, index, index_path
        self._paths, self._descriptors, self.passed_over = found.paths, descriptors, found.passed_over
        self.volumes = len(found.paths)
        self.places = tuple(dict.fromkeys(one.parent for one in (index_path, *found.paths)))

    @property
    def size(self) -> int:
        return self.index.size

    def read_at(self, size: int, offset: int) -> bytes:
        number = offset // self.index.volume_bytes
        if offset >= self.index.size:
            return b""
        start = offset - number * self.index.volume_bytes
        try:
            data = os.pread(self._descriptors[number], min(size, self.index.size_of(number + 1) - start), start)
        except OSError as exc:
            raise OSError(exc.errno, exc.strerror, str(self._paths[number])) from exc
        if not data:
            raise OSError(errno.EIO, "it has become shorter", str(self._paths[number]))
        return data

    def check(self, limit: Optional[int] = None) -> None:
        faults = []
        for number, path in enumerate(self._paths, 1):
            if limit is None or self.index.start(number) < limit:
                faults += fault_of(self.index, number, path, lambda size, at, n=number: self._piece(n, size, at))  # type: ignore[misc]
        if faults:
            raise BadVolumes(str(self.index_path), tuple(faults))

    def _piece(self, number: int, size: int, at: int) -> bytes:
        return self.read_at(min(size, self.index.size_of(number) - at), self.index.start(number) + at)


def fault_of(index: VolumeIndex, number: int, path: Path, read_at: Callable[[int, int], bytes]) -> list[str]:
    """What a volume's bytes have against the index: a sentence, or nothing.

    Args:
        read_at: gives at most so many of its bytes from an offset on.
    """
    digest, at, size = hashlib.sha256(), 0, index.size_of(number)
    try:
        while at < size and (data := read_at(min(_CHUNK, size - at), at)):
            digest.update(data)
            at += len(data)
    except OSError as exc:
        return [f"{path} cannot be read: {exc.strerror or exc} (at byte {at})"]
    actual = Sha256Hex(digest.hexdigest())
    if actual == index.digests[number - 1]:
        return []
    if actual in index.digests:
        return [
            f"{path} holds what {index.volume(index.digests.index(actual) + 1)} should: exchanged, renamed or copied twice"
        ]
    return [
        f"{path} is damaged, or of another file: its sha256 is {actual}, the index says {index.digests[number - 1]}"
    ]


@contextmanager
def open_file(path: Path, directories: Iterable[Path] = ()) -> Iterator[OpenFile]:
    """Open a file, whole or in volumes.

    Args:
        path: the file; or its index; or one of its volumes; or the name of the whole, where only its volumes are there.
        directories: where else volumes may lie.

    Raises:
        Unreadable: when it is no readable regular file.
        BadVolumes: when volumes are missing, or have another size than the index says.
        NoVolumeIndex: when there are volumes without an index.
        VolumesMixed: when there are two indexes.
        InvalidDocument: when the index is none.
    """
    descriptor = _whole(path)
    if descriptor is not None:
        with held_open(descriptor):
            yield OpenFile(path, descriptor)
        return
    places = list(dict.fromkeys((path.parent, *directories)))
    with ExitStack() as stack:
        index_path = find_index(path, places)
        if index_path is None:
            yield OpenFile(path, descriptor_of(path, stack))
            return
        index = read_index(index_path)
        places = list(dict.fromkeys((*places, index_path.parent)))
        found = find_volumes(index, index_path, places)
        whole = path if path.name == index.name else index_path.with_name(index.name)
        yield VolumesFile(whole, index, index_path, found, [descriptor_of(one, stack) for one in found.paths])


def _whole(path: Path) -> Optional[int]:
    """A file open that is neither an index nor named like a volume; None for what has to be looked for."""
    if volume_of(path.name):
        return None
    with ExitStack() as stack:
        try:
            descriptor = descriptor_of(path, stack)
        except Unreadable as exc:
            if isinstance(exc.__cause__, (FileNotFoundError, NotADirectoryError)):
                return None
            raise
        with suppress(OSError):  # whoever reads it says so
            if os.pread(descriptor, len(MAGIC), 0) == MAGIC:
                return None
        stack.pop_all()
        return descriptor


def descriptor_of(path: Path, stack: ExitStack) -> int:
    """A regular file, open for reading as long as the stack is. Raises Unreadable."""
    with reading(path):
        # Not blocking: a FIFO in its place would make everybody wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        stack.callback(os.close, descriptor)
        is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    if not is_regular:
        raise Unreadable(str(path), "not a regular file")
    return descriptor


def find_index(path: Path, places: Sequence[Path]) -> Optional[Path]:
    """The index of the volumes that a path means; None where it means a file that lies there whole, or nothing.

    Raises:
        NoVolumeIndex, VolumesMixed, Unreadable: as ``open_file``.
    """
    is_there = _is_there(path)
    if is_there and _begins_as_index(path):
        return path
    volume = volume_of(path.name)
    names = [*([] if is_there else [path.name]), *([volume[0]] if volume else [])]
    for name in names:
        found = [place / f"{name}{SUFFIX}" for place in places if _is_there(place / f"{name}{SUFFIX}")]
        texts = [_read(one) for one in found]
        for one, text in zip(found[1:], texts[1:]):
            if text != texts[0]:
                raise VolumesMixed(str(found[0]), str(one))
        if found:
            return found[0]
        for number in (1, 2):
            if not (is_there and volume == (name, number)) and any(
                _is_there(p / volume_name(name, number)) for p in places
            ):
                raise NoVolumeIndex(name, tuple(map(str, places)))
    return None


@dataclass(frozen=True)
class FoundVolumes:
    """Where each volume lies, in order, and what is against those copies that lie before it."""

    paths: tuple[Path, ...]
    passed_over: tuple[str, ...]


def find_volumes(index: VolumeIndex, index_path: Path, places: Sequence[Path]) -> FoundVolumes:
    """Where each volume lies. Of several copies the first good one is taken; one that is alone is read by nobody here.

    Raises:
        BadVolumes: when some are missing, or have another size.
        VolumesMixed: when another index of this name lies in one of the directories.
    """
    faults: list[str] = []
    paths: list[Path] = []
    passed_over: list[str] = []
    for place in places:
        other = place / f"{index.name}{SUFFIX}"
        if other != index_path and _is_there(other) and _read(other) != index.encode():
            raise VolumesMixed(str(index_path), str(other))
    for number in range(1, len(index.digests) + 1):
        sizes = [(one, _size_of(one)) for one in (place / index.volume(number) for place in places)]
        found = [(one, size) for one, size in sizes if size is not None]
        whole = [one for one, size in found if size == index.size_of(number)]
        good, bad = _first_good(index, number, whole)
        paths += good
        wrong = [
            f"{one} has {size} bytes, the index says {index.size_of(number)}" for one, size in found if one not in whole
        ]
        passed_over += (f"{fault}; another copy is read" for fault in (*bad, *(wrong if whole else ())))
        if not found:
            faults.append(f"{index.volume(number)} is missing: it lies in none of {', '.join(map(str, places))}")
        elif not whole:
            faults.append(wrong[0])
    if faults:
        raise BadVolumes(str(index_path), tuple(faults))
    return FoundVolumes(tuple(paths), tuple(passed_over))


def _first_good(index: VolumeIndex, number: int, copies: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The first good copy of a volume, and what the others before it have against the index; the first when none is good."""
    if len(copies) < 2:
        return list(copies), []
    faults: list[str] = []
    for path in copies:
        with reading(path):
            facts = path.stat()
        if not (fault := _fault_now(index, number, path, (facts.st_ino, facts.st_size, facts.st_mtime_ns))):
            return [path], faults
        faults.append(fault)
    return list(copies[:1]), []


@cache  # a command opens a file several times, and volumes are large
def _fault_now(index: VolumeIndex, number: int, path: Path, _: tuple[int, int, int]) -> str:
    """As ``fault_of``, of a file as it stands."""
    with ExitStack() as stack:
        try:
            descriptor = descriptor_of(path, stack)
        except Unreadable as exc:
            return str(exc)
        return "".join(fault_of(index, number, path, lambda size, at: os.pread(descriptor, size, at)))


def read_index(path: Path) -> VolumeIndex:
    """Raises Unreadable, InvalidDocument."""
    return VolumeIndex.parse(_read(path), path.name)


def _is_there(path: Path) -> bool:
    """Raises Unreadable: when that cannot be told."""
    try:
        return facts_of(path) is not None
    except OSError as exc:
        if exc.errno == errno.ENAMETOOLONG:
            return False  # no file has such a name
        raise Unreadable(str(path), exc.strerror or str(exc)) from exc


def _size_of(path: Path) -> Optional[int]:
    """None where no file is, also where a link leads nowhere."""
    with reading(path), suppress(FileNotFoundError, NotADirectoryError):
        return path.stat().st_size
    return None


def _begins_as_index(path: Path) -> bool:
    try:
        return path.is_file() and _read(path, len(MAGIC)) == MAGIC
    except Unreadable:
        return False  # whoever opens it says so


def _read(path: Path, size: int = MAX_BYTES + 1) -> bytes:
    with reading(path), open_unblocked(path) as stream:
        return stream.read(size) or b""

"""Writing a file's volumes and their index; and checking volumes alone, on the day on which a medium is written.

What an index says is ``mirror.core.bundle.volumes.index``; reading through volumes is ``mirror.core.bundle.volumes.opened``.

Rules: a volume has its name only when it is whole, the index is written last; a volume that stands already with the right bytes
is not written again, so that a run that was cut, or ran out of room, is gone on with by the same command; nothing but volumes
of this file is replaced; the file is read once where nothing stands yet.

Example::

    split(Path("h100.tar"), 4_000_000_000, [Path("/media/a"), Path("/media/b")])
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.core.bundle.volumes.index import (
    MAGIC,
    MAX_VOLUMES,
    SUFFIX,
    VolumeIndex,
    number_of_volumes,
    unnameable,
    volume_name,
    volume_of,
)
from mirror.core.bundle.volumes.opened import BadVolumes, NoVolumeIndex, descriptor_of, fault_of, find_index, read_index
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError, Unreadable, Unwritable, writing
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.system.durable import facts_of, open_unblocked, remove_leftovers_of, replacing, write_file

_CHUNK = 1 << 20
_GOES_ON = "Free space there, or name one more directory with -o: the same command goes on, and keeps what is there."


class CannotSplit(MirrorError):
    """A file is none that can be put into such volumes there."""

    ref = "cannot-split"
    exit_code = FAMILIES["files"]
    message = "{path} is not split: {reason}"

    path: str
    reason: str
    hint: str = "Name another file, another --size or another directory with -o; nothing was written."


@dataclass(frozen=True)
class Split:
    """What ``split`` did.

    Attributes:
        index: what it wrote, or found.
        volumes: where each volume is, in order.
        indexes: where the index is: beside every volume.
        kept: how many volumes were there already.
    """

    index: VolumeIndex
    volumes: tuple[Path, ...]
    indexes: tuple[Path, ...]
    kept: int

    def to_dict(self) -> dict[str, Any]:
        index = self.index
        volumes = [
            {"path": str(path), "size": index.size_of(number), "sha256": index.digests[number - 1]}
            for number, path in enumerate(self.volumes, 1)
        ]
        return {
            "file": index.name,
            "size": index.size,
            "sha256": index.sha256,
            "volumes": volumes,
            "indexes": list(map(str, self.indexes)),
            "kept": self.kept,
        }


def split(path: Path, volume_bytes: int, directories: Sequence[Path] = (), progress: Progress = SILENT) -> Split:
    """Write a file's volumes and their index.

    Args:
        volume_bytes: of each volume but the last; at least 1.
        directories: where to; each volume goes to the first that has room for it. By default beside the file.

    Raises:
        CannotSplit: before anything is written.
        Unreadable: when the file cannot be read, or becomes shorter meanwhile.
        Unwritable: when a directory refuses, or none has room; the volumes that are there stay.
    """
    directories = list(dict.fromkeys(directories)) or [path.parent]
    with ExitStack() as stack:
        descriptor = descriptor_of(path, stack)
        size = os.fstat(descriptor).st_size
        count = _check(path, os.pread(descriptor, len(MAGIC), 0), size, volume_bytes, directories)
        for directory in directories:  # also of volumes that this run finds, puts elsewhere or does not make
            remove_leftovers_of(directory, rf"{re.escape(path.name)}(\.[0-9]{{3}}|{re.escape(SUFFIX)})")
        with progress.task("split", size) as advance:
            work = _Work(path, descriptor, size, volume_bytes, directories, advance)
            for number in range(1, count + 1):
                work.put(number)
    index = VolumeIndex(path.name, size, volume_bytes, work.sha256, tuple(work.digests))
    indexes = tuple(dict.fromkeys(place.with_name(f"{path.name}{SUFFIX}") for place in work.places))
    for one in indexes:
        write_file(one, index.encode())
    return Split(index, tuple(work.places), indexes, work.kept)


def _check(path: Path, begin: bytes, size: int, volume_bytes: int, directories: Sequence[Path]) -> int:
    """How many volumes there will be. Raises CannotSplit, Unwritable: when there can be none."""
    if not size or begin == MAGIC:
        raise CannotSplit(str(path), "it is an index of volumes" if size else "it is empty")
    if unnameable(path.name):
        raise CannotSplit(str(path), "its name cannot stand in an index: give it a shorter one of plain characters")
    count = number_of_volumes(size, volume_bytes)
    if count > MAX_VOLUMES:
        least = number_of_volumes(size, MAX_VOLUMES)
        raise CannotSplit(
            str(path), f"{count} volumes of {volume_bytes} bytes; {MAX_VOLUMES} are allowed: {least} bytes each"
        )
    for directory in directories:
        with writing(directory):
            names = [one.name for one in directory.iterdir()]
        others = (name for name in names if (found := volume_of(name)) and found[0] == path.name and found[1] > count)
        if other := min(others, default=""):
            raise CannotSplit(
                str(path), f"{directory / other} is left from another split; this one makes {count}: remove it"
            )
        _check_standing(path, directory / f"{path.name}{SUFFIX}", volume_bytes)
    return count


def _check_standing(path: Path, index_path: Path, volume_bytes: int) -> None:
    """Raises CannotSplit: when volumes of another size are finished there: they may be on their way already."""
    try:
        if not facts_of(index_path):
            return
        standing = read_index(index_path)
    except (OSError, Unreadable, InvalidDocument):
        return  # no index: it is written anew, or the system says why it cannot be
    if standing.volume_bytes != volume_bytes:
        told = f"{index_path} is of volumes of {standing.volume_bytes} bytes, not of {volume_bytes}"
        raise CannotSplit(str(path), f"{told}: remove it with its volumes, or split into another directory")


class _Work:
    """One file on its way into volumes, which are put one after the other."""

    def __init__(
        self, path: Path, descriptor: int, size: int, volume_bytes: int, directories: Sequence[Path], advance: Advance
    ) -> None:
        self._path, self._descriptor, self._size, self._volume_bytes = path, descriptor, size, volume_bytes
        self._directories, self._advance = directories, advance
        self._whole = hashlib.sha256()
        self.digests: list[Sha256Hex] = []
        self.places: list[Path] = []
        self.kept = 0

    @property
    def sha256(self) -> Sha256Hex:
        return Sha256Hex(self._whole.hexdigest())

    def put(self, number: int) -> None:
        """Write a volume, or find it."""
        name, start = volume_name(self._path.name, number), (number - 1) * self._volume_bytes
        size = min(self._volume_bytes, self._size - start)
        standing = [one for one in (directory / name for directory in self._directories) if facts_of(one)]
        if any(self._is_equal(one, start, size) for one in standing):
            self.kept += 1
            return
        target = self._room(standing, name, size)
        whole, digest = self._whole.copy(), hashlib.sha256()
        with replacing(target) as stream:
            for data in self._data(start, size):
                stream.write(data)
                whole.update(data)
                digest.update(data)
                self._advance(len(data))
        self._done(target, whole, digest)

    def _is_equal(self, place: Path, start: int, size: int) -> bool:
        """Whether this volume stands there, byte for byte."""
        whole, digest = self._whole.copy(), hashlib.sha256()
        try:
            with open_unblocked(place) as stream:
                facts = os.fstat(stream.fileno())
                if not stat.S_ISREG(facts.st_mode) or facts.st_size != size:
                    return False
                for data in self._data(start, size):
                    if stream.read(len(data)) != data:
                        return False
                    whole.update(data)
                    digest.update(data)
        except OSError:
            return False  # it is written anew, or the system says why it cannot be
        self._advance(size)
        self._done(place, whole, digest)
        return True

    def _done(self, place: Path, whole: Any, digest: Any) -> None:
        self._whole = whole
        self.digests.append(Sha256Hex(digest.hexdigest()))
        self.places.append(place)

    def _data(self, start: int, size: int) -> Iterator[bytes]:
        while size:
            try:
                data = os.pread(self._descriptor, min(_CHUNK, size), start)
            except OSError as exc:
                raise Unreadable(str(self._path), f"{exc.strerror or exc} (at byte {start})") from exc
            if not data:
                raise Unreadable(str(self._path), f"it has become shorter: it ends at byte {start}")
            yield data
            start += len(data)
            size -= len(data)

    def _room(self, standing: Sequence[Path], name: str, size: int) -> Path:
        """Where a volume goes: over another of its name, else to the first directory with room for it."""
        if standing:
            return standing[0]
        frees = [(directory, shutil.disk_usage(directory).free) for directory in self._directories]
        for directory, free in frees:
            if free >= size + _CHUNK:
                return directory / name
        told = ", ".join(f"{directory} has {free} free" for directory, free in frees)
        error = Unwritable(str(self._directories[-1] / name), f"it takes {size} bytes; {told}")
        error.hint = _GOES_ON
        raise error


@dataclass(frozen=True)
class Checked:
    """A volume that was looked at alone.

    Attributes:
        name: of the volume.
        path: where it lies; empty where it does not.
        fault: what it has against the index; empty when it is whole.
    """

    name: str
    path: str
    fault: str


@dataclass(frozen=True)
class CheckedVolumes:
    """What ``check_volumes`` found.

    Attributes:
        index_path: of the index that they were held to.
        index: what it says.
        volumes: those that were looked at, in order.
    """

    index_path: Path
    index: VolumeIndex
    volumes: tuple[Checked, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "file": self.index.name,
            "size": self.index.size,
            "sha256": self.index.sha256,
            "index": str(self.index_path),
            "volumes": [vars(one) for one in self.volumes],
        }

    def enforce(self) -> None:
        """Raises BadVolumes: when one is missing or is not what the index says."""
        faults = tuple(one.fault for one in self.volumes if one.fault)
        if faults:
            raise BadVolumes(str(self.index_path), faults)


def check_volumes(path: Path, directories: Sequence[Path] = (), progress: Progress = SILENT) -> CheckedVolumes:
    """Read volumes and hold each to the index, whether the others are there or not.

    Args:
        path: a volume, for that one alone; or the index, or the whole's name, for all of them.
        directories: where else volumes, or the index, may lie.

    Raises:
        MirrorError: as ``mirror.core.bundle.volumes.opened.open_file``, but for volumes: those are what is told.
    """
    places = list(dict.fromkeys((path.parent, *directories)))
    beside = (place / f"{path.name}{SUFFIX}" for place in places)  # the whole may be there, too
    index_path = find_index(path, places) or next((one for one in beside if facts_of(one)), None)
    if index_path is None:
        raise NoVolumeIndex((volume_of(path.name) or (path.name,))[0], tuple(map(str, places)))
    index, volume = read_index(index_path), volume_of(path.name)
    alone = volume if volume and volume[0] == index.name and path != index_path else None
    numbers = [alone[1]] if alone else range(1, len(index.digests) + 1)
    places = list(dict.fromkeys((*places, index_path.parent)))
    checked = []
    with progress.task(
        "check", sum(index.size_of(number) for number in numbers if number <= len(index.digests))
    ) as advance:
        for number in numbers:
            name = volume_name(index.name, number)
            if number > len(index.digests):
                checked.append(Checked(name, str(path), f"{path} is no volume of it: it has {len(index.digests)}"))
                continue
            found = [path] if alone else [one for one in (place / name for place in places) if facts_of(one)]
            if not found:
                fault = f"{name} is missing: it lies in none of {', '.join(map(str, places))}"
                checked.append(Checked(name, "", fault))
            checked += [Checked(name, str(one), _fault(index, number, one, advance)) for one in found]
    return CheckedVolumes(index_path, index, tuple(checked))


def _fault(index: VolumeIndex, number: int, path: Path, advance: Advance) -> str:
    try:
        with open_unblocked(path) as stream:
            facts = os.fstat(stream.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_size != index.size_of(number):
                return f"{path} has {facts.st_size} bytes, the index says {index.size_of(number)}"

            def read_at(size: int, at: int) -> bytes:
                advance(size)
                return os.pread(stream.fileno(), size, at)

            return "".join(fault_of(index, number, path, read_at))
    except OSError as exc:
        return f"{path} cannot be read: {exc.strerror or exc}"

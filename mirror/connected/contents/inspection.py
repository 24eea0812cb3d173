"""Reading every artifact of a bundle through, several at a time, and remembering what was found.

``mirror.connected.contents.wheelcontents`` and ``mirror.connected.contents.packagecontents`` know what to look for in each kind
of file.

Rules: what was found is remembered under the artifact's digest, the kind that it was read as, and the version of what reads
it; of an RPM also under the keys that it was judged by; a memory that cannot be read, or that others could have written, is
made anew. The largest file is begun
first, for a torch takes as long as a hundred others.

Example::

    contents = inspect(tasks, store, progress)
    contents["wheels/torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl"].native.count
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mirror.connected.contents.inside import FORMAT, Contents
from mirror.connected.contents.packagecontents import read_interpreter, read_package, read_rpm_contents
from mirror.connected.contents.wheelcontents import wheel_contents
from mirror.connected.fetching.store import Store
from mirror.core.bundle.writer import SourceChanged
from mirror.core.errors import MirrorError, reading
from mirror.core.kinds import INTERPRETER, WHEEL
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.system.crew import Crew
from mirror.core.system.durable import read_regular, sha256_of
from mirror.core.toolkit.redist import RedistSource
from mirror.core.toolkit.rpmsource import TrustedRpm

_MAX_BYTES = 64 << 20

MAX_JOBS = 8
"""Files that are read at the same time; each may hold a compiled file of 8 MiB, or an xz dictionary."""


@dataclass(frozen=True)
class Task:
    """One artifact to be read.

    Attributes:
        path: in the bundle.
        sha256: of the file, checked before.
        depends: what else its contents depend on.
        read: reads it; is given a directory for temporary files, and whom to tell of bytes.
    """

    path: str
    source: Path
    sha256: Sha256Hex
    depends: str
    read: Callable[[Path, Advance], Contents]

    @property
    def key(self) -> str:
        return hashlib.sha256("\0".join((FORMAT, self.sha256, self.depends)).encode()).hexdigest()

    @classmethod
    def of_wheel(cls, path: str, source: Path, sha256: Sha256Hex) -> Task:
        return cls(path, source, sha256, WHEEL.name, lambda scratch, advance: wheel_contents(source, scratch, advance))

    @classmethod
    def of_rpm(cls, path: str, source: Path, sha256: Sha256Hex, rpm: TrustedRpm) -> Task:
        judged_by = hashlib.sha256(repr((rpm.fingerprints, [key.fingerprint for key in rpm.keys])).encode()).hexdigest()
        return cls(
            path, source, sha256, f"rpm {judged_by}", lambda scratch, _: read_rpm_contents(rpm.judge(), source, scratch)
        )

    @classmethod
    def of_archive(cls, path: str, source: Path, archive: RedistSource) -> Task:
        home = f"{archive.component} {archive.target.cuda} {archive.target.arch}"  # they decide where its files go
        return cls(
            path, source, archive.sha256, f"redist {home}", lambda scratch, _: read_package(archive.judge(), scratch)
        )

    @classmethod
    def of_interpreter(cls, path: str, source: Path, sha256: Sha256Hex) -> Task:
        return cls(path, source, sha256, INTERPRETER.name, lambda scratch, _: read_interpreter(source, scratch))


def inspect(tasks: Sequence[Task], store: Store, progress: Progress = SILENT) -> dict[str, Contents]:
    """The contents of each artifact by its path in the bundle.

    Raises:
        SourceChanged: a file is another than the one that was checked, and something is wrong with it.
        MirrorError: as the readers of RPMs and archives do. Unreadable: a file is not there any more.
        Unwritable: the store refuses.
    """
    if not store.is_own:
        progress.say(
            f"others than you can write to {store.root}: what is remembered there is not believed, all is read anew"
        )
    found = {task.path: contents for task in tasks if (contents := _remembered(task, store)) is not None}
    missing = [task for task in tasks if task.path not in found]
    if missing:
        found.update(_read(missing, store, progress))
    return found


def _read(tasks: Sequence[Task], store: Store, progress: Progress) -> dict[str, Contents]:
    sizes = {task.path: task.source.stat().st_size for task in tasks}
    largest_first = sorted(tasks, key=lambda task: -sizes[task.path])
    with (
        store.scratch() as scratch,
        progress.task("look inside", sum(sizes.values())) as advance,
        Crew(min(MAX_JOBS, len(os.sched_getaffinity(0)))) as crew,
    ):

        def read(task: Task) -> Contents:
            counted = _Counted(advance, sizes[task.path])
            contents = look_inside(task, scratch, counted, store)
            counted.finish()
            return contents

        return dict(zip((task.path for task in largest_first), crew.map(read, largest_first), strict=True))


class _Counted:
    """Tells of a file's bytes, at the end of all of them, whoever reads it."""

    def __init__(self, advance: Advance, size: int) -> None:
        self._advance, self._left = advance, size

    def __call__(self, amount: int) -> None:
        amount = min(amount, self._left)
        self._left -= amount
        self._advance(amount)

    def finish(self) -> None:
        self(self._left)


def _memory(task: Task, store: Store) -> Path:
    return store.root / "facts" / task.key[:2] / f"{task.key}.json"


def _remembered(task: Task, store: Store) -> Contents | None:
    data = read_regular(_memory(task, store), _MAX_BYTES) if store.is_own else None
    try:
        return None if data is None or len(data) > _MAX_BYTES else Contents.parse(data)
    except (ValueError, MirrorError):
        return None


def is_remembered(task: Task, store: Store) -> bool:
    """Whether something is written down for it, be it readable or not."""
    return _memory(task, store).is_file()


def look_inside(task: Task, scratch: Path, advance: Advance, store: Store) -> Contents:
    """Read an artifact, and write down what was found.

    Raises:
        SourceChanged: where something is wrong with it, and it is not the file that was checked: nothing is written down then,
            for what is remembered is of the right one.
        MirrorError: as ``inspect``.
    """
    try:
        with reading(task.source):
            contents = task.read(scratch, advance)
    except MirrorError:
        _check_source(task)
        raise
    if contents.faults:
        _check_source(task)
    remember(task, contents, store)
    return contents


def remember(task: Task, contents: Contents, store: Store) -> None:
    """Write down what was found by whoever read the artifact to its end."""
    store.note(_memory(task, store), contents.encode())


def _check_source(task: Task) -> None:
    with reading(task.source), task.source.open("rb") as stream:
        actual = sha256_of(stream)
    if actual != task.sha256:
        raise SourceChanged(str(task.source), task.sha256, actual)

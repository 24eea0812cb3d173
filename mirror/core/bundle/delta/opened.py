"""A delta's file: opened whole or in volumes, its head parsed, every byte of it held to its digests.

Example::

    with open_delta(Path("h100.tar.delta")) as delta:
        delta.check()
        delta.body(0, 100)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mirror.core.bundle.delta.document import FORMAT, MAGIC, MAX_PACKED_HEAD_BYTES, Delta
from mirror.core.bundle.volumes.opened import OpenFile, open_file
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError, reading
from mirror.core.progress import SILENT, Progress

_LINE = re.compile(rb"mirror-delta/1 ([0-9]{1,9}) ([0-9a-f]{64})\n")
_CHUNK = 1 << 20


class DamagedDelta(MirrorError):
    """A delta's bytes are not those that were written."""

    ref = "damaged-delta"
    exit_code = FAMILIES["files"]
    message = "{path} is not an intact delta: {problem}"

    path: str
    problem: str
    hint: str = "Copy the delta again. If it persists, ask its maker for a new one, or for the whole bundle."


class OpenDelta:
    """Use ``open_delta``.

    Attributes:
        path: for messages and for what lies beside it.
        passed_over: as ``OpenFile`` has it.
        head: what it says of itself.
        size: of the file, in bytes.
    """

    def __init__(self, file: OpenFile) -> None:
        self._file, self.path, self.passed_over, self.size = file, file.path, file.passed_over, file.size
        line = self._at(0, min(self.size, 128)).partition(b"\n")[0] + b"\n"
        told = _LINE.fullmatch(line)
        if told is None:
            error = DamagedDelta(str(self.path), f"it does not begin with '{FORMAT} SIZE SHA256'")
            if not line.startswith(MAGIC):
                error.hint = (
                    "Is this the right file? 'mirror bundle NAME --from PREV' writes a delta beside the bundle."
                )
            raise error
        self._start = len(line) + int(told[1])
        if int(told[1]) > MAX_PACKED_HEAD_BYTES or self._start > self.size:
            raise DamagedDelta(str(self.path), f"it has {self.size} bytes, its head is said to end at {self._start}")
        packed = self._at(len(line), int(told[1]))
        actual = hashlib.sha256(packed).hexdigest()
        if actual != told[2].decode():
            raise DamagedDelta(
                str(self.path), f"the sha256 of its head is {actual}, its first line says {told[2].decode()}"
            )
        self.head = Delta.parse(packed)
        if self.size != self._start + self.head.body_bytes:
            words = f"it has {self.size} bytes, its head describes {self._start + self.head.body_bytes}"
            raise DamagedDelta(str(self.path), words)

    def check(self, progress: Progress = SILENT) -> None:
        """Read all of it. Raises DamagedDelta: when a byte after the head is not the one that was written."""
        digest = hashlib.sha256()
        with progress.task("check", self.head.body_bytes) as advance:
            for data in self.body(0, self.head.body_bytes):
                digest.update(data)
                advance(len(data))
        if digest.hexdigest() != self.head.body_sha256:
            words = (
                f"the sha256 of what follows its head is {digest.hexdigest()}, the head says {self.head.body_sha256}"
            )
            raise DamagedDelta(str(self.path), words)

    def body(self, start: int, length: int) -> Iterator[bytes]:
        """Bytes after the head."""
        while length:
            data = self._at(self._start + start, min(_CHUNK, length))
            yield data
            start += len(data)
            length -= len(data)

    def _at(self, offset: int, size: int) -> bytes:
        return self._file.exactly(size, offset, lambda end: DamagedDelta(str(self.path), f"it ends at byte {end}"))


@contextmanager
def open_delta(path: Path, volumes: Iterable[Path] = ()) -> Iterator[OpenDelta]:
    """Open a delta.

    Args:
        path: as ``open_file`` takes it.
        volumes: directories in which volumes of it may lie.

    Raises:
        DamagedDelta, InvalidDocument: when it is none, or its head is not intact.
        MirrorError: as ``open_file``; while it is open, ``BadVolumes`` in place of what a bad volume brings about.
    """
    with open_file(path, volumes) as file:
        try:
            yield OpenDelta(file)
        except (DamagedDelta, InvalidDocument):
            file.check()
            raise


def is_delta(path: Path, volumes: Iterable[Path] = ()) -> bool:
    """Whether a file begins as deltas do. Raises MirrorError, as ``open_file``."""
    with open_file(path, volumes) as file, reading(path, below=True):
        return file.read_at(len(MAGIC), 0) == MAGIC

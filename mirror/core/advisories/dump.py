"""A downloaded dump of an OSV database: a directory of ``*.json``, or the ``all.zip`` of an ecosystem as OSV publishes it.

``mirror.core.advisories.record`` reads one record; ``mirror.core.advisories.search`` puts the answers together.

Rules: a dump is a stranger's file: it is streamed, one record at a time, each under a limit; a record that cannot be read is
counted, and a dump without any is refused; equal dumps give equal answers, wherever they lie and in whatever order a disk
gives their files.

Example::

    search_dump(Path("PyPI/all.zip"), manifest.artifacts).findings
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from mirror.core.advisories.known import Advisories, Source
from mirror.core.advisories.record import MAX_BYTES, OsvRecord
from mirror.core.advisories.search import Search
from mirror.core.archives.zipmembers import NoZip, ZipMember, zip_members
from mirror.core.bundle.manifest import Artifact
from mirror.core.errors import MirrorError, reading
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.system.durable import sha256_of

MAX_TOTAL_BYTES = 4 << 30
"""Of all records together; the Python ecosystem's have some 100 MB."""


class BadDump(MirrorError):
    """What was given as a dump of an OSV database is not one, or cannot be read as a whole."""

    ref = "bad-osv-dump"
    exit_code = 125
    hint = "Give a directory of OSV records (*.json), or an ecosystem's all.zip as the database publishes it."
    message = "{path} is no dump of an OSV database: {problem}"

    path: str
    problem: str


def search_dump(path: Path, artifacts: Iterable[Artifact], progress: Progress = SILENT) -> Advisories:
    """Hold a dump against artifacts.

    Raises:
        Unreadable: when it is not there or cannot be read.
        BadDump: when it is none.
    """
    search = Search(artifacts)
    with reading(path, below=True):
        path.stat()  # named before anything is said to have begun
        with progress.task("advisories", unit="records") as advance:
            reader = _Reader(search, path, advance)
            digest = reader.directory() if path.is_dir() else reader.zip_file(path)
    found = search.finish(Source("dump", "a directory" if path.is_dir() else path.name, digest))
    if not found.source.records:
        raise BadDump(str(path), f"it holds no record ({found.source.unreadable} files are none)")
    return found


class _Reader:
    """Feeds a search with the records of a dump, and takes its digest on the way."""

    def __init__(self, search: Search, path: Path, advance: Advance) -> None:
        self._search, self._path, self._advance, self._left = search, path, advance, MAX_TOTAL_BYTES

    def directory(self) -> str:
        """Every record in it, at any depth; the digest of their digests and names."""
        whole = hashlib.sha256()
        for path in sorted(_files(self._path)):
            name = path.relative_to(self._path).as_posix()
            digest = self.zip_file(path) if path.name == "all.zip" else self._json_file(path)
            whole.update(f"{digest}  {name}\n".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()

    def zip_file(self, path: Path) -> str:
        """Every record in a zip; its digest."""
        with open(path, "rb") as stream:
            digest = sha256_of(stream)
            try:
                for member in zip_members(stream):
                    if member.name.endswith(".json"):
                        self._record(_content(member, stream))
            except NoZip as exc:
                raise BadDump(str(path), str(exc)) from exc
        return digest

    def _json_file(self, path: Path) -> str:
        with open(path, "rb") as stream:
            self._record(stream.read(MAX_BYTES + 1))
            stream.seek(0)
            return sha256_of(stream)

    def _record(self, data: bytes | None) -> None:
        self._left -= len(data or b"")
        if self._left < 0:
            raise BadDump(str(self._path), f"it unpacks to more than {MAX_TOTAL_BYTES} bytes")
        try:
            if data is None:
                raise ValueError("it could not be unpacked")
            self._search.add(OsvRecord.parse(data))
        except ValueError:
            self._search.skip()
        self._advance(1)


def _files(directory: Path) -> Iterator[Path]:
    """The records and zips below a directory; links to directories are not followed, for they may lead round."""
    for place, _, names in os.walk(directory, onerror=_refuse):
        for path in (Path(place, name) for name in names if name.endswith(".json") or name == "all.zip"):
            if path.is_file():  # a pipe would be waited for
                yield path


def _refuse(error: OSError) -> None:
    raise error


def _content(member: ZipMember, stream: BinaryIO) -> bytes | None:
    try:
        return member.read(stream, MAX_BYTES)
    except NoZip:
        return None

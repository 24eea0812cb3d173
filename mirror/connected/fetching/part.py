"""A file that is on its way here: what has come of it, its running digest, and who may append to it.

``mirror.connected.fetching.fetch`` makes the requests that bring the bytes.

Rules: what an earlier run left is hashed again from byte 0 (SECURITY.md 56); bytes past the locked size are never written;
a part that cannot become the locked file is emptied, so that the next attempt starts afresh; one process at a time.

Example::

    with locked_part(path, stop) as stream:
        part = Part(stream, path, download, advance)
        part.reread()
        part.write(chunk)
        part.check()
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mirror.connected.fetching.download import Download
from mirror.connected.fetching.store import make_way, refuse_write
from mirror.connected.fetching.transport import CHUNK_BYTES, MAX_FILE_BYTES, BadReply, Truncated
from mirror.core.errors import MirrorError, writing
from mirror.core.progress import Advance
from mirror.core.system.crew import Stopped

_LOCK = "the lock"


class DownloadMismatch(MirrorError):
    """The bytes that came are not the locked ones.

    Attributes:
        url: where they came from, without credentials.
        expected: the sha256 that is pinned; the size, in words, when there were more bytes than that.
        actual: the sha256 that came; empty when there were more bytes than the locked size.
        content_type: what the server called them.
        transient: they were appended to an older half, so that a fresh start may help.
        pinned_by: what says which bytes it must have: the lock, or a table of ``NAME.toml``.
    """

    ref = "download-mismatch"
    exit_code = 72
    hint = "The file was replaced upstream, or altered on the way. Do not use it: compare with another source, then lock again."
    message = "{url}: {actual:sha256 is %s|it is longer}, {pinned_by} says {expected}"

    url: str
    expected: str
    actual: str
    content_type: str = ""
    transient: bool = False
    pinned_by: str = _LOCK

    def __post_init__(self) -> None:
        if self.content_type.startswith("text/html"):
            self.hint = (
                "The server sent a web page instead of the file, most likely a login or an error page: "
                "sign in, or check the proxy and the index's address."
            )
        elif self.pinned_by != _LOCK:
            self.hint = f"If you mean this file, write its sha256 in {self.pinned_by}; else bring the right one back."
        elif self.url.startswith("file:"):
            self.hint = (
                "The copy is damaged, or was altered: copy it again from where it came. If it stays so, do not use it: the "
                "file was replaced upstream; compare with another source, then lock again."
            )


class Part:
    """A half fetched file, its running digest, and how much of it was told to the progress."""

    def __init__(self, stream: io.FileIO, path: Path, download: Download, advance: Advance) -> None:
        self.stream, self.path, self.download, self.advance = stream, path, download, advance
        self.digest = hashlib.sha256()
        self.size = 0
        self.content_type = ""
        self.resumed = False
        self._told = 0

    def reread(self) -> None:
        """Hash what an earlier run left, from byte 0."""
        while chunk := self.stream.read(CHUNK_BYTES):
            self._count(chunk)
        self.resumed = self.size > 0
        if self.download.size is not None and self.size > self.download.size:
            self.clear()

    def clear(self) -> None:
        self.stream.seek(0)
        self.stream.truncate()
        self.digest = hashlib.sha256()
        self.size = 0
        self.resumed = False

    def write(self, chunk: bytes) -> None:
        limit = self.download.size
        if limit is None and self.size + len(chunk) > MAX_FILE_BYTES:
            self.clear()
            raise BadReply(self.download.shown_url, f"the reply is larger than the {MAX_FILE_BYTES} bytes allowed")
        if limit is not None and self.size + len(chunk) > limit:
            self._mismatch("")
        try:
            left = memoryview(chunk)
            while left:  # write(2) may take less than it is given
                left = left[self.stream.write(left) :]
        except OSError as exc:
            refuse_write(exc, self.path, len(chunk) if limit is None else limit - self.size)
        self._count(chunk)

    def check(self) -> None:
        """Compare with the lock; a part that is no beginning of the file is emptied."""
        limit = self.download.size
        if limit is not None and self.size < limit:
            # Without a Content-Length a body that breaks off looks whole. A web page does too: that one is told apart.
            if self.content_type.startswith("text/html"):
                self._mismatch(self.digest.hexdigest())
            raise Truncated(self.download.shown_url, limit, self.size)
        if self.digest.hexdigest() != self.download.sha256:
            self._mismatch(self.digest.hexdigest())

    def flush(self) -> None:
        try:
            os.fsync(self.stream.fileno())
        except OSError as exc:
            refuse_write(exc, self.path, self.size)

    def _mismatch(self, actual: str) -> None:
        resumed = self.resumed
        self.clear()
        expected = self.download.sha256 if actual else f"{self.download.size} bytes"
        raise DownloadMismatch(self.download.shown_url, expected, actual, self.content_type, transient=resumed)

    def _count(self, chunk: bytes) -> None:
        self.digest.update(chunk)
        self.size += len(chunk)
        if self.size > self._told:  # bytes that come a second time are not told again
            self.advance(self.size - self._told)
            self._told = self.size


@contextmanager
def locked_part(path: Path, stop: threading.Event) -> Iterator[io.FileIO]:
    """Open a part for reading and appending, alone among all processes.

    The process that held the lock before us may have renamed the file into the store: then ours is no longer the one at
    ``path``, and a new one is opened.
    """
    while True:
        with writing(path):
            make_way(path, lambda mode: stat.S_ISREG(mode) or stat.S_ISLNK(mode))  # a link is refused
            stream = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+b")
        with stream:
            while not _try_lock(stream):
                if stop.wait(0.1):
                    raise Stopped
            if not _is_at(stream, path):
                continue
            try:
                yield stream
            finally:
                if _is_at(stream, path) and os.fstat(stream.fileno()).st_size == 0:
                    path.unlink()
            return


def _try_lock(stream: io.FileIO) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(stream: io.FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False

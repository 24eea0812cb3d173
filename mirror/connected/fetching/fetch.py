"""Bringing many files into the store: in parallel, resumed, and judged by their digest alone.

``mirror.connected.fetching.transport`` makes the requests; ``mirror.connected.fetching.store`` keeps the files.

Rules: bytes are hashed as they arrive; half a file stays as a ``.part`` that the next run goes on from, after reading it
again from byte 0 (SECURITY.md 56); a file takes its name when its digest is the locked one, never before; one process
at a time fetches one digest; all failures are collected and raised together.

Example::

    paths = fetch(downloads, Store.default(), jobs=8)
    wheel = paths[downloads[0].sha256]
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import urlsplit

import requests

from mirror.connected.fetching.download import Download
from mirror.connected.fetching.part import Part, locked_part
from mirror.connected.fetching.patience import PATIENCE, Patience
from mirror.connected.fetching.store import NoSpace, Store
from mirror.connected.fetching.transport import (
    CHUNK_BYTES,
    BadReply,
    HostUnreachable,
    HttpRefused,
    Truncated,
    body,
    new_session,
    open_file,
    opened,
)
from mirror.core.errors import MirrorError, Unwritable, reading, writing
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.system.crew import Crew, Stopped
from mirror.core.system.durable import sha256_of

Arrived = Callable[[Download, Path], None]


class SeveralFailures(MirrorError):
    """More than one file could not be fetched. The exit code and the hint are those of the first.

    Attributes:
        errors: each file's own error, in the order of the downloads.
    """

    ref = "several-failures"
    exit_code = 77
    hint = "Run the same command again: what has arrived is kept."  # an instance's is its first error's

    errors: tuple[MirrorError, ...]

    def __post_init__(self) -> None:
        self.exit_code = self.errors[0].exit_code  # type: ignore[misc]  # one instance speaks for its first error
        self.hint = self.errors[0].hint

    def __str__(self) -> str:
        return f"{len(self.errors)} files could not be fetched; the first: {self.errors[0]}"

    def context(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def fetch(
    downloads: Sequence[Download],
    store: Store,
    *,
    jobs: int = 8,
    progress: Progress = SILENT,
    session: requests.Session | None = None,
    patience: Patience = PATIENCE,
    arrived: Arrived = lambda download, path: None,
) -> dict[Sha256Hex, Path]:
    """Make sure that each file is here, and say where.

    Args:
        jobs: files fetched at the same time.
        session: used for all requests and left open; a new one when None.
        arrived: told of each file that was not here, as soon as it is, by the thread that brought it: it must not take long.

    Raises:
        NoSpace: before the first byte, when the sizes that are known do not fit; or when the disk fills up.
        Unwritable: the store's directory refuses.
        MirrorError: the one failure there was (see ``mirror.connected.fetching.transport``), or ``SeveralFailures``.
    """
    wanted = {download.sha256: download for download in downloads}
    found = {digest: _found(download, store) for digest, download in wanted.items()}
    missing = [download for digest, download in wanted.items() if found[digest] is None]
    _check_space(missing, store)
    sizes = [download.likely_size for download in missing]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    paths = {digest: path for digest, path in found.items() if path is not None}
    if not missing:
        return paths
    with progress.task("fetch", total) as advance, nullcontext(session) if session else new_session(jobs) as shared:
        run = _Run(store, shared, patience, advance, arrived)
        paths.update(run.all(missing, jobs))
    return {digest: paths[digest] for digest in wanted}


def _found(download: Download, store: Store) -> Path | None:
    """A file that is here already; one that was cut off since it was checked is taken away, to be fetched again."""
    path = store.find(download.sha256, download.filename)
    if path is None:
        return None
    with reading(path):
        size = path.stat().st_size
        if size and size == (download.likely_size or size):
            return path
        with path.open("rb") as stream:
            if sha256_of(stream) == download.sha256:  # its size was a server's word
                return path
    if path == store.path(download.sha256, download.filename):  # the wheelhouse is the user's
        with writing(path):
            path.unlink()
    return None


def _check_space(missing: Sequence[Download], store: Store) -> None:
    """Refuse before the first byte when it is known that the files will not fit."""
    incoming = store.root / "incoming"
    with writing(store.root):
        incoming.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(incoming).free
    needed = sum((download.likely_size or 0) - _size_of(store.part(download.sha256)) for download in missing)
    if needed > free:
        raise NoSpace(str(store.root), needed, free)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class _Run:
    """The state that the threads of one ``fetch`` share."""

    def __init__(
        self, store: Store, session: requests.Session, patience: Patience, advance: Advance, arrived: Arrived
    ) -> None:
        self.store, self.session, self.patience, self.advance = store, session, patience, advance
        self.arrived = arrived
        self.stop = threading.Event()
        self.unreachable: dict[str, HostUnreachable] = {}
        self.responses: set[requests.Response] = set()

    def all(self, missing: Sequence[Download], jobs: int) -> dict[Sha256Hex, Path]:
        # The largest first: a big file begun last would be waited for alone.
        queue = sorted(missing, key=lambda download: -(download.likely_size or 0))
        with Crew(max(1, jobs)) as crew:
            futures = {download.sha256: crew.submit(self.one, download) for download in queue}
            try:
                for future in as_completed(futures.values()):
                    if not future.cancelled() and isinstance(future.exception(), (NoSpace, Unwritable)):
                        self.give_up(crew)  # each other file would fail in the same way
            except BaseException:  # Ctrl-C: let the threads end in order, then pass it on
                self.give_up(crew)
                raise
        _raise_failures([futures[download.sha256] for download in missing])
        return {digest: future.result() for digest, future in futures.items()}

    def give_up(self, crew: Crew) -> None:
        self.stop.set()
        crew.shutdown(wait=False, cancel_futures=True)
        for response in tuple(self.responses):
            try:
                response.raw.shutdown()  # wakes a thread that waits for bytes
            except (ValueError, OSError):
                continue  # it has just ended by itself

    def one(self, download: Download) -> Path:
        with locked_part(self.store.part(download.sha256), self.stop) as stream:
            path = self.store.find(download.sha256, download.filename)  # another process may have been faster
            if path is not None:
                return path
            part = Part(stream, self.store.part(download.sha256), download, self.advance)
            part.reread()
            self.receive(download, part)
            part.flush()
            path = self.store.adopt(part.path, download.sha256, download.filename)
        self.arrived(download, path)
        return path

    def receive(self, download: Download, part: Part) -> None:
        """Ask until the part holds the locked bytes."""
        host = urlsplit(download.url).netloc
        for attempt in range(self.patience.attempts):
            if host in self.unreachable:
                raise HostUnreachable(download.shown_url, self.unreachable[host].reason)
            try:
                if part.size != download.size:
                    self.request(download, part)
                part.check()
                return
            except MirrorError as error:
                pause_s = self.patience.pause_s(error, attempt)
                if pause_s is None:
                    if isinstance(error, HostUnreachable):
                        self.unreachable[host] = error
                    raise
                if self.stop.wait(pause_s):
                    raise Stopped from error

    def request(self, download: Download, part: Part) -> None:
        """One request: append what it brings."""
        if urlsplit(download.url).scheme == "file":
            part.clear()
            with open_file(download.url) as source:
                return self.append(part, iter(lambda: source.read(CHUNK_BYTES), b""))
        headers = {"Range": f"bytes={part.size}-"} if part.size else {}
        try:
            with opened(self.session, download.url, headers, self.patience) as response:
                part.content_type = response.headers.get("Content-Type", "")
                _meet_range(response, part, download)
                self.responses.add(response)
                try:
                    return self.append(part, body(response, self.patience))
                finally:
                    self.responses.discard(response)
        except HttpRefused as error:
            if error.status != 416 or not part.size:
                raise
            part.clear()  # what we have is longer than the file there
            raise Truncated(download.shown_url, download.size, 0) from error

    def append(self, part: Part, chunks: Iterator[bytes]) -> None:
        for chunk in chunks:
            if self.stop.is_set():
                raise Stopped
            part.write(chunk)


def _meet_range(response: requests.Response, part: Part, download: Download) -> None:
    """Go on where the part ends only if that is what the server sends (SECURITY.md 56)."""
    if response.status_code == 200:
        part.clear()
        return
    start = response.headers.get("Content-Range", "")
    if not part.size:
        raise BadReply(download.shown_url, "it answers 206 to a request for the whole file")
    if not start.startswith(f"bytes {part.size}-"):
        part.clear()
        raise Truncated(download.shown_url, download.size, 0)


def _raise_failures(futures: Sequence[Future[Path]]) -> None:
    """Raise what the threads raised, in the order of the downloads; a fault of ours before any named failure."""
    raised = [future.exception() for future in futures if not future.cancelled()]
    for error in raised:
        if error is not None and not isinstance(error, (MirrorError, Stopped)):
            raise error
    errors = tuple(error for error in raised if isinstance(error, MirrorError))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise SeveralFailures(errors)

"""The wheels of a bundle, given to the package index that a site has: by twine, and only those that it has not got.

``mirror.closed.site.index`` tells what it has; twine, a program of the site's or of mirror's own Python, uploads.

Rules: every page is asked before the first upload: the same bytes under a name are left alone, other bytes end the command
before anything was uploaded; nothing is overwritten; credentials reach twine in its environment alone; a few wheels at a time
are copied out of the bundle, into a directory that goes when they are there; cut anywhere, the same command goes on.

Example::

    published = publish_index(bundle, read_shelf(bundle), "https://pypi.site.example/")
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from mirror.closed.site.credentials import Credentials, ask_keyring, read_credentials
from mirror.closed.site.directory import copy_out
from mirror.closed.site.index import IndexRefused, IndexUnreachable, SiteIndex
from mirror.closed.site.pages import SiteWheel
from mirror.closed.site.shelf import NameTaken, NothingToGive, Published, Shelf, left_out
from mirror.core.bundle.reader import Bundle
from mirror.core.errors import FAMILIES, MirrorError, writing
from mirror.core.progress import SILENT, Progress
from mirror.core.trust.scratch import scratch_directory

_BATCH_FILES, _BATCH_BYTES = 32, 1 << 30
_STATUS = re.compile(r"HTTPError: ([0-9]{3}) (.*?)(?: from |$)")
_UPLOADING = re.compile(r"^Uploading (\S+)$", re.MULTILINE)
_CONNECTION = re.compile(
    r"(?:ConnectionError|ConnectTimeout|ReadTimeout|SSLError|ProxyError|ChunkedEncodingError): (.*)"
)


class TwineMissing(MirrorError):
    """There is no twine on this machine."""

    ref = "twine-missing"
    exit_code = FAMILIES["install"]
    hint = (
        "Put 'twine' on the PATH, or install it for the Python that runs mirror; a bundle of a stack that wishes for twine "
        "brings it. Without it: 'mirror publish --to DIR' or 'mirror serve', which need nothing."
    )
    message = "twine uploads to an index, and it is neither on the PATH nor in {python}"

    python: str


class UploadFailed(MirrorError):
    """Twine did not upload a file, for a reason of its own."""

    ref = "upload-failed"
    exit_code = FAMILIES["install"]
    hint = "What twine says tells why; then run the same command again: it goes on with what is missing."
    message = "twine did not upload {name} to {url}"

    name: str
    url: str
    said: str

    def context(self) -> str:
        return "\n".join(f"  {line}" for line in self.said.splitlines())


def publish_index(bundle: Bundle, shelf: Shelf, url: str, pages: str = "", progress: Progress = SILENT) -> Published:
    """Upload the wheels that an index has not got.

    Args:
        url: where it takes uploads, without credentials.
        pages: where its pages are, if not in a usual place below that.

    Raises:
        NothingToGive: when there are no wheels.
        TwineMissing: when nobody can upload.
        NameTaken: when it has other bytes under a name of the bundle's; then nothing was uploaded.
        IndexRefused, IndexUnreachable, NoIndexPages, UploadFailed: as the index answers.
        MirrorError: as ``read_credentials`` and ``copy_out``.
    """
    if not shelf.wheels:
        raise NothingToGive(str(bundle.path), "wheels")
    twine = find_twine()
    credentials = read_credentials(url, os.environ)
    try:
        index = SiteIndex.find(url, pages, credentials)
    except IndexRefused as exc:
        credentials = ask_keyring(url, twine, os.environ) if exc.status == 401 and not credentials else None
        if not credentials:
            raise
        index = SiteIndex.find(url, pages, credentials)
    there = _there(index, shelf, url, progress)
    new = [wheel for wheel in shelf.wheels if wheel.filename not in there]
    with progress.task("upload", sum(wheel.size for wheel in new)) as advance:
        for batch in _batches(new):
            _upload(bundle, shelf, batch, url, twine, credentials)
            for wheel in batch:
                advance(wheel.size)
    index.forget()
    listed = [wheel.filename for wheel in new if wheel.filename in index.files_of(wheel.project)]
    notes = [f"{wheel.filename} was uploaded, and is not listed yet" for wheel in new if wheel.filename not in listed]
    if shelf.packages:
        notes.append(
            f"{len(shelf.packages)} RPMs are for a directory ('mirror publish --to DIR') or for 'mirror serve'"
        )
    notes += left_out(bundle.manifest)
    return Published(url, tuple(wheel.filename for wheel in new), tuple(there), tuple(notes), index.pages)


def find_twine() -> list[str]:
    """The command that runs twine.

    Raises:
        TwineMissing: when there is none.
    """
    if importlib.util.find_spec("twine"):
        return [sys.executable, "-m", "twine"]
    if program := shutil.which("twine"):
        return [program]
    raise TwineMissing(sys.executable)


def _there(index: SiteIndex, shelf: Shelf, url: str, progress: Progress) -> list[str]:
    """The names of what the index has already. Raises as ``publish_index``."""
    there, taken = [], []
    with progress.task("ask the index", len(shelf.wheels), "wheels") as advance:
        for wheel in shelf.wheels:
            listed = index.files_of(wheel.project).get(wheel.filename)
            if listed:
                digest = index.digest_of(listed, wheel.size)
                there.append(wheel.filename)
                if digest != wheel.sha256:
                    taken.append((wheel.filename, digest, wheel.sha256))
            advance(1)
    if taken:
        raise NameTaken(url, tuple(taken))
    return there


def _batches(wheels: Sequence[SiteWheel]) -> Iterator[list[SiteWheel]]:
    """As many as are worth a start of twine, and no more than a disk for temporary files has room for."""
    batch: list[SiteWheel] = []
    for wheel in wheels:
        if batch and (len(batch) == _BATCH_FILES or sum(one.size for one in batch) + wheel.size > _BATCH_BYTES):
            yield batch
            batch = []
        batch.append(wheel)
    if batch:
        yield batch


def _upload(
    bundle: Bundle,
    shelf: Shelf,
    wheels: Sequence[SiteWheel],
    url: str,
    twine: Sequence[str],
    credentials: Optional[Credentials],
) -> None:
    with writing(tempfile.gettempdir(), below=True), scratch_directory("mirror-publish-") as directory:
        paths = [Path(directory, wheel.filename) for wheel in wheels]
        for wheel, path in zip(wheels, paths):
            copy_out(bundle, shelf.artifacts[wheel.filename], path)
        words = ["upload", "--non-interactive", "--disable-progress-bar", "--repository-url", url]
        environment = {**os.environ, **(credentials.environment() if credentials else {})}
        environment.update(NO_COLOR="1", COLUMNS="1000", PYTHONIOENCODING="utf-8")  # one line each, however long
        done = subprocess.run(
            [*twine, *words, *map(str, paths)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        raise _failure(done.stdout.decode("utf-8", "replace"), url, wheels)


def _failure(said: str, url: str, wheels: Sequence[SiteWheel]) -> MirrorError:
    """What twine's words mean."""
    started = _UPLOADING.findall(said)
    name = started[-1] if started else wheels[0].filename
    doing = f"the upload of {name}"
    if refused := _STATUS.search(said):
        return IndexRefused(url, int(refused[1]), refused[2], doing)
    if cut := _CONNECTION.search(said):
        return IndexUnreachable(url, doing, cut[1][:300])
    if "NonInteractive" in said or "could not determine credentials" in said:
        return IndexRefused(url, 401, "no credentials were found", doing)
    return UploadFailed(name, url, "\n".join(said.strip().splitlines()[-5:]))

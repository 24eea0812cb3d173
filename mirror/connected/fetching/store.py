"""What is here already: files by digest, wheels built here, and the user's wheelhouse.

``mirror.connected.fetching.fetch`` brings files, ``mirror.connected.building.builder`` builds wheels.

Rules: a file's directory is its sha256, so one name can never mean two contents; it keeps its real name inside, for tools
read wheel tags from it; it is renamed into place only after its digest was checked. A wheelhouse belongs to the user: it is
read, never written, and a file there counts only if its digest is the locked one. What is remembered of files (``facts``,
``found``, ``pages``, ``answers``, ``unchanged``, ``foreseen``, ``tried``) is believed only where the store is the user's own.
What lies where a file belongs and is none (a FIFO, a device, a directory) is not there, and makes way for the file.

Layout below the root::

    sha256/<2 digits>/<64 digits>/<filename>      checked files
    incoming/<64 digits>.part                     half fetched ones
    built/<64 digits>/                            a wheel built here, build.json, build.log
    facts/<2 digits>/<64 digits>.json             what was found inside a file (``mirror.connected.contents.inspection``)
    found/<64 digits>.json                        which files pins mean (``mirror.connected.index.found``)
    pages/read.json                               what pages of indexes say (``mirror.connected.index.pagememory``)
    answers/<64 digits>.json                      what resolvers answered (``mirror.connected.resolving.answers``)
    unchanged/<64 digits>.json                    bundles whose bytes were checked (``mirror.connected.packing.unchanged``)
    tried/<64 digits>                             Pythons that keep their promises here (``mirror.connected.building.trial``)
    foreseen/<64 digits>.json                     which bundle inputs make (``mirror.connected.packing.foreseen``)
    scratch/<random>/, <random>.lock              what a run that is under way unpacks

Example::

    path = Store.default().find(sha256, "a-1.0-py3-none-any.whl")
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from mirror.connected.fetching.claim import claimed, sweep
from mirror.core.errors import MirrorError, Unwritable, writing
from mirror.core.fields import strict_json
from mirror.core.names import Sha256Hex
from mirror.core.system.crew import may_go_on
from mirror.core.system.durable import facts_of, open_regular, read_regular, sha256_of, sync_directory, write_file
from mirror.core.system.home import user_directory
from mirror.core.trust.ownership import reaching


class NoSpace(MirrorError):
    """The disk is full, or will be.

    Attributes:
        path: where the bytes were to go.
        needed: bytes still to be written there.
        free: bytes free there.
    """

    ref = "no-space"
    exit_code = 74
    hint = "Free space there, or point XDG_CACHE_HOME at a larger disk; what is here already is kept."
    message = "{path}: {needed} bytes are needed, {free} bytes are free"

    path: str
    needed: int
    free: int


def refuse_write(exc: OSError, path: Path, needed: int) -> NoReturn:
    """Name a failed write: ``NoSpace`` when the disk or the quota is full, ``Unwritable`` otherwise."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        raise NoSpace(str(path), needed, shutil.disk_usage(path.parent).free) from exc
    raise Unwritable(str(path), exc.strerror or str(exc)) from exc


class Store:
    """Content-addressed files below one directory, which is made on first use.

    Attributes:
        root: the directory.
        wheelhouse: files that the user brought, looked at first; None for none.
    """

    def __init__(self, root: Path, wheelhouse: Path | None = None) -> None:
        self.root, self.wheelhouse = root.absolute(), wheelhouse
        self._digests: dict[tuple[str, int, int], str] = {}

    @classmethod
    def default(cls, wheelhouse: Path | None = None) -> Store:
        """The user's own store: ``$XDG_CACHE_HOME/mirror``, else ``~/.cache/mirror``. Raises NoHome as ``user_directory``."""
        return cls(user_directory("XDG_CACHE_HOME", ".cache") / "mirror", wheelhouse)

    @cached_property
    def is_own(self) -> bool:
        """Whether nobody but the user can have put there what is remembered: what others may write is not believed."""
        try:
            with reaching(self.root, is_followed=True) as way:
                return not way.exposures({os.geteuid()})
        except OSError:
            return False

    def find(self, sha256: Sha256Hex, filename: str) -> Path | None:
        """The file with this digest and name, or None. The wheelhouse's digests are checked, once in a process."""
        for path in (self._in_wheelhouse(sha256, filename), self.path(sha256, filename)):
            if path is not None and path.is_file():
                return path
        return None

    def path(self, sha256: Sha256Hex, filename: str) -> Path:
        """Where the file is kept, or would be."""
        return self.root / "sha256" / sha256[:2] / sha256 / filename

    def note(self, path: Path, data: bytes) -> None:
        """Write down what only saves time: where the store is full or closed, the next run is slower, and none fails."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            make_way(path)
            write_file(path, data)
        except (OSError, MirrorError):
            return

    def recall(self, path: Path, most: int) -> Any:
        """What ``note`` wrote down in JSON, of so many bytes at the most; None for none, or for what is not to be believed."""
        data = read_regular(path, most) if self.is_own else None
        try:
            return None if data is None else strict_json(data, path.name, most)
        except MirrorError:
            return None

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty directory on the store's file system, removed at the end; what killed runs left of theirs goes first.

        Raises:
            OSError: when the store refuses.
        """
        top = self.root / "scratch"
        top.mkdir(parents=True, exist_ok=True)
        sweep(top)
        directory = top / secrets.token_hex(8)
        with claimed(directory):
            directory.mkdir(0o700)
            yield directory

    def part(self, sha256: Sha256Hex) -> Path:
        """Where the file grows while it is fetched."""
        return self.root / "incoming" / f"{sha256}.part"

    def built(self, key: Sha256Hex) -> Path:
        """The directory of the wheel that was built under this key, or would be."""
        return self.root / "built" / key

    def adopt(self, part: Path, sha256: Sha256Hex, filename: str) -> Path:
        """Give a flushed file, whose digest the caller has checked, its final name.

        Raises:
            Unwritable: when the store's directory refuses.
        """
        path = self.path(sha256, filename)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            make_way(path)
            part.replace(path)
            sync_directory(path.parent)
        return path

    def _in_wheelhouse(self, sha256: Sha256Hex, filename: str) -> Path | None:
        if self.wheelhouse is None:
            return None
        path = self.wheelhouse / filename
        try:
            facts = path.stat()
            seen = (filename, facts.st_size, facts.st_mtime_ns)
            if seen not in self._digests:
                self._digests[seen] = file_sha256(path)
        except OSError:
            return None  # absent, unreadable or no file: it is fetched instead
        return path if self._digests[seen] == sha256 else None


def make_way(path: Path, fits: Callable[[int], bool] = stat.S_ISREG) -> None:
    """Take away what lies where a file of the store's belongs and is none; for a directory it is ``stat.S_ISDIR`` that fits.

    Raises:
        OSError: when it cannot be taken away.
    """
    facts = facts_of(path)
    if facts is None or fits(facts.st_mode):
        return
    if stat.S_ISDIR(facts.st_mode):
        shutil.rmtree(path)
    else:
        path.unlink()


def file_sha256(path: Path) -> Sha256Hex:
    """Digest a file without reading it whole. Raises ``OSError``, also of what is no file."""
    with open_regular(path) as stream:
        return sha256_of(stream, lambda amount: may_go_on())

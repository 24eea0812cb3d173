"""Copies of toolchain repositories (``--toolchain-repo``) that stacks were locked from, remembered on this machine.

A lock names the vendor's repository and never a copy, so that both give one lock; without this memory, the bundle of a lock
made from a copy would go to the vendor's host, which may be out of reach.

Rules: the memory is in the cache, by the digest of the toolchain's lock: another machine has none, and nothing is lost with it;
an address with credentials is not written down; a copy is believed nothing, for a lock pins digests and keys.

Example::

    copies = Copies(store)
    copies.remember(path, "/mnt/cuda-rpms")
    copies.of(path)     # "/mnt/cuda-rpms"
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from mirror.connected.fetching.download import redacted
from mirror.connected.fetching.store import Store
from mirror.core.system.durable import read_regular, write_file

_MAX_BYTES = 4096


class Copies:
    """The memory of one store."""

    def __init__(self, store: Store) -> None:
        self._directory = store.root / "copies"

    def remember(self, lock: Path, location: str) -> None:
        """Note the copy that a toolchain's lock was made from. Raises Unwritable when the store cannot be written."""
        if "://" not in location and not location.startswith("file:"):
            location = str(Path(location).absolute())
        elif redacted(location) != location:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        write_file(self._file(lock), location.encode())

    def of(self, lock: Path) -> str:
        """The copy that a toolchain's lock was made from; empty when there was none, or nobody here knows."""
        try:
            return (read_regular(self._file(lock), _MAX_BYTES) or b"").decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    def _file(self, lock: Path) -> Path:
        return self._directory / hashlib.sha256(lock.read_bytes()).hexdigest()


def is_there(location: str) -> bool:
    """Whether a remembered copy may still be asked: an address, or a directory that is there."""
    return "://" in location or location.startswith("file:") or Path(location).is_dir()

"""What was read on an index's pages, remembered by the page's digest: a page that has not changed is not parsed again.

A page is fetched each time, so that what is withdrawn or new is seen; reading one of fifteen thousand files takes far longer
than fetching and hashing it.

Rules: the memory is of a pure function (page, address, version -> files), so its key is all of its arguments; an address that
may hold a secret is never written down; where others than the user can write, nothing is believed.

Example::

    memory = PageMemory(store)
    memory.recall(PageMemory.key(digest, url, project, version))      # None: the page is to be read
    memory.close()
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from mirror.connected.fetching.store import Store
from mirror.core.errors import MirrorError
from mirror.core.fields import canonical_json, strict_json
from mirror.core.system.durable import write_file

_MAX_BYTES = 64 << 20
_MAX_ENTRIES = 4_000
"""What is beyond is forgotten, oldest first: pages change, and with them their keys."""


class PageMemory:
    """The memory of one store; to be closed, which writes it down. Safe for several threads."""

    def __init__(self, store: Store) -> None:
        self._store, self._path = store, store.root / "pages" / "read.json"
        self._lock = threading.Lock()
        self._used: dict[str, Sequence[Any]] = {}
        self._is_new = False

    @staticmethod
    def key(digest: str, url: str, project: str, version: str) -> str:
        """Of what a page of this digest, at an address, says about a version of a project; about all, where none is named."""
        return hashlib.sha256("\0".join((digest, url, project, version)).encode()).hexdigest()

    def recall(self, key: str) -> Sequence[Any] | None:
        """What was remembered; None for nothing."""
        with self._lock:
            entry = self._used.get(key, self._entries.get(key))
            if not isinstance(entry, list):
                return None
            self._used[key] = entry
            return entry

    def remember(self, key: str, entry: Sequence[Any]) -> None:
        """Keep it for ``close``; a list of what JSON can hold."""
        with self._lock:
            self._used[key], self._is_new = entry, True

    def close(self) -> None:
        """Write down what is new.

        Raises:
            Unwritable: when the store refuses.
        """
        if self._is_new:
            older = ((key, entry) for key, entry in self._entries.items() if key not in self._used)
            kept = [*older, *self._used.items()][-_MAX_ENTRIES:]
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._path, canonical_json({"pages": [[key, entry] for key, entry in kept]}))
            self._is_new = False

    @cached_property
    def _entries(self) -> dict[str, Any]:
        if not self._store.is_own:
            return {}
        try:
            pages = strict_json(self._path.read_bytes(), "pages", _MAX_BYTES)["pages"]
            return {str(key): entry for key, entry in pages}
        except (OSError, MirrorError, LookupError, TypeError, ValueError):  # none, or another version's
            return {}

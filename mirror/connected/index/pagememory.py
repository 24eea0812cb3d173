"""What was read on an index's pages, remembered by the page's digest: a page that has not changed is not parsed again.

A page is asked for each time, so that what is withdrawn or new is seen: an index that gives an ``ETag`` says that the page is
still the one, and sends no byte of it; of any other the page is fetched and hashed, which takes far less than reading fifteen
thousand files in it.

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
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mirror.connected.fetching.store import Store
from mirror.core.fields import canonical_json

_MAX_BYTES = 64 << 20
_MAX_ENTRIES = 4_000
"""What is beyond is forgotten, oldest first: pages change, and with them their keys."""

_MAX_ETAG = 256


@dataclass(frozen=True)
class KnownPage:
    """A page as it was last seen: what its server calls that state of it, and the sha256 of its bytes."""

    etag: str
    digest: str


class PageMemory:
    """The memory of one store; to be closed, which writes it down. Safe for several threads."""

    def __init__(self, store: Store) -> None:
        self._store, self._path = store, store.root / "pages" / "read.json"
        self._lock = threading.Lock()
        self._used: dict[str, Sequence[Any]] = {}
        self._seen: dict[str, KnownPage] = {}
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

    def known(self, url: str) -> KnownPage | None:
        """The page at an address, as it was last seen; None where it was not, or its server gives no ``ETag``."""
        key = _address(url)
        with self._lock:
            return self._seen.get(key) or self._read[1].get(key)

    def note(self, url: str, etag: str, digest: str) -> None:
        """A page was fetched whole; nothing is noted without an ``ETag`` that can be sent again."""
        if etag and len(etag) <= _MAX_ETAG and etag.isascii() and etag.isprintable():
            with self._lock:
                self._seen[_address(url)], self._is_new = KnownPage(etag, digest), True

    def close(self) -> None:
        """Write down what is new."""
        if self._is_new:
            older = ((key, entry) for key, entry in self._entries.items() if key not in self._used)
            kept = [*older, *self._used.items()][-_MAX_ENTRIES:]
            seen = {key: one for key, one in self._read[1].items() if key not in self._seen} | self._seen
            etags = [[key, one.etag, one.digest] for key, one in list(seen.items())[-_MAX_ENTRIES:]]
            document = {"pages": [[key, entry] for key, entry in kept], "etags": etags}
            self._store.note(self._path, canonical_json(document))
            self._is_new = False

    @property
    def _entries(self) -> dict[str, Any]:
        return self._read[0]

    @cached_property
    def _read(self) -> tuple[dict[str, Any], dict[str, KnownPage]]:
        document = self._store.recall(self._path, _MAX_BYTES)
        try:
            etags = {str(key): KnownPage(str(etag), str(digest)) for key, etag, digest in document["etags"]}
            return {str(key): entry for key, entry in document["pages"]}, etags
        except (LookupError, TypeError, ValueError):  # none, or another version's
            return {}, {}


def _address(url: str) -> str:
    """An address that may hold a secret, as a key."""
    return hashlib.sha256(url.encode()).hexdigest()

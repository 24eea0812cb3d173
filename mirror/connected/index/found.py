"""Which file a pin means, remembered: an index is asked once for each pin, whatever else a lock pins beside it.

``mirror.connected.index.choice`` chooses among what an index offers.

Rules: what is remembered hangs on the pin (with its digests), the target, whether it is built, and the index that it comes
from; a URL that may hold a secret is never written down; where others than the user can write, nothing is believed; the lock's
digest decides about the bytes all the same.

Example::

    memory = FoundFiles(store, stack)
    memory.recall(pin)      # None: its index is to be asked
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mirror.connected.fetching.download import Download
from mirror.connected.fetching.store import Store
from mirror.connected.pins.requirements import Pin
from mirror.connected.stack.stack import Stack
from mirror.core.errors import MirrorError
from mirror.core.fields import Fields, canonical_json
from mirror.core.names import sha256_hex

_MAX_BYTES = 16 << 20
_MAX_FILES = 10_000
"""What is beyond is forgotten, oldest first."""


@dataclass(frozen=True)
class FoundFile:
    """The one file of a pin.

    Attributes:
        download: its size as a hint.
        uploaded: seconds since 1970 UTC, by the index's word; 0 when it does not say.
    """

    download: Download
    uploaded: int = 0


class FoundFiles:
    """The memory of a store, as far as a stack's target goes."""

    def __init__(self, store: Store, stack: Stack) -> None:
        self._store, self._stack = store, stack
        target = hashlib.sha256(canonical_json(stack.target.to_dict())).hexdigest()
        self._path = store.root / "found" / f"{target}.json"

    def recall(self, pin: Pin) -> FoundFile | None:
        """What was found for it; None when nobody asked yet."""
        line = self._lines.get(self._key(pin))
        try:
            return _parsed(line) if line else None
        except (MirrorError, ValueError):  # written by another version
            return None

    def remember(self, found: Iterable[tuple[Pin, FoundFile]]) -> None:
        """Write down what was found."""
        lines = dict(self._lines)
        for pin, file in found:
            if file.download.url == file.download.shown_url:  # secrets are never written down
                key = self._key(pin)
                lines.pop(key, None)
                lines[key] = _line(file)
        if lines != self._lines:
            kept = list(lines.items())[-_MAX_FILES:]
            self._store.note(self._path, canonical_json({"files": [{"pin": key, **line} for key, line in kept]}))
            self._lines = dict(kept)

    @cached_property
    def _lines(self) -> dict[str, dict[str, Any]]:
        document = self._store.recall(self._path, _MAX_BYTES)
        try:
            return {line.pop("pin"): line for line in document["files"]}
        except (AttributeError, LookupError, TypeError):  # none, or another version's
            return {}

    def _key(self, pin: Pin) -> str:
        index = self._stack.index_of(pin.name) or self._stack.indexes.get("default", "")
        own = self._stack.archive_of(pin.name)
        index = own.tree.archive.url if own else index
        whence = [index, index in self._stack.page_urls, self._stack.is_built(pin.name)]
        return hashlib.sha256(canonical_json([pin.name, pin.version, sorted(pin.hashes), whence])).hexdigest()[:32]


def _line(file: FoundFile) -> dict[str, Any]:
    return {
        "url": file.download.url,
        "filename": file.download.filename,
        "sha256": file.download.sha256,
        "size_hint": file.download.size_hint or 0,
        "uploaded": file.uploaded,
    }


def _parsed(line: dict[str, Any]) -> FoundFile:
    fields = Fields(line, "found files")
    digest, hint = fields.checked("sha256", sha256_hex), fields.number("size_hint")
    download = Download(fields.text("url"), fields.text("filename"), digest, size_hint=hint)
    found = FoundFile(download, fields.number("uploaded"))
    fields.end()
    return found

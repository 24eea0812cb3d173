"""The bundle that is foreseen: of equal inputs comes the bundle that came of them before.

``mirror.connected.gathering`` makes a manifest of a plan, its locks, the files that they pin and the wheels that were built: a
pure function, which takes seconds for two hundred wheels. What came of it is remembered as the bundle's beginning (manifest,
signatures, roots) and what was told; ``mirror.connected.packing.unchanged`` finds out whether a file is that bundle, to the
last byte.

Rules: the memory's key is all that the function is given, and the function itself (``mirror.connected.fetching.inputs``); a
beginning is believed only when a file has it, the digest says so and the user's own key has signed it (``Bundle.trust``);
where others than the user can write, nothing is believed.

Example::

    foreseen = Foreseen(store)
    key = inputs_of(plan, locks, built)
    foreseen.recall(key, output)       # None: it is to be made
    foreseen.remember(key, head, notes)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mirror.connected.fetching.store import Store
from mirror.core.errors import MirrorError
from mirror.core.fields import Fields, canonical_json
from mirror.core.names import Sha256Hex, sha256_hex

_MAX_BYTES = 1 << 20
_MAX_HEAD_BYTES = 64 << 20
"""What is longer is thought through again."""


@dataclass(frozen=True)
class Known:
    """What came of inputs before: with what the bundle begins, and what a person was told of it."""

    head: bytes
    notes: tuple[str, ...]


class Foreseen:
    """The memory of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def recall(self, key: Sha256Hex, output: Path) -> Known | None:
        """What came of the inputs before, if the file at ``output`` begins so; None otherwise."""
        try:
            document = Fields(self._store.recall(self._path(key), _MAX_BYTES), "foreseen")
            digest, size = document.checked("head", sha256_hex), document.number("size")
            notes = document.texts("notes")
            with output.open("rb") as stream:
                head = stream.read(min(size, _MAX_HEAD_BYTES))
        except (OSError, MirrorError):  # none, or another version's
            return None
        return Known(head, notes) if hashlib.sha256(head).hexdigest() == digest else None

    def remember(self, key: Sha256Hex, head: bytes, notes: tuple[str, ...]) -> None:
        """Write down what came of them."""
        digest = hashlib.sha256(head).hexdigest()
        self._store.note(self._path(key), canonical_json({"head": digest, "size": len(head), "notes": list(notes)}))

    def _path(self, key: Sha256Hex) -> Path:
        return self._store.root / "foreseen" / f"{key}.json"

"""The bundle that is foreseen: of equal inputs comes the bundle that came of them before.

``mirror.connected.gathering`` makes a manifest of a plan, its locks, the files that they pin and the wheels that were built: a
pure function, which takes seconds for two hundred wheels. What came of it is remembered as the bundle's beginning (manifest,
signatures, roots) and what was told; ``mirror.connected.packing.standing`` finds out whether a file is that bundle, to the
last byte.

Rules: the memory's key is all that the function is given, and the function itself: every file of this mirror, the interpreter,
and what is installed beside it with the digests of its files (RECORD); what is no plain value has no digest, and is an error;
a beginning is believed only when a file has it, the digest says so and the user's own key has signed it (``Bundle.trust``);
where others than the user can write, nothing is believed.

Example::

    foreseen = Foreseen(store)
    key = inputs_of(plan, locks, built)
    foreseen.recall(key, output)       # None: it is to be made
    foreseen.remember(key, head, notes)
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import mirror
from mirror.connected.fetching.store import Store
from mirror.core.errors import MirrorError
from mirror.core.fields import Fields, canonical_json, strict_json
from mirror.core.names import Sha256Hex, sha256_hex
from mirror.core.system.durable import write_file

_FORMAT = "mirror-foreseen/1"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Known:
    """What came of inputs before.

    Attributes:
        head: with which the bundle begins.
        notes: what a person was told of it.
    """

    head: bytes
    notes: tuple[str, ...]


class Foreseen:
    """The memory of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def recall(self, key: Sha256Hex, output: Path) -> Known | None:
        """What came of the inputs before, if the file at ``output`` begins so; None otherwise."""
        if not self._store.is_own:
            return None
        try:
            document = Fields(strict_json(self._path(key).read_bytes(), "foreseen", _MAX_BYTES), "foreseen")
            digest, size = document.checked("head", sha256_hex), document.number("size")
            with output.open("rb") as stream:
                head = stream.read(size)
            notes = document.texts("notes")
        except (OSError, MirrorError):  # none, or another version's
            return None
        return Known(head, notes) if hashlib.sha256(head).hexdigest() == digest else None

    def remember(self, key: Sha256Hex, head: bytes, notes: tuple[str, ...]) -> None:
        """Write down what came of them.

        Raises:
            Unwritable: when the store refuses.
        """
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(head).hexdigest()
        write_file(path, canonical_json({"head": digest, "size": len(head), "notes": list(notes)}))

    def _path(self, key: Sha256Hex) -> Path:
        return self._store.root / "foreseen" / f"{key}.json"


def inputs_of(*values: object) -> Sha256Hex:
    """The digest of values, and of what makes bundles of them.

    Raises:
        TypeError: for a value that is not plain: equal ones could not be told.
    """
    document = [_FORMAT, _maker(), [_plain(value) for value in values]]
    return Sha256Hex(hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest())


def _plain(value: Any) -> Any:
    """A value as JSON can hold it, such that different ones differ. Raises ``TypeError``."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, bytes):
        return ["bytes", hashlib.sha256(value).hexdigest()]
    if isinstance(value, (Path, Requirement, datetime)):
        return [type(value).__name__, str(value)]
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return ["set", sorted(json.dumps(_plain(one), sort_keys=True) for one in value)]
    if isinstance(value, Mapping):
        pairs = ([json.dumps(_plain(key), sort_keys=True), _plain(one)] for key, one in value.items())
        return ["mapping", sorted(pairs, key=lambda pair: pair[0])]
    if is_dataclass(value) and not isinstance(value, type):
        facts = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return [f"{type(value).__module__}.{type(value).__qualname__}", facts]
    raise TypeError(f"{type(value)} has no digest")


def _maker() -> str:
    """The digest of this mirror, the interpreter and the distributions that are installed beside it."""
    digest = hashlib.sha256(sys.version.encode())
    home = Path(mirror.__file__).parent
    for path in sorted(home.rglob("*")):
        if path.suffix != ".pyc" and path.is_file():
            digest.update(f"\0{path.relative_to(home)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    for one in sorted(_installed()):
        digest.update(f"\0{one}".encode())
    return digest.hexdigest()


def _installed() -> list[str]:
    """Each distribution by its list of files with their digests; its metadata where it has none."""
    papers = (one.read_text("RECORD") or one.read_text("METADATA") or "" for one in metadata.distributions())
    return [hashlib.sha256(paper.encode()).hexdigest() for paper in papers]

"""The bundle that is there already: a run that would write the same bytes again writes none.

``mirror.core.bundle.writer`` writes a bundle. Its bytes are a function of its head (manifest, signatures, roots), so a file
that begins with that head, and of which every further byte is verified, is the one that would be written.

A file whose every byte was checked is noted with its state: device, inode, size, and the times of its last writing and last
change, the second of which no program can set. As long as the state is that one, nobody has written to the file, and the bytes
are not read again; damage of the disk itself is what ``mirror verify`` is for, which believes no note.

Rules: the head is made anew and compared in every run; a note counts only where it is the user's own, and only for the head
that it was made with; a state is noted only when it outlasts the clock's resolution, so that a later writing must change it;
what is there and is not that bundle, or is damaged, is no error: it is written anew.

Example::

    notes = Unchanged(store)
    begin = head(data, signatures, roots)
    digest = notes.digest(output, begin, root, progress)    # None: it is to be packed
    notes.note(output, begin, digest, before)                       # ``written_state`` of before it was checked
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from mirror.connected.fetching.store import Store
from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import MirrorError
from mirror.core.fields import Fields, canonical_json
from mirror.core.names import Sha256Hex, sha256_hex
from mirror.core.progress import SILENT, Progress
from mirror.core.trust.root import Root
from mirror.core.trust.verdict import REVIEW

_MAX_BYTES = 4096
_RESOLUTION_S = 0.02
"""The kernel's clock for files ticks every 10 ms at the slowest."""


class Unchanged:
    """The notes of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def digest(self, output: Path, head: bytes, root: Root, progress: Progress = SILENT) -> Sha256Hex | None:
        """The sha256 of the file at ``output``, when it is the bundle that would be written there; None otherwise.

        Args:
            head: with which that bundle begins (``mirror.core.bundle.layout.head``).
            root: that it is held to; signatures may be missing, of those who sign beside it.
        """
        try:
            if not _begins_with(output, head):
                return None
            noted = self._noted(output, head)
            if noted:
                progress.say(
                    f"{output} is this very bundle: it begins as it would, and was not written to since every byte of it was "
                    "checked ('mirror verify' reads them again)"
                )
                return noted
            before = written_state(output)
            digest = _checked(output, root, progress)
            self.note(output, head, digest, before)
            progress.say(f"{output} is this very bundle: every byte was checked, none is written again")
            return digest
        except (MirrorError, OSError):
            return None

    def note(self, output: Path, head: bytes, digest: Sha256Hex, before: str) -> None:
        """Every byte of the file was checked just now; nothing is noted where it was written to meanwhile.

        Args:
            before: its ``written_state`` of before the check.
        """
        state = _state(output)
        time.sleep(_RESOLUTION_S)
        if _state(output) == state and written_state(output) == before:
            document = {"head": _sha256(head), "sha256": digest, "state": state}
            self._store.note(self._path(output), canonical_json(document))

    def _noted(self, output: Path, head: bytes) -> Sha256Hex | None:
        try:
            note = Fields(self._store.recall(self._path(output), _MAX_BYTES), "note")
            digest = note.checked("sha256", sha256_hex)
            is_same = note.text("head") == _sha256(head) and note.text("state") == _state(output)
        except (OSError, MirrorError):  # none, or another version's
            return None
        return digest if is_same else None

    def _path(self, output: Path) -> Path:
        return self._store.root / "unchanged" / f"{_sha256(os.fsencode(output.absolute()))}.json"


def written_state(path: Path) -> str:
    """What changes with every writing, and not when the file gets another name."""
    facts = path.stat()
    return f"{facts.st_dev} {facts.st_ino} {facts.st_size} {facts.st_mtime_ns}"


def _state(path: Path) -> str:
    """What changes with every writing, whatever time a program sets afterwards."""
    return f"{written_state(path)} {path.stat().st_ctime_ns}"


def _checked(output: Path, root: Root, progress: Progress) -> Sha256Hex:
    with open_bundle(output) as bundle:
        bundle.trust(root, required=REVIEW)
        return bundle.verify_whole(progress)


def _begins_with(path: Path, head: bytes) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(head)) == head


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

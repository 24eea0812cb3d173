"""The bundle that stands already: a run that would write the same bytes again reads them instead.

``mirror.core.bundle.writer`` writes a bundle. Its bytes are a function of its head (manifest, signatures, roots), so a file
that begins with that head, and of which every further byte is verified, is the one that would be written.

Rules: nothing is remembered of a file and no time or size of it is believed; what stands and is not that bundle, or is damaged,
is no error: it is written anew.

Example::

    digest = standing(output, head(data, signatures, roots), root, progress)    # None: it is to be packed
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mirror.connected.fetching.store import file_sha256
from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import Interrupted, MirrorError
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Progress
from mirror.core.trust.root import Root
from mirror.core.trust.verdict import REVIEW


def standing(output: Path, head: bytes, root: Root, progress: Progress = SILENT) -> Sha256Hex | None:
    """The sha256 of the file at ``output``, when it is the bundle that would be written there; None otherwise.

    Args:
        head: with which that bundle begins (``mirror.core.bundle.writer.head``).
        root: that it is held to; signatures may be missing, of those who sign beside it.
    """
    try:
        if not _begins_with(output, head):
            return None
        with open_bundle(output) as bundle, ThreadPoolExecutor(1) as pool:
            bundle.trust(root, required=REVIEW)
            digest = pool.submit(file_sha256, output)  # beside the checks: it is one member after another, they are not
            bundle.verify(progress)
            return digest.result()
    except Interrupted:
        raise
    except (MirrorError, OSError):
        return None


def _begins_with(path: Path, head: bytes) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(head)) == head

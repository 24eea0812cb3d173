"""The interpreter, looked at again: every member of its archive, judged as the closed side will judge it."""

from __future__ import annotations

from mirror.core.archives.tarstream import TarStream
from mirror.core.bundle.manifest import Artifact
from mirror.core.bundle.reader import Bundle
from mirror.core.vetting.rules import Finding


def look(bundle: Bundle, artifact: Artifact) -> tuple[Finding, ...]:
    """Nothing, where it can be unpacked. Raises BadArchive otherwise."""
    with bundle.open(artifact) as stream:
        for _ in TarStream(stream, artifact.filename, artifact.unpacked_limit):
            pass
    return ()

"""Other users of the host: whether they can use an install, and what they should know.

What is installed belongs to one user, may be read by all and written by nobody else (``readable_for_others``); whether
others get that far is up to the directories above it, which are not ours to open. Their caches are their own
(``mirror.closed.environment.variables``).

Rules: nothing is changed; what keeps others out is a note, never a fault, for most installs have one user.

Example::

    notes = sharing_notes(prefix.root, manifest, interpreter)
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

from mirror.core.bundle.manifest import Manifest
from mirror.core.names import dotted_numbers

_MODE = 0o022


@contextmanager
def readable_for_others() -> Iterator[None]:
    """Whatever the user's umask is: all may read what is made in this block, and nobody else may write it."""
    before = os.umask(_MODE)
    try:
        yield
    finally:
        os.umask(before)


def sharing_notes(prefix: Path, manifest: Manifest, python: Optional[Path]) -> tuple[str, ...]:
    """What stands between other users and a stack; one sentence each.

    Args:
        prefix: absolute, its parents resolved; need not exist.
        python: the host's interpreter that the venv is made from; None for the one that the bundle carries.
    """
    notes = []
    for what, path in (("this stack", prefix), ("the Python that this stack runs on", python)):
        closed = closed_directory(path) if path else None
        if closed:
            notes.append(f"other users of this host cannot reach {what}: {closed}")
    return (*notes, *_cubin_notes(manifest))


def closed_directory(path: Path) -> str:
    """The topmost directory on the way to ``path`` that does not let everybody through."""
    path = Path(os.path.realpath(path))
    for place in (*reversed(path.parents), path):
        try:
            mode = place.stat().st_mode
        except OSError:
            return ""
        if stat.S_ISDIR(mode) and not mode & stat.S_IXOTH:
            only = "its group only" if mode & stat.S_IXGRP else "its owner only"
            return f"{place} is open to {only} (mode {stat.S_IMODE(mode):04o})"
    return ""


def _cubin_notes(manifest: Manifest) -> Iterator[str]:
    """Where FlashInfer writes into its own package (CUDA.md B3).

    With flashinfer-cubin installed, its header links for the kernels of SM 10.x are made, and locked, inside that package, from
    0.6.8 on; no variable moves them before 0.6.16. On Hopper these modules are never compiled, and nothing is written.
    """
    version = next((item.version for item in manifest.wheels if item.name == "flashinfer-cubin"), "")
    if version and dotted_numbers(version) >= (0, 6, 8) and manifest.target.gpu.startswith(("sm_10", "sm_110")):
        yield (
            f"FlashInfer {version} makes links inside its cubin package when it first compiles for {manifest.target.gpu}: "
            "only the owner of this install can"
        )

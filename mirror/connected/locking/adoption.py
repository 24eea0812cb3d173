"""Locking for a host of the closed network: ``[target]`` of ``NAME.toml`` is what its file says, if the lock comes of it.

``mirror.connected.stack.host`` changes the file; this module takes the change back where nothing was locked.

Rule: a ``NAME.toml`` and its Python lock are of one target; where only the toolchain could not be locked, both stay so.

Example::

    with adopted(wishes, Path("target.toml"), progress) as notes:
        lock(wishes, options, store, progress)
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mirror.connected.stack.host import adopt
from mirror.connected.stack.stack import Stack
from mirror.connected.toolchain.repository import RepositoryUnreachable
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import write_file
from mirror.core.targets.detected import Detected
from mirror.core.targets.fit import remarks


@contextmanager
def adopted(path: Path, source: Path, progress: Progress = SILENT) -> Iterator[tuple[str, ...]]:
    """``adopt``; where the block does not end well, the ``NAME.toml`` is as it was before.

    Returns:
        What changed, and what might disturb on that host; one sentence each.

    Raises:
        MirrorError: as ``Detected.load``, ``Stack.load`` and ``adopt``.
    """
    host = Detected.load(source)
    Stack.load(path)  # which names what keeps it from being read
    before, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    changed = adopt(path, host, source.name)
    for one in changed:
        progress.say(f"{path}: [target] {one}, as {source.name} has it")
    told = tuple(f"[target] of {path.name} changed: {one}" for one in changed)
    try:
        yield (*told, *remarks(Stack.load(path).target, host, source.name))
    except RepositoryUnreachable:
        raise  # the Python side is locked for the new target
    except BaseException:
        if changed:
            write_file(path, before, mode)
        raise

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

from mirror.connected.stack.host import adopt, wanted_of
from mirror.connected.stack.stack import Stack
from mirror.connected.toolchain.repository import RepositoryUnreachable
from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.names import dotted_numbers
from mirror.core.progress import SILENT, Progress
from mirror.core.stackfiles import written
from mirror.core.system.durable import write_file
from mirror.core.target import Target
from mirror.core.targets.detected import Detected
from mirror.core.targets.fit import remarks


class ForOneOfSeveral(MirrorError):
    """A host's file was to be taken into a NAME.toml that is for several targets.

    Attributes:
        values: what is to be written, a line each.
    """

    ref = "for-one-of-several"
    exit_code = FAMILIES["lock"]
    hint = "Write that into [targets.TARGET], and lock it without a host's file."
    message = "{file} is for several targets, and is not changed for one: [targets.{target}] has to say {values}"

    file: str
    target: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        self.hint = self.hint.replace("TARGET", self.target)


def _left_out(before: Target, now: Target) -> Iterator[str]:
    """Who was served and is not any more."""
    if dotted_numbers(now.glibc) > dotted_numbers(before.glibc):
        yield (
            f"hosts with a glibc older than {now.glibc} are left out from now on: if there are some, let glibc of [target] be "
            f"theirs, as {before.glibc} was, and lock again without a host's file"
        )


@contextmanager
def adopted(path: Path, source: Path, progress: Progress = SILENT) -> Iterator[tuple[str, ...]]:
    """``adopt``; where the block does not end well, the ``NAME.toml`` is as it was before.

    Returns:
        What changed, and what might disturb on that host; one sentence each.

    Raises:
        ForOneOfSeveral: when it is one target of several, and something is to be changed.
        MirrorError: as ``Detected.load``, ``Stack.load`` and ``adopt``.
    """
    host = Detected.load(source)
    stack = Stack.load(path)  # which names what keeps it from being read
    path, target = written(path)
    if target:
        if changes := wanted_of(stack, host, source.name):
            raise ForOneOfSeveral(path.name, target, tuple(f'{key} = "{value}"' for key, value in changes.items()))
        yield remarks(stack.target, host, source.name)
        return
    before, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    changed = adopt(path, host, source.name)
    for one in changed:
        progress.say(f"{path}: [target] {one}, as {source.name} has it")
    told = tuple(f"[target] of {path.name} changed: {one}" for one in changed)
    try:
        target_now = Stack.load(path).target
        yield (*told, *_left_out(stack.target, target_now), *remarks(target_now, host, source.name))
    except RepositoryUnreachable:
        raise  # the Python side is locked for the new target
    except BaseException:
        if changed:
            write_file(path, before, mode)
        raise

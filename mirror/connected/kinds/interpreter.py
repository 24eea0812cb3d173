"""The interpreter, on the connected side: one archive, pinned in ``NAME.toml`` itself or in ``NAME.python.toml``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mirror.connected.contents.inspection import Task
from mirror.connected.fetching.download import Download, filename_of, redacted
from mirror.connected.kinds.facet import Facet, Gathered, Planned, Wanted
from mirror.connected.locking.interpreter import InterpreterLock
from mirror.connected.packing import meta
from mirror.connected.planning.plan import Part, UnusableName
from mirror.connected.stack.interpreter import InterpreterPin, InterpreterWish
from mirror.core.kinds import INTERPRETER
from mirror.core.target import Target


class Interpreters(Facet):
    KIND = INTERPRETER

    def plan(self, wanted: Wanted) -> Planned:
        """Raises ``UnusableName`` when the URL ends in no plain file name."""
        pin = _pin(wanted)
        if pin is None:
            return Planned()
        try:
            download = Download(pin.url, filename_of(pin.url), pin.sha256)
        except ValueError as exc:
            raise UnusableName(redacted(pin.url), str(exc)) from exc
        part = Part(self.KIND, "python", wanted.stack.target.python, download, is_optional=pin.is_optional)
        return Planned((part,))

    def unpacked_size(self, part: Part, path: Path, target: Target) -> int:
        """Of its files, each member judged as the closed side will judge it."""
        return meta.tar_size(path)

    def tasks(self, gathered: Gathered) -> Iterable[Task]:
        return (Task.of_interpreter(one.path, source, one.sha256) for one, source in gathered.files(self.KIND))


def _pin(wanted: Wanted) -> InterpreterPin | None:
    """The archive: that of ``NAME.toml``, or that of the lock where a version is wished for."""
    wish, lock = wanted.stack.wishes.get(INTERPRETER), wanted.locks.pinned.get(INTERPRETER)
    if isinstance(wish, InterpreterWish) and isinstance(lock, InterpreterLock):
        return InterpreterPin(lock.pins[0].url, lock.pins[0].sha256, wish.is_optional)
    return wish if isinstance(wish, InterpreterPin) else None

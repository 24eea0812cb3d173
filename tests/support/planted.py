"""mirror's command line with one bug planted in it, by which the harness of faults is proven.

``python -m tests.support.planted NAME WORDS...`` runs mirror so; each bug is one that people make.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Optional

from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.history import Event, History
from mirror.core.errors import MirrorError, Unwritable
from mirror.core.system import durable
from tests.support.alone import stand_alone

_activate, _remove, _lock = Prefix.activate, Prefix.remove, Prefix.lock


def current_replaced_in_two_steps() -> None:
    def activate(self: Prefix, generation: Generation) -> None:
        (self.root / "current").unlink()
        (self.root / "current").symlink_to(Path("gens") / generation.name)

    Prefix.activate = activate  # type: ignore[method-assign]


def error_swallowed() -> None:
    def activate(self: Prefix, generation: Generation) -> None:
        with contextlib.suppress(Unwritable):
            _activate(self, generation)

    Prefix.activate = activate  # type: ignore[method-assign]


def error_without_a_name() -> None:
    def activate(self: Prefix, generation: Generation) -> None:
        try:
            _activate(self, generation)
        except Unwritable as exc:
            raise KeyError(exc.path) from exc

    Prefix.activate = activate  # type: ignore[method-assign]


def mark_removed_last() -> None:
    def remove(self: Prefix, generation: Generation) -> None:
        for path in sorted(generation.path.iterdir(), key=lambda entry: entry.name == "COMPLETE"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        generation.path.rmdir()

    Prefix.remove = remove  # type: ignore[method-assign]


def removal_told_that_was_not_made() -> None:
    def remove(self: Prefix, generation: Generation) -> None:
        with contextlib.suppress(MirrorError, OSError):
            _remove(self, generation)

    Prefix.remove = remove  # type: ignore[method-assign]


def history_rewritten() -> None:
    def append(self: History, event: Event) -> None:
        old = self.path.read_bytes() if self.path.exists() else b""
        with self.path.open("wb") as stream:
            stream.write(old + json.dumps(vars(event), sort_keys=True).encode() + b"\n")

    History.append = append  # type: ignore[method-assign]


def lock_that_outlives_its_holder() -> None:
    @contextlib.contextmanager
    def lock(self: Prefix) -> Iterator[int]:
        try:
            os.close(os.open(self.root / ".pid", os.O_RDWR | os.O_CREAT | os.O_EXCL))
        except FileExistsError as exc:
            raise Unwritable(str(self.root), "somebody works here") from exc
        try:
            with _lock(self) as descriptor:
                yield descriptor
        finally:
            (self.root / ".pid").unlink()

    Prefix.lock = lock  # type: ignore[method-assign]


def files_written_in_place() -> None:
    @contextlib.contextmanager
    def replacing(path: Path, mode: int = 0o644, directory: Optional[int] = None) -> Iterator[BinaryIO]:
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode, dir_fd=directory), "wb") as stream:
                yield stream
        except OSError as exc:
            raise Unwritable(str(path), str(exc.strerror)) from exc

    durable.replacing = replacing


def temporary_left_after_an_error() -> None:
    @contextlib.contextmanager
    def replacing(path: Path, mode: int = 0o644, directory: Optional[int] = None) -> Iterator[BinaryIO]:
        temporary = path.with_name(path.name + ".part")
        try:
            with open(
                os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode, dir_fd=directory), "wb"
            ) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(temporary, path, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError as exc:
            raise Unwritable(str(path), str(exc.strerror)) from exc

    durable.replacing = replacing


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        current_replaced_in_two_steps, error_swallowed, error_without_a_name, mark_removed_last, history_rewritten,
        lock_that_outlives_its_holder, removal_told_that_was_not_made, files_written_in_place, temporary_left_after_an_error,
    )
}  # fmt: skip
"""By name."""

if __name__ == "__main__":
    BUGS[sys.argv[1]]()
    stand_alone()
    from mirror.cli.main import main  # what it imports takes what was planted

    sys.exit(main(sys.argv[2:]))

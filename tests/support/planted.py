"""mirror's command line with one bug planted in it, by which the harness of faults is proven.

``python -m tests.support.planted NAME WORDS...`` runs mirror so; each bug is one that people make.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from mirror.closed.prefix import generations, lock
from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.history import Event, History
from mirror.core import durable
from mirror.core.errors import Unwritable

_activate = Prefix.activate


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
    def remove_tree(path: Path) -> None:
        for name in sorted(path.iterdir(), key=lambda entry: entry.name == "COMPLETE"):
            shutil.rmtree(name) if name.is_dir() else name.unlink()
        path.rmdir()

    vars(generations)["remove_tree"] = remove_tree


def history_rewritten() -> None:
    def append(self: History, event: Event) -> None:
        old = self.path.read_bytes() if self.path.exists() else b""
        import json

        with self.path.open("wb") as stream:
            stream.write(old + json.dumps(event.to_dict(), sort_keys=True).encode() + b"\n")

    History.append = append  # type: ignore[method-assign]


def lock_that_outlives_its_holder() -> None:
    @contextlib.contextmanager
    def holding(root: Path) -> Iterator[int]:
        try:
            descriptor = os.open(root / ".pid", os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except FileExistsError as exc:
            raise Unwritable(str(root), "somebody works here") from exc
        try:
            yield descriptor
        finally:
            os.close(descriptor)
            (root / ".pid").unlink()

    lock.holding = generations.holding = holding  # type: ignore[attr-defined]


def unknown_taken_for_no() -> None:
    def is_complete(self: Generation) -> bool:
        try:
            return bool(self.complete.read_bytes())
        except OSError:
            return False

    Generation.is_complete = property(is_complete)  # type: ignore[assignment,method-assign]


def files_written_in_place() -> None:
    @contextlib.contextmanager
    def replacing(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
                yield stream
        except OSError as exc:
            raise Unwritable(str(path), str(exc.strerror)) from exc

    durable.replacing = replacing


def temporary_left_after_an_error() -> None:
    @contextlib.contextmanager
    def replacing(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
        temporary = path.with_name(path.name + ".part")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except OSError as exc:
            raise Unwritable(str(path), str(exc.strerror)) from exc

    durable.replacing = replacing


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        current_replaced_in_two_steps, error_swallowed, error_without_a_name, mark_removed_last, history_rewritten,
        lock_that_outlives_its_holder, unknown_taken_for_no, files_written_in_place, temporary_left_after_an_error,
    )
}  # fmt: skip
"""By name."""

if __name__ == "__main__":
    BUGS[sys.argv[1]]()
    from mirror.cli.main import main  # what it imports takes what was planted

    sys.exit(main(sys.argv[2:]))

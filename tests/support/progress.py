"""Listeners to long work: one that keeps what is said, and one that makes a file meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mirror.core.progress import Advance, Silent


class Heard(Silent):
    """A ``Progress``.

    Attributes:
        lines: what was said, in order.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


class Colleague(Silent):
    """Somebody who gives a file of theirs a name while we do what is called ``label``."""

    def __init__(self, path: Path, label: str) -> None:
        self.path, self.label = path, label

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "B") -> Iterator[Advance]:
        def advance(amount: int) -> None:
            if label == self.label:
                self.path.write_text("theirs")

        yield advance

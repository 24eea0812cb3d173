"""A listener to long work that keeps what is said."""

from __future__ import annotations

from mirror.core.progress import Silent


class Heard(Silent):
    """A ``Progress``.

    Attributes:
        lines: what was said, in order.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

"""How long work tells how far it is, without knowing who listens.

Library code takes a ``Progress`` and defaults to ``SILENT``; the CLI passes one that draws bars on a terminal and
prints plain lines elsewhere.

Example::

    with progress.task("fetch", total_bytes=size) as advance:
        for chunk in body:
            advance(len(chunk))
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Callable, Protocol

Advance = Callable[[int], None]
"""Called with the number of units (bytes, or steps) done since the last call. Safe to call from any thread."""


class Progress(Protocol):
    """A listener for long work."""

    def say(self, line: str) -> None:
        """One line for a person: a step has begun or a fact was found."""

    def task(self, label: str, total: int | None = None, unit: str = "B") -> AbstractContextManager[Advance]:
        """Begin a measured task.

        Args:
            label: what is being done, e.g. ``"verify"``.
            total: how many units there are, or None when that is not known.
            unit: ``"B"`` for bytes; any other word is shown as it is.
        """


class Silent:
    """A ``Progress`` that says nothing."""

    def say(self, line: str) -> None:
        pass

    def task(self, label: str, total: int | None = None, unit: str = "B") -> AbstractContextManager[Advance]:
        return nullcontext(lambda amount: None)


SILENT = Silent()

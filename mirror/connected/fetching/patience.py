"""How long to wait for a server, and whether to ask it again.

Rules: an error says itself whether asking again may help (``transient``); a server's Retry-After is honoured up to a limit;
pauses grow, with some chance in them, so that parallel jobs do not march in step.

Example::

    data = PATIENCE.persist(path.read_bytes)
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mirror.core.errors import MirrorError
from mirror.core.system.crew import pause

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """Limits in time.

    Attributes:
        attempts: requests for one file before giving up.
        first_wait_s: pause after the first failure; each later one is twice as long.
        longest_wait_s: no pause is longer; a server that asks for more is given up on.
        connect_s: to open a connection.
        read_s: for the next byte to arrive.
        window_s: the speed is looked at this often ...
        slowest: ... and must not be below this many bytes a second.
        document_s: for the whole body of an index page, repository metadata and the like.
        whole_s: for that of any other file in one exchange; the next one goes on from there.
    """

    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    connect_s: float = 15.0
    read_s: float = 30.0
    window_s: float = 30.0
    slowest: int = 1024
    document_s: float = 900.0
    whole_s: float = 6 * 3600.0

    def pause_s(self, error: BaseException, attempt: int) -> float | None:
        """The pause after failure number ``attempt`` (from 0); None when asking again is of no use."""
        if not getattr(error, "transient", False) or attempt + 1 >= self.attempts:
            return None
        asked_s: float | None = getattr(error, "retry_after_s", None)
        if asked_s is not None:
            return asked_s if asked_s <= self.longest_wait_s else None
        doubled_s = min(self.first_wait_s * 2.0**attempt, self.longest_wait_s)
        return doubled_s * random.uniform(0.75, 1.0)  # noqa: S311  # no secret depends on it

    def persist(self, ask: Callable[[], T]) -> T:
        """What ``ask`` gives, asked again as often as that may help. Raises MirrorError, as it does the last time."""
        attempt = 0
        while True:
            try:
                return ask()
            except MirrorError as error:
                pause_s = self.pause_s(error, attempt)
                if pause_s is None:
                    raise
                pause(pause_s)
                attempt += 1


PATIENCE = Patience()

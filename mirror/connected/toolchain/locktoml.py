"""The TOML of lock files, as far as they share it: reading it, and lines that are the same for equal locks.

What a lock holds is its own module's (``mirror.connected.toolchain.rpmlock``, ``mirror.connected.toolchain.redistlock``).

Example::

    fields = lock_fields(data, "demo.rpms.toml", "mirror-rpms/1")
    seconds(fields)      # of its "locked" line
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Self

from mirror.core.errors import Unreadable
from mirror.core.fields import Fields
from mirror.core.toml import parse_toml
from mirror.core.trust.root import MAX_TIME

_MAX_BYTES = 16 << 20


class LockFile(ABC):
    """A lock that is a file of its own, beside the stack's."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a lock file.

        Raises:
            Unreadable: when the file cannot be read.
            InvalidDocument: with the path to the fault.
        """
        try:
            data = path.read_bytes()
        except OSError as exc:
            raise Unreadable(str(path), exc.strerror or str(exc)) from exc
        return cls.parse(data, str(path))

    @classmethod
    @abstractmethod
    def parse(cls, data: bytes, source: str) -> Self:
        """The lock in these bytes. ``source`` names the file in errors.

        Raises:
            InvalidDocument: with the path to the fault.
        """


def lock_fields(data: bytes, source: str, form: str) -> Fields:
    """Parse a lock file's bytes.

    Args:
        source: names it in errors.
        form: what its ``format`` must say.

    Raises:
        InvalidDocument: when it is not TOML in UTF-8, or of another format.
    """
    fields = Fields(parse_toml(data, source, _MAX_BYTES), source)
    fields.known_format(form)
    return fields


def seconds(fields: Fields) -> int:
    """The time of locking, in seconds since 1970 UTC. Raises InvalidDocument for one without a time zone."""
    moment = fields.take("locked", datetime)
    if moment.tzinfo is None:
        fields.fail("locked", "it names no time zone: end it with 'Z'")
    locked = int(moment.timestamp())
    if not 0 <= locked <= MAX_TIME:
        fields.fail("locked", "expected a time from 1970 to 9999")
    return locked


def locked_line(locked: int) -> str:
    """The inverse of ``seconds``, as a line."""
    return f"locked = {datetime.fromtimestamp(locked, timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')}"


def moved(wanted: Collection[str], locked: Collection[str]) -> Iterator[str]:
    """How the words of a lock are no longer those of the stack: one sentence for each difference."""
    for name in wanted:
        if name not in locked:
            yield f"the stack wants {name}, which is not locked"
    for name in locked:
        if name not in wanted:
            yield f"{name} is locked, and the stack no longer wants it"


def one_a_line(values: Iterable[str]) -> str:
    """A list of texts, each on a line of its own, so that a change of one is a change of one line."""
    return "[\n" + "".join(f"  {json.dumps(value)},\n" for value in values) + "]"

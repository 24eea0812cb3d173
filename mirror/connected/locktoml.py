"""The TOML of lock files, as far as they share it: reading it, and lines that are the same for equal locks.

What a lock holds is its own module's (``mirror.connected.rpmlock``, ``mirror.connected.redistlock``).

Example::

    fields = Fields(read_toml(data, str(path)), str(path))
    seconds(fields)      # of its "locked" line
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

import tomllib

from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields


def read_toml(data: bytes, source: str) -> dict[str, Any]:
    """Parse a lock file's bytes. ``source`` names it in errors.

    Raises:
        InvalidDocument: when it is not TOML in UTF-8.
    """
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise InvalidDocument(source, "", f"not valid TOML: {exc}") from exc


def seconds(fields: Fields) -> int:
    """The time of locking, in seconds since 1970 UTC. Raises InvalidDocument for one without a time zone."""
    moment = fields.take("locked", datetime)
    if moment.tzinfo is None:
        fields.fail("locked", "it names no time zone: end it with 'Z'")
    return int(moment.timestamp())


def locked_line(locked: int) -> str:
    """The inverse of ``seconds``, as a line."""
    return f"locked = {datetime.fromtimestamp(locked, timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')}"


def one_a_line(values: Iterable[str]) -> str:
    """A list of texts, each on a line of its own, so that a change of one is a change of one line."""
    return "[\n" + "".join(f"  {json.dumps(value)},\n" for value in values) + "]"

"""The history of a prefix: what was installed, made current and removed, one line each, never rewritten.

It is what remains when generations are gone: the greatest sequence that was ever installed, which an older bundle may not
undercut (SECURITY.md T4), who allowed an exception and why, and the numbers that people call generations by.
``mirror.closed.prefix.generations`` holds the generations themselves.

Rules: lines are appended and forced to the disk before ``current`` changes; a line cut short by a power loss is the last one
and is left out; any other damage is an error, never an empty history.

Example::

    history = History(prefix.root)
    history.append(Event("installed", int(time.time()), generation.name, sequence, digest))
    history.greatest()
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.receipt import read_receipt
from mirror.core.errors import InvalidDocument, MirrorError, Unreadable, Unwritable
from mirror.core.fields import Fields, strict_json
from mirror.core.names import Sha256Hex, sha256_hex

ACTIONS = ("installed", "made-current", "rolled-back", "removed")
_MAX_LINE = 64 << 10


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        action: one of ``ACTIONS``.
        at: seconds since 1970 UTC, by this host's clock.
        generation: its name.
        sequence: of the bundle.
        manifest_sha256: of the bundle.
        signers: names of the keys whose signatures counted.
        reason: why an older bundle was allowed; empty otherwise.
    """

    action: str
    at: int
    generation: str
    sequence: int
    manifest_sha256: Sha256Hex
    signers: tuple[str, ...] = ()
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "signers": list(self.signers)}

    @classmethod
    def from_fields(cls, fields: Fields) -> Event:
        event = fields.fill(
            cls,
            sequence=fields.number("sequence", minimum=1),
            manifest_sha256=fields.checked("manifest_sha256", sha256_hex),
        )
        if event.action not in ACTIONS:
            fields.fail("action", f"expected one of {', '.join(ACTIONS)}, got {event.action!r}")
        return event


class History:
    """The file ``history.jsonl`` of a prefix."""

    def __init__(self, root: Path) -> None:
        self.path = root / "history.jsonl"

    def append(self, event: Event) -> None:
        """Add a line, on the disk when this returns.

        Raises:
            OSError: when it cannot be written, or is longer than ``events`` reads.
        """
        line = json.dumps(event.to_dict(), sort_keys=True).encode() + b"\n"
        if len(line) > _MAX_LINE:
            raise OSError(
                errno.EMSGSIZE, f"the event has {len(line)} bytes, at most {_MAX_LINE} are kept: give a shorter reason"
            )
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(self.path, flags, 0o644), "ab") as stream:
            if stream.tell() and not self._ends_whole():
                line = b"\n" + line  # what a power loss has cut stays a line of its own, and is left out
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())

    def _ends_whole(self) -> bool:
        with open(self.path, "rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"

    def events(self) -> tuple[Event, ...]:
        """All of them, oldest first; none when nothing was ever installed.

        Raises:
            Unreadable: when the file cannot be read.
            InvalidDocument: when a line that was written whole is damaged.
        """
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise Unreadable(str(self.path), exc.strerror or str(exc)) from exc
        found = []
        for number, line in enumerate(lines, 1):
            # A cut line is one that no brace closes: it was being written when the power went.
            if line and not (line.startswith(b"{") and not line.endswith(b"}")):
                what = f"history, line {number}"
                try:
                    found.append(Event.from_fields(Fields(strict_json(line, what, _MAX_LINE), what)))
                except InvalidDocument as exc:
                    raise InvalidDocument(str(self.path), f"line {number}", str(exc)) from exc
        return tuple(found)

    def greatest(self) -> int:
        """The greatest sequence that was ever installed here; 0 when none was."""
        return max((event.sequence for event in self.events()), default=0)

    def digest_of(self, sequence: int) -> str:
        """The manifest that was installed with a sequence; empty when none was."""
        return next((event.manifest_sha256 for event in self.events() if event.sequence == sequence), "")


def record(prefix: Prefix, action: str, generation: Generation, at: int, reason: str = "") -> None:
    """Write down what is about to be done with a generation that is complete, its receipt damaged or not.

    Generations that the history does not know (it was lost, or they are older than it) are listed first, for their numbers.

    Raises:
        Unwritable: when the line cannot be written.
    """
    history = History(prefix.root)
    unlisted = _unlisted(prefix, generation if action == "installed" else None)
    late = [_event("installed", int(other.complete.stat().st_mtime), other) for other in unlisted]
    try:
        for event in (*late, _event(action, at, generation, reason)):
            history.append(event)
    except OSError as exc:
        raise Unwritable(str(history.path), exc.strerror or str(exc)) from exc


def numbers(prefix: Prefix) -> dict[str, int]:
    """The number of every generation that was ever installed in a prefix, by its name: 1, 2, 3 in the order of installing.

    A number stays what it is and is never given again. One that was removed and installed again has a new one. Generations that
    the history does not know come last, in the order in which they were completed.
    """
    known = _listed(prefix)
    names = [*known, *(generation.name for generation in _unlisted(prefix))]
    return {name: number for number, name in enumerate(names, 1)}


def last_events(prefix: Prefix) -> dict[str, Event]:
    """What was done last with each generation, by its name; nothing of a history that is damaged."""
    try:
        return {event.generation: event for event in History(prefix.root).events()}
    except MirrorError:
        return {}


def _listed(prefix: Prefix) -> list[str]:
    """Names of what was installed, in that order; of a history that is damaged nothing is believed."""
    try:
        events = History(prefix.root).events()
    except MirrorError:
        return []
    return [event.generation for event in events if event.action == "installed"]


def _unlisted(prefix: Prefix, but: Generation | None = None) -> list[Generation]:
    known = {*_listed(prefix), *([but.name] if but else [])}
    found = [generation for generation in prefix.installed() if generation.name not in known]
    return sorted(found, key=lambda generation: (generation.complete.stat().st_mtime_ns, generation.identity))


def _event(action: str, at: int, generation: Generation, reason: str = "") -> Event:
    digest = sha256_hex(generation.complete.read_text("ascii").strip())
    try:
        signers = read_receipt(generation).signers
    except MirrorError:
        signers = ()
    return Event(action, at, generation.name, generation.identity.sequence, digest, signers, reason)

"""The history of a prefix: what was installed or prepared, made current and removed, one line each, never rewritten.

It is what remains when generations are gone: the greatest sequence that was ever installed, which an older bundle may not
undercut (SECURITY.md T4), who allowed an exception and why, and the numbers that people call generations by.
``mirror.closed.prefix.generations`` holds the generations themselves.

Rules: lines are appended and forced to the disk before ``current`` changes; a line that was cut short, by a power loss or a
full disk, is the last one or is marked as cut, and is left out; any other damage is an error, never an empty history. Beside
the lines lies ``history.json``, which says how many bytes of them there were and what their digest is: lines that are lost, or
all of them, are missed also where no generation is left to tell of them.

Example::

    history = History(prefix.root)
    history.append(Event("installed", int(time.time()), generation.name, sequence, digest))
    history.greatest()
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.opened import Opened, open_prefix
from mirror.closed.prefix.receipt import receipt_or_problem
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError, Unwritable, reading, writing
from mirror.core.fields import Fields, canonical_json, strict_json
from mirror.core.names import Sha256Hex, sha256_hex
from mirror.core.system.durable import write_all, write_file
from mirror.core.words import utc

BUILT = ("installed", "prepared")
"""A generation was made: to be current at once, or when somebody activates it. Either gives it its number."""
ACTIONS = (*BUILT, "made-current", "rolled-back", "removed")
REPAIR = "repair of "
"""Begins the reason of a generation that was built anew; its name follows."""
_MAX_LINE = 64 << 10
_LINES, _SEAL = "history.jsonl", "history.json"
_FORMAT = "mirror-history/1"
_CUT = b" (cut short)"
"""Ends a line that was cut when the next one is written: no JSON ends so, and readers of before leave such a line out, too."""


class HistoryLost(MirrorError):
    """The history of a prefix is shorter than it was, or another one.

    Attributes:
        path: of its lines.
        problem: what is missing.
        greatest: sequence of the newest bundle that was ever installed there.
    """

    ref = "history-lost"
    exit_code = FAMILIES["install"]
    hint = "Put it back from a backup."
    message = "{path}: {problem}"

    path: str
    problem: str
    greatest: int

    def __post_init__(self) -> None:
        self.hint = (
            f"{type(self).hint} Without one, move {self.path} and {self.path[:-1]} away; then nothing remains "
            f"that refuses a bundle older than that of {utc(self.greatest)}, the newest that was installed here: compare the "
            "date of what you install by hand."
        )


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


@dataclass(frozen=True)
class HistorySeal:
    """What ``history.json`` says of the lines.

    Attributes:
        size: how many bytes there were.
        sha256: of those.
        greatest: sequence of the newest bundle that they tell of.
    """

    size: int
    sha256: Sha256Hex
    greatest: int

    @classmethod
    def of(cls, lines: bytes, greatest: int) -> HistorySeal:
        return cls(len(lines), Sha256Hex(hashlib.sha256(lines).hexdigest()), greatest)

    @classmethod
    def parse(cls, data: bytes) -> HistorySeal:
        """Raises ``InvalidDocument``."""
        fields = Fields.read(data, "Seal of a history", _FORMAT, _MAX_LINE)
        return fields.fill(cls, sha256=fields.checked("sha256", sha256_hex))

    def encode(self) -> bytes:
        """Inverse of ``parse``."""
        return canonical_json({"format": _FORMAT, **vars(self)})

    def holds(self, lines: bytes) -> bool:
        """Whether these lines begin with those that were sealed."""
        return len(lines) >= self.size and hashlib.sha256(lines[: self.size]).hexdigest() == self.sha256


class History:
    """The files ``history.jsonl`` and ``history.json`` of a prefix."""

    def __init__(self, root: Path) -> None:
        self.path = root / _LINES

    def append(self, event: Event) -> None:
        """Add a line, on the disk when this returns; what fails half way is taken back.

        Raises:
            OSError: when it cannot be written, or is longer than ``events`` reads.
            MirrorError: when the prefix, or its history, is not as it should be.
        """
        line = json.dumps(vars(event), sort_keys=True).encode() + b"\n"
        if len(line) > _MAX_LINE:
            raise OSError(
                errno.EMSGSIZE, f"the event has {len(line)} bytes, at most {_MAX_LINE} are kept: give a shorter reason"
            )
        with self._opened(is_changed=True) as opened:
            if opened is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path.parent))
            lines = _bytes_of(opened, self.path) or b""
            added = _ended(lines) + line
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            with open(os.open(_LINES, flags, 0o644, dir_fd=opened.descriptor), "ab", buffering=0) as stream:
                try:
                    write_all(stream.fileno(), added)
                    os.fsync(stream.fileno())
                    self._seal(lines, lines + added, opened)
                except BaseException:
                    with contextlib.suppress(OSError, MirrorError):
                        seal = self._sealed(opened)
                        if seal is None or seal.size <= len(lines):  # else the new line is sealed already, and stays
                            os.ftruncate(stream.fileno(), len(lines))
                    raise

    def _seal(self, before: bytes, lines: bytes, opened: Opened) -> None:
        """Seal the lines; where some are lost or damaged, what tells so is left as it is."""
        with contextlib.suppress(InvalidDocument):
            seal = self._sealed(opened)
            if seal is None or seal.holds(before):
                greatest = max(event.sequence for event in self._events(lines))
                with opened.readable() as place:
                    write_file(self._seal_path, HistorySeal.of(lines, greatest).encode(), directory=place)

    def events(self) -> tuple[Event, ...]:
        """All of them, oldest first; none when nothing was ever installed.

        Raises:
            Unreadable: when a file cannot be read.
            HistoryLost: when lines are missing that were there.
            InvalidDocument: when a line that was written whole is damaged.
        """
        with self._opened(is_changed=False) as opened:
            if opened is None:
                return ()
            seal = self._sealed(opened)  # first, for lines may be added meanwhile
            lines = _bytes_of(opened, self.path) or b""
        if seal and not seal.holds(lines):
            problem = f"it has {len(lines):,} bytes, {_SEAL} beside it knows of {seal.size:,}"
            if len(lines) >= seal.size:
                problem = f"its first {seal.size:,} bytes are not those that {_SEAL} beside it knows of"
            raise HistoryLost(str(self.path), problem, seal.greatest)
        return self._events(lines)

    @contextmanager
    def _opened(self, is_changed: bool) -> Iterator[Opened | None]:
        root = self.path.parent
        with contextlib.ExitStack() as stack:
            with reading(self.path):
                opened = stack.enter_context(open_prefix(root, root, is_changed))
            yield opened

    @property
    def _seal_path(self) -> Path:
        return self.path.with_name(_SEAL)

    def _sealed(self, opened: Opened) -> HistorySeal | None:
        data = _bytes_of(opened, self._seal_path)
        try:
            return HistorySeal.parse(data) if data is not None else None
        except InvalidDocument as exc:
            exc.hint = f"The disk may be bad. Compare {self.path} with a backup; then move {self._seal_path} away."
            raise

    def _events(self, lines: bytes) -> tuple[Event, ...]:
        whole, _, last = lines.rpartition(b"\n")
        numbered = [(number, line) for number, line in enumerate(whole.split(b"\n"), 1) if not _is_cut(line)]
        found = []
        for number, line in numbered:
            try:
                found.append(_parse(line, number))
            except InvalidDocument as exc:
                error = InvalidDocument(str(self.path), f"line {number}", str(exc))
                error.hint = (
                    "It was altered, or the disk is bad. Put the file back from a backup; without one, what this line told is "
                    f"lost: take it out (keep a copy of the file, and move {_SEAL} beside it away)."
                )
                raise error from exc
        # The last line without its end was being written when the power went.
        with contextlib.suppress(InvalidDocument):
            found += [_parse(last, len(numbered) + 1)] if last else []
        return tuple(found)

    def greatest(self) -> int:
        """The greatest sequence that was ever installed here; 0 when none was."""
        return max((event.sequence for event in self.events()), default=0)

    def digest_of(self, sequence: int) -> str:
        """The manifest that was installed with a sequence; empty when none was."""
        return next((event.manifest_sha256 for event in self.events() if event.sequence == sequence), "")


def _parse(line: bytes, number: int) -> Event:
    what = f"history, line {number}"
    return Event.from_fields(Fields(strict_json(line, what, _MAX_LINE), what))


def _is_cut(line: bytes) -> bool:
    """Whether a line holds nothing; before cut ones were marked, one was told by the brace that does not close it."""
    return not line or line.endswith(_CUT) or (line.startswith(b"{") and not line.endswith(b"}"))


def _ended(lines: bytes) -> bytes:
    """What a last line lacks that was cut: its end, if all of it is there but that, else the mark."""
    last = lines.rpartition(b"\n")[2]
    if not last:
        return b""
    try:
        _parse(last, 0)
    except InvalidDocument:
        return _CUT + b"\n"
    return b"\n"


def _bytes_of(opened: Opened, path: Path) -> bytes | None:
    """A file at the top of the prefix; None only when it certainly is not there.

    Raises:
        PreflightFailed: when it is not the owner's alone.
        Unreadable: when it cannot be read, or is a link.
    """
    absent = contextlib.suppress(FileNotFoundError)
    with reading(path), absent, open(opened.open_below(opened.descriptor, path.name, path), "rb") as stream:
        return stream.read()
    return None


def record(prefix: Prefix, action: str, generation: Generation, at: int, reason: str = "") -> None:
    """Write down what is about to be done with a generation that is complete, its receipt damaged or not.

    Generations that the history does not know (it was lost, or they are older than it) are listed first, for their numbers.

    Raises:
        Unwritable: when the line cannot be written.
    """
    unlisted = _unlisted(prefix, generation if action in BUILT else None)
    late = [_event("installed", int(other.complete.stat().st_mtime), other) for other in unlisted]
    _append(prefix, *late, _event(action, at, generation, reason))


def _append(prefix: Prefix, *events: Event) -> None:
    history = History(prefix.root)
    with writing(history.path):
        for event in events:
            history.append(event)


def record_removal(prefix: Prefix, generation: Generation, at: int) -> None:
    """Remove a generation, which is written down first. On a full disk that waits until there is room again, which removing
    makes: what the history says of the generation already keeps older bundles out.

    Raises:
        Unwritable: when the line cannot be written; where the history knows the generation, it is gone all the same.
        MirrorError: as ``Prefix.remove``.
    """
    event, is_known = _event("removed", at, generation), generation.name in _listed(prefix)
    try:
        record(prefix, "removed", generation, at)
    except Unwritable:
        if not is_known:
            raise
        prefix.remove(generation)
        _append(prefix, event)
    else:
        prefix.remove(generation)


def numbers(prefix: Prefix) -> dict[str, int]:
    """The number of every generation that was ever installed in a prefix, by its name: 1, 2, 3 in the order of installing.

    A number stays what it is and is never given again. One that was removed and installed again has a new one. Generations that
    the history does not know come last, in the order in which they were completed.
    """
    known = _listed(prefix)
    names = [*known, *(generation.name for generation in _unlisted(prefix))]
    return {name: number for number, name in enumerate(names, 1)}


def last_events(prefix: Prefix) -> dict[str, Event]:
    """What was done last with each generation, by its name; nothing of a history that is damaged.

    Raises:
        Unreadable: when it cannot be told what it says.
    """
    return {event.generation: event for event in believed(prefix)[0]}


def _listed(prefix: Prefix) -> list[str]:
    """Names of what was installed, in that order."""
    return [event.generation for event in believed(prefix)[0] if event.action in BUILT]


def believed(prefix: Prefix) -> tuple[tuple[Event, ...], str]:
    """What the history tells, and of one that is damaged nothing, but why that is so and what to do.

    Raises:
        Unreadable: when it cannot be told what it says: that is no empty one.
    """
    try:
        return History(prefix.root).events(), ""
    except (HistoryLost, InvalidDocument) as exc:
        return (), f"{exc}. {exc.hint}"


def _unlisted(prefix: Prefix, but: Generation | None = None) -> list[Generation]:
    known = {*_listed(prefix), *([but.name] if but else [])}
    found = [generation for generation in prefix.installed() if generation.name not in known]
    return sorted(found, key=lambda generation: (generation.complete.stat().st_mtime_ns, generation.identity))


def _event(action: str, at: int, generation: Generation, reason: str = "") -> Event:
    digest = sha256_hex(generation.complete.read_text("utf-8").strip())
    receipt, _ = receipt_or_problem(generation)
    signers = receipt.signers if receipt else ()
    return Event(action, at, generation.name, generation.identity.sequence, digest, signers, reason)

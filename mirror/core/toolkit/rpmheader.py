"""The header structure of RPM packages: numbered entries over one store of bytes.

``mirror.core.toolkit.rpm`` knows what the entries mean. Nothing here is trusted or trusts.

Rules: the lengths that a structure claims are judged before it is read; every entry is judged when it is parsed (known type,
inside the store, aligned, no tag twice), so that getters only have to look.

Example::

    header = Header(reader.header(32 << 20), label)
    header.text(1000)
"""

from __future__ import annotations

import struct
from typing import BinaryIO, NoReturn

from mirror.core.archives.pieces import exactly
from mirror.core.errors import MirrorError

MAX_ENTRIES = 4096

_MAGIC = bytes.fromhex("8eade801")
_INT16, _INT32, _INT64, _STRING, _BIN, _STRING_ARRAY, _I18N_STRING = 3, 4, 5, 6, 7, 8, 9
_WIDTHS = {1: 1, 2: 1, _INT16: 2, _INT32: 4, _INT64: 8, _BIN: 1}
_TEXTS = (_STRING, _STRING_ARRAY, _I18N_STRING)


class MalformedRpm(MirrorError):
    """A file is not an RPM package, or breaks the format."""

    ref = "rpm-malformed"
    exit_code = 44
    hint = "Get the package again from its publisher."
    message = "{name} is not a readable RPM package: {problem}"

    name: str
    problem: str


class Reader:
    """A stream that is read exactly, counting."""

    def __init__(self, stream: BinaryIO, label: str) -> None:
        self._stream, self._label, self.offset = stream, label, 0

    def refuse(self, problem: str) -> NoReturn:
        raise MalformedRpm(self._label, problem)

    def take(self, count: int) -> bytes:
        taken = exactly(self._stream.read, count)
        if len(taken) < count:
            self.refuse(f"it ends after {self.offset + len(taken)} bytes")
        self.offset += count
        return taken

    def header(self, limit: int) -> bytes:
        """A whole header structure, unparsed; the lengths it claims are judged first."""
        intro = self.take(16)
        if intro[:4] != _MAGIC:
            self.refuse("a header is missing")
        entries, store = struct.unpack(">II", intro[8:])
        if entries > MAX_ENTRIES or store > limit:
            self.refuse(f"a header of {entries} entries and {store} bytes")
        return intro + self.take(16 * entries + store)


class Header:
    """Entries by tag. Every entry is judged when the header is made: type, alignment, and lying inside the store."""

    def __init__(self, raw: bytes, label: str) -> None:
        self.label = label
        (count,) = struct.unpack(">I", raw[8:12])
        self._store = raw[16 + 16 * count :]
        self._entries: dict[int, tuple[int, int, int]] = {}
        for index in range(count):
            tag, kind, offset, items = struct.unpack_from(">IIiI", raw, 16 + 16 * index)
            self._check(tag, kind, offset, items)
            self._entries[tag] = kind, offset, items

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def refuse(self, problem: str) -> NoReturn:
        raise MalformedRpm(self.label, problem)

    def _check(self, tag: int, kind: int, offset: int, items: int) -> None:
        if tag in self._entries:
            self.refuse(f"tag {tag} occurs twice")
        width = _WIDTHS.get(kind, 0)
        if not width and kind not in _TEXTS:
            self.refuse(f"tag {tag} is of unknown type {kind}")
        # A text has at least its closing zero, so it can have no more items than there are bytes.
        if offset < 0 or items < 1 or offset + items * (width or 1) > len(self._store) or (width and offset % width):
            self.refuse(f"tag {tag} has {items} items at {offset} of {len(self._store)} bytes")

    def blob(self, tag: int) -> bytes:
        kind, offset, items = self._entries[tag]
        if kind != _BIN:
            self.refuse(f"tag {tag} is of type {kind}, not binary")
        return self._store[offset : offset + items]

    def texts(self, tag: int, errors: str = "strict") -> tuple[str, ...]:
        """All strings of a tag, none when it is missing; ``errors`` is as ``bytes.decode`` takes it."""
        kind, offset, items = self._entries.get(tag, (_STRING_ARRAY, 0, 0))
        if kind not in _TEXTS:
            self.refuse(f"tag {tag} is of type {kind}, not text")
        found = []
        for _ in range(items):
            end = self._store.find(b"\0", offset)
            if end < 0:
                self.refuse(f"tag {tag} has a string without an end")
            try:
                found.append(self._store[offset:end].decode("utf-8", errors))
            except UnicodeDecodeError:
                self.refuse(f"tag {tag} is not UTF-8")
            offset = end + 1
        return tuple(found)

    def text(self, tag: int, default: str | None = None) -> str:
        found = self.texts(tag)
        if not found and default is None:
            self.refuse(f"tag {tag} is missing")
        return found[0] if found else default or ""

    def numbers(self, tag: int) -> tuple[int, ...]:
        """All numbers of a tag, none when it is missing."""
        kind, offset, items = self._entries.get(tag, (_INT32, 0, 0))
        letter = {_INT16: "H", _INT32: "I", _INT64: "Q"}.get(kind)
        if letter is None:
            self.refuse(f"tag {tag} is of type {kind}, not numbers")
        return struct.unpack_from(f">{items}{letter}", self._store, offset)

    def number(self, tag: int, default: int) -> int:
        found = self.numbers(tag)
        return found[0] if found else default

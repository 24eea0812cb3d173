"""A log's text: any file or stream, in blocks that are quick to search.

It holds how a log is read: compressed or not, with lines of any length and bytes of any kind; ``mirror.core.logs.explained``
finds what they mean.

Rules:
(1) a log is read once, front to back, and never more of it is held than a block; the number of each line is known;
(2) what a collector wrapped in JSON is unwrapped, colours are taken away, quotes made plain, and bytes that are no UTF-8
    replaced;
(3) a line that is too long for a block is cut, with enough of the first piece repeated that no fragment is cut in two.

Example::

    with open_log(Path("server.log.gz")) as stream:
        for block in stream_blocks(stream):
            at = block.text.find("cannot find -lcudart")
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
import os
import re
import stat
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from mirror.core.errors import MirrorError, Unreadable
from mirror.core.system.filekinds import HEAD, kind_of_file

BLOCK = 256 << 10
PIECE = 64 << 10
OVERLAP = 1 << 10
BEFORE = 8 << 10
"""Characters of a block; the most of a line in one piece; what two pieces share; what a block knows of the one before."""

_COLOUR = re.compile(r"\x1b\[[0-9;?]{0,32}[A-Za-z]|\x1b\][^\x07\x1b\n]{0,256}\x07")
_NEWLINE = re.compile("\n")
_QUOTES = (("`", "'"), ("\u2018", "'"), ("\u2019", "'"), ("\u201c", '"'), ("\u201d", '"'))
_STANDARD_INPUT = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
_ZSTD = b"\x28\xb5\x2f\xfd"


class CompressedLog(MirrorError):
    """The log is compressed in a way that the standard library does not read."""

    ref = "compressed-log"
    exit_code = 111
    hint = "Pass it through its own program: zstdcat FILE | mirror doctor --log -"
    message = "{path} is compressed with {kind}; mirror reads plain text, gzip, bzip2 and xz"

    path: str
    kind: str


class DamagedLog(MirrorError):
    """A compressed log cannot be read to its end."""

    ref = "damaged-log"
    exit_code = 112
    hint = "Copy it again; or give what can be read: zcat FILE | mirror doctor --log -"
    message = "{path} is compressed and ends early or is damaged: {reason}"

    path: str
    reason: str


@contextlib.contextmanager
def open_log(path: Path) -> Iterator[BinaryIO]:
    """A log file for reading, decompressed if its first bytes say that it is compressed.

    Raises:
        Unreadable: when there is no such file, it cannot be read, or it is a device that may never end.
        CompressedLog: when it is zstd's.
        DamagedLog: when it cannot be decompressed to its end.
    """
    try:
        with open(path, "rb") as raw:
            if stat.S_ISCHR(os.fstat(raw.fileno()).st_mode) and str(path) not in _STANDARD_INPUT:
                raise Unreadable(str(path), "it is a device, and may have no end")
            with _decompressed(raw, str(path)) as stream:
                yield stream
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as exc:
        raise DamagedLog(str(path), str(exc)) from exc
    except OSError as exc:
        if exc.errno is None:  # bz2 says so of damaged data
            raise DamagedLog(str(path), str(exc)) from exc
        raise Unreadable(str(path), exc.strerror or str(exc)) from exc


def _decompressed(raw: BufferedReader, path: str) -> BinaryIO:
    magic = raw.peek(6)[:6]  # a pipe by name (/dev/stdin) cannot be wound back
    if magic[:4] == _ZSTD:
        raise CompressedLog(path, "zstd")
    if magic[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.open(raw))
    if magic[:3] == b"BZh":
        return cast(BinaryIO, bz2.open(raw))
    if magic == b"\xfd7zXZ\0":
        return cast(BinaryIO, lzma.open(raw))
    return raw


def known_blocks(stream: BinaryIO) -> tuple[str, Iterator[Block]]:
    """What a stream is by its first bytes, in words, where it is a file of another kind than text; else "" and its blocks."""
    head = stream.read(HEAD)
    kind = kind_of_file(head) if b"\0" in head or not head.isascii() else ""
    return kind, iter(()) if kind else stream_blocks(_Joined(head, stream))


def stream_blocks(stream: _Lines) -> Iterator[Block]:
    """A stream in blocks; what is plain is not taken apart into lines."""
    number, before = 1, ""
    for data in iter(lambda: stream.read(BLOCK), b""):
        data += b"" if data.endswith(b"\n") else stream.readline(PIECE)
        if not data.endswith(b"\n"):  # a long line, or the end
            yield from blocks(stream_lines(_Joined(data, stream), number), before)
            return
        made = (
            [_plain(data, before, number)] if _is_plain(data) else blocks(stream_lines(BytesIO(data), number), before)
        )
        for block in made:
            yield block
            number, before = block.last_line + 1, block.end


class _Joined:
    """What was read already, and the stream that it was read from."""

    def __init__(self, data: bytes, stream: _Lines) -> None:
        self._data, self._stream = BytesIO(data), stream

    def read(self, size: int, /) -> bytes:
        data = self._data.read(size)
        return data + self._stream.read(size - len(data))

    def readline(self, size: int, /) -> bytes:
        return self._data.readline(size) or self._stream.readline(size)


def _is_plain(data: bytes) -> bool:
    """Whether no line of it is long or JSON."""
    if data.startswith(b'{"') or b'\n{"' in data:
        return False
    step = PIECE // 2
    return all(data.find(b"\n", start, start + step) >= 0 for start in range(0, len(data) - step + 1, step))


def _plain(data: bytes, before: str, number: int) -> Block:
    if b"\r\n" in data:
        data = b"\n".join([line.rstrip(b"\r") for line in data.split(b"\n")])
    text = data[:-1].decode("utf-8", "replace")
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    return Block(text, _folded(text), before, number + data.count(b"\n") - 1, number)


class _Lines(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


def stream_lines(stream: _Lines, number: int = 1) -> Iterator[tuple[int, str]]:
    """The lines of a stream, numbered from ``number`` on; a long line comes in pieces under one number."""
    tail = b""
    for data in iter(lambda: stream.readline(PIECE), b""):
        yield number, (tail + data).rstrip(b"\r\n").decode("utf-8", "replace")
        tail = b"" if data.endswith(b"\n") else data[-OVERLAP:]
        number += not tail


def text_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text that is in memory already."""
    for number, line in enumerate(lines, 1):
        for start in range(0, max(len(line), 1), PIECE):
            yield number, line[max(0, start - OVERLAP) : start + PIECE].rstrip("\r\n")


@dataclass
class Block:
    """Lines that are searched together.

    Attributes:
        text: them, joined by newlines, as they are shown.
        folded: the same with plain quotes, to search in; its offsets are those of ``text``.
        before: the folded end of the block before.
        last_line: the number of the last one.
    """

    text: str
    folded: str
    before: str
    last_line: int
    _first: int = field(repr=False)
    _starts: list[int] = field(repr=False, default_factory=list)
    _numbers: list[int] = field(repr=False, default_factory=list)
    """Empty where each line has one piece: ``_first`` is the number of the first."""

    @property
    def end(self) -> str:
        """What the next block knows of this one."""
        return self.folded[-BEFORE:] + "\n"

    def line(self, offset: int) -> tuple[int, int, int]:
        """The line's number there, and where it starts and ends."""
        if not self._starts:  # few blocks are asked
            self._starts = [0, *(found.end() for found in _NEWLINE.finditer(self.text))]
        index = bisect_right(self._starts, offset) - 1
        end = self._starts[index + 1] - 1 if index + 1 < len(self._starts) else len(self.text)
        return self._numbers[index] if self._numbers else self._first + index, self._starts[index], end

    def back(self, offset: int) -> str:
        """The last few thousand folded characters before an offset."""
        here = self.folded[max(0, offset - BEFORE) : offset]
        return self.before[-(BEFORE - len(here)) :] + here if len(here) < BEFORE else here


def blocks(lines: Iterable[tuple[int, str]], before: str = "") -> Iterator[Block]:
    """Lines in blocks; ``before`` is the end of the block before the first."""
    texts, starts, numbers, size = [], [], [], 0
    for number, line in lines:
        if line.startswith('{"'):
            line = _message(line)
        if "\x1b" in line:
            line = _COLOUR.sub("", line)
        line = line.replace("\n", " ")
        texts.append(line)
        starts.append(size)
        numbers.append(number)
        size += len(line) + 1
        if size >= BLOCK:
            block = _block(texts, before, starts, numbers)
            yield block
            before, texts, starts, numbers, size = block.end, [], [], [], 0
    if texts:
        yield _block(texts, before, starts, numbers)


def _message(line: str) -> str:
    """The message of a line that a collector wrote as JSON (``journalctl -o json``, a container's log); else the line."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return line
    for key in ("MESSAGE", "log", "message", "msg"):
        message = told.get(key) if isinstance(told, dict) else None
        if isinstance(message, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in message):
            message = bytes(message).decode("utf-8", "replace")  # journald's form of what is no plain text
        if isinstance(message, str):
            return message.rstrip("\n")
    return line


def _block(texts: list[str], before: str, starts: list[int], numbers: list[int]) -> Block:
    text = "\n".join(texts)
    return Block(text, _folded(text), before, numbers[-1], numbers[0], starts, numbers)


def _folded(text: str) -> str:
    for fine, plain in _QUOTES:
        text = text.replace(fine, plain)
    return text

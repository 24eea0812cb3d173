"""zstd on hosts whose Python has none: a child process that decompresses.

Python reads zstd from 3.14 on. A bundle with RPMs therefore carries a decompressor as a wheel for the *target's* Python
(``backports.zstd``), which may be another one than the Python that runs mirror. So it is not imported here: the target's own
interpreter runs it, from standard input to standard output. A host's ``zstd`` program is the second choice.

What may be in a frame, and how much memory it may ask for, is decided before the child sees a byte
(``mirror.core.archives.zstdframe``); how much comes out is bounded by whoever reads.

Rules: a way is believed only after it has decompressed a known frame; the child gets no setting of the user's, no terminal
and no file but its pipes; it never outlives its stream.

Example::

    zstd = ZstdFinder(interpreter.path, wheel, work)
    trusted_rpms(sources, keys=armored, fingerprints=pinned, zstd=zstd)
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Callable, Tuple

from mirror.closed.host.command import clean_environment
from mirror.core.archives.checkedzip import open_checked_zip
from mirror.core.archives.zstdframe import Decompressor, OneFrame
from mirror.core.errors import NO_DESCRIPTORS

PROJECT = "backports-zstd"
"""The project of the carried wheel, as the manifest names it."""

_MEMBER = re.compile(r"backports/zstd/(?:[A-Za-z0-9_]+/)*[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
_MAX_UNPACKED_BYTES = 16 << 20
_PIPE_BYTES = 1 << 16

CHILD = """
import sys
try:
    from compression import zstd
except ImportError:
    sys.path[:0] = sys.argv[2:]
    from backports import zstd
prefix = open(sys.argv[1], "rb").read() if sys.argv[1] else b""
words = {"zstd_dict": zstd.ZstdDict(prefix, is_raw=True).as_prefix} if prefix else {}
del prefix
source, out, inner = sys.stdin.buffer, sys.stdout.buffer, zstd.ZstdDecompressor(**words)
for block in iter(lambda: source.read1(1 << 18), b""):
    while not inner.eof:
        out.write(inner.decompress(block, 1 << 20))
        block = b""
        if inner.needs_input:
            break
out.flush()
sys.exit("the stream is cut short" if not inner.eof else None)
"""
"""Decompresses a frame. Its arguments are the file of the prefix that the frame was made with, empty for none, and where
``backports.zstd`` lies."""

_KNOWN = b"mirror"
_KNOWN_FRAME = b"\x28\xb5\x2f\xfd\x20\x06\x31\x00\x00" + _KNOWN
"""One frame of one raw block, so that it can be checked by eye: RFC 8878."""


class ZstdProcess:
    """A child that decompresses: a ``mirror.core.archives.zstdframe.Decompressor``.

    Args:
        command: a program that reads a frame from standard input and writes its content to standard output.
        work: an existing directory for whatever it wants to keep.
        patience_s: how long it may be silent while there is work.

    Raises:
        OSError: when it cannot be started.
    """

    def __init__(self, command: Sequence[str], work: Path, patience_s: float = 60.0) -> None:
        self._patience_s = patience_s
        self._pending, self._told, self.eof = b"", False, False
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=clean_environment(work),
                cwd=work,
                bufsize=0,
                start_new_session=True,
            )
        except OSError:
            self._said.close()
            raise
        os.set_blocking(self._input.fileno(), False)

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def needs_input(self) -> bool:
        return not self._pending and not self._told

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Give what the child has written, feeding it meanwhile.

        Raises:
            ValueError: when the child refuses the stream, or is silent for too long.
        """
        self._pending += data
        while not self.eof:
            readable, writable = self._wait()
            if readable:
                piece = os.read(self._output.fileno(), max_length if 0 < max_length < _PIPE_BYTES else _PIPE_BYTES)
                if piece:
                    return piece
                self._finished()
            elif writable:
                self._feed()
            elif self.needs_input:
                break
            else:
                raise ValueError(f"its decompressor has said nothing for {self._patience_s:.0f} s")
        return b""

    def _wait(self) -> tuple[bool, bool]:
        """Whether there is something to read, and whether something may be written; waits unless there may be more input."""
        poll = select.poll()  # select() itself fails where a process has many files open
        poll.register(self._output.fileno(), select.POLLIN)
        if self._pending:
            poll.register(self._input.fileno(), select.POLLOUT)
        ready = {descriptor for descriptor, _ in poll.poll(0 if self.needs_input else self._patience_s * 1000)}
        return self._output.fileno() in ready, self._pending != b"" and self._input.fileno() in ready

    def _feed(self) -> None:
        try:
            written = os.write(self._input.fileno(), self._pending[:_PIPE_BYTES])
            self._pending = self._pending[written:]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._pending, self._told = b"", True  # it has ended: its exit status says why
        self._close_input()

    def finish(self) -> None:
        self._told = True
        self._close_input()

    def _close_input(self) -> None:
        if self._told and not self._pending and not self._input.closed:
            self._input.close()

    def _finished(self) -> None:
        """It has closed its output: with a good exit status that was all."""
        try:
            code = self._process.wait(self._patience_s)
        except subprocess.TimeoutExpired:
            code = -1  # whatever it is still doing, close() ends it
        if code or self._pending or not self._told:
            self._said.seek(0)
            words = self._said.read(4096).decode("utf-8", "replace").strip().splitlines()
            raise ValueError(words[-1] if words else f"its decompressor ended with {code}")
        self.eof = True

    def close(self) -> None:
        """End the child, if it has not ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        for stream in (self._input, self._output, self._said):
            stream.close()
        self._process.wait()


class ZstdFinder:
    """The ways of this host, tried in order once something is compressed with zstd: a ``mirror.core.archives.zstdframe.Zstd``.

    Args:
        python: the target's interpreter.
        wheel: the carried decompressor, its digest checked; None when the bundle has none.
        work: an existing directory of ours; the caller removes it.
        programs: the host's own, by name or path.
    """

    def __init__(self, python: Path, wheel: Path | None, work: Path, programs: Sequence[str] = ("zstd",)) -> None:
        self._python, self._wheel, self._work, self._programs = python, wheel, work, programs
        self._lock = threading.Lock()
        self._command: tuple[str, ...] = ()

    def __call__(self) -> Decompressor:
        """A new child.

        Raises:
            LookupError: with everything that was tried, when nothing here decompresses zstd.
        """
        with self._lock:  # packages are read by several threads
            self._command = self._command or self._find()
        return ZstdProcess(self._command, self._work)

    def _find(self) -> tuple[str, ...]:
        carried = f"{self._wheel.name if self._wheel else 'no carried wheel'} with {self._python}"
        programs = (host_program(program) for program in self._programs)
        return first_way([(carried, self._carried), *programs], self._try)

    def _carried(self) -> tuple[str, ...]:
        """The target's Python, with the carried wheel where its own library has none."""
        directory = unpack_zstd(self._wheel, self._work)
        return str(self._python), "-I", "-S", "-B", "-c", CHILD, "", str(directory)

    def _try(self, command: tuple[str, ...]) -> None:
        """Let it decompress a known frame.

        Raises:
            OSError, ValueError, EOFError: when it cannot.
        """
        with contextlib.closing(OneFrame(ZstdProcess(command, self._work))) as frame:
            found, data = b"", _KNOWN_FRAME
            while not frame.eof:
                found, data = found + frame.decompress(data), b""
        if found != _KNOWN:
            raise ValueError(f"it makes {found[:20]!r} of a known frame")


Way = Tuple[str, Callable[[], Tuple[str, ...]]]
"""What it is called, and what makes its command."""


def host_program(program: str, *options: str) -> Way:
    """A program of the host's, with the face of ``zstd``."""

    def command() -> tuple[str, ...]:
        found = shutil.which(program)
        if found is None:
            raise ValueError("it is not on PATH")
        return found, "-d", "-c", "-q", *options

    return f"the program {program}", command


_EXHAUSTED = (*NO_DESCRIPTORS, errno.ENOMEM, errno.EAGAIN)


def first_way(ways: Iterable[Way], try_out: Callable[[tuple[str, ...]], None]) -> tuple[str, ...]:
    """The command of the first way that works.

    Args:
        try_out: raises OSError, ValueError or EOFError where a command does not work.

    Raises:
        LookupError: with everything that was tried, when none works.
        OSError: when it is the system that gives no more: another way would fare no better.
    """
    tried = []
    for name, way in ways:
        try:
            command = way()
            try_out(command)
        except (OSError, ValueError, EOFError) as exc:
            if isinstance(exc, OSError) and exc.errno in _EXHAUSTED:
                raise
            tried.append(f"{name}: {exc.strerror if isinstance(exc, OSError) and exc.strerror else exc}")
        else:
            return command
    raise LookupError("; ".join(tried))


def unpack_zstd(wheel: Path | None, work: Path) -> Path:
    """A new directory below ``work`` with the package out of its wheel, if there is one.

    Raises:
        OSError, ValueError: when it is none.
    """
    directory = Path(tempfile.mkdtemp(prefix="zstd-", dir=work))
    if wheel is not None:
        _unpack(wheel, directory)
    return directory


def _unpack(wheel: Path, directory: Path) -> None:
    """Plain names below ``backports/zstd`` and no others."""
    left = _MAX_UNPACKED_BYTES
    with open_checked_zip(wheel) as archive:
        for member in archive.infolist():
            if not _MEMBER.fullmatch(member.filename):
                continue
            left -= member.file_size
            if left < 0:
                raise ValueError(f"it holds more than {_MAX_UNPACKED_BYTES} bytes")
            path = directory / member.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, path.open("xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)

"""RECORD: a wheel's own list of its files and their digests (PEP 376, 427), and how it compares with what is there.

Hashing the files is the caller's (``mirror.core.wheels.wheelfile``); pip installs a wheel whose RECORD is wrong without a word
(SECURITY.md finding 6).

Rules (SECURITY.md 25): every file is listed with a SHA-256 or better, and its size where one is given; RECORD itself has
neither; ``RECORD.jws`` and ``RECORD.p7s`` need no line.

Example::

    record = Record.parse(data)
    record.check(files, directories=(), exempt={"a-1.dist-info/RECORD"}).wrong       # ("a.py",)
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
import re
from dataclasses import dataclass
from typing import Collection, Iterable, Mapping, NamedTuple, Optional

from mirror.core.wheels.paths import escape_of

STRONG = ("sha256", "sha384", "sha512")

_BASE64 = re.compile(r"[A-Za-z0-9_-]+={0,2}", re.ASCII)


@dataclass(frozen=True)
class Line:
    """What RECORD says of one file.

    Attributes:
        path: as it stands there.
        algorithm: of the digest, lower case; empty where there is none.
        digest: raw bytes; empty where there is none, or where it is none of ``STRONG``.
        size: bytes, or None.
    """

    path: str
    algorithm: str
    digest: bytes
    size: Optional[int]


class Recorded(NamedTuple):
    """A file as it is: its bytes, and its digest by the algorithm that RECORD names for it."""

    size: int
    digest: bytes


@dataclass(frozen=True)
class RecordCheck:
    """How RECORD compares with what is there.

    Attributes:
        problem: why there is nothing to compare; empty when there is.
        unlisted: files that it does not list.
        weak: files without a SHA-256 or better.
        wrong: files with another digest or size.
        outside: what it lists outside of the wheel.
        stale: what it lists and is not there.
    """

    problem: str = ""
    unlisted: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """RECORD's lines by path."""

    lines: Mapping[str, Line]

    @classmethod
    def parse(cls, data: bytes) -> Record:
        """Read RECORD.

        Raises:
            ValueError: when it is no CSV of three columns in UTF-8, a line is empty, a digest or a size is none, or a path is
                there twice.
        """
        lines: dict[str, Line] = {}
        try:
            for row in csv.reader(io.StringIO(data.decode("utf-8"), newline="")):
                if not row:
                    raise ValueError("it has an empty line, on which pip fails")
                line = _line(row)
                if line.path in lines:
                    raise ValueError(f"it lists {line.path!r} twice")
                lines[line.path] = line
        except csv.Error as exc:
            raise ValueError(str(exc)) from exc
        return cls(lines)

    def check(self, files: Mapping[str, Recorded], directories: Iterable[str], exempt: Collection[str]) -> RecordCheck:
        """Hold it against what is there.

        Args:
            files: every file, each digest by the algorithm of its line, if that is strong.
            directories: paths that need no line and may have one.
            exempt: files that need no line.
        """
        unlisted, weak, wrong = [], [], []
        for path, found in files.items():
            line = self.lines.get(path)
            if path in exempt:
                continue
            if line is None:
                unlisted.append(path)
            elif not line.digest:
                weak.append(path)
            elif found.digest != line.digest or line.size not in (None, found.size):
                wrong.append(path)
        outside = {path for path in self.lines if escape_of(path)}
        stale = {path.rstrip("/") for path in self.lines} - {*files, *directories, *exempt, *outside}
        return RecordCheck("", *(tuple(sorted(found)) for found in (unlisted, weak, wrong, outside, stale)))


def _line(row: list[str]) -> Line:
    if len(row) != 3:
        raise ValueError(f"the line of {row[0]!r} has {len(row)} columns, not three")
    path, digest, size = row
    if size and not re.fullmatch("[0-9]{1,15}", size, re.ASCII):
        raise ValueError(f"{path!r} has the size {size!r}")
    algorithm, _, text = digest.partition("=")
    algorithm = algorithm.lower()
    raw = b""
    if algorithm in STRONG:
        try:
            if not _BASE64.fullmatch(text):
                raise binascii.Error
            raw = base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
        except binascii.Error as exc:
            raise ValueError(f"{path!r} has the digest {digest!r}") from exc
        if len(raw) != hashlib.new(algorithm).digest_size:
            raise ValueError(f"{path!r} has the digest {digest!r}")
    return Line(path, algorithm if digest else "", raw, int(size) if size else None)

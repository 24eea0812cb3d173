"""RECORD: a wheel's own list of its files and their digests (PEP 376, 427), and how it compares with what is there.

Hashing the files is the caller's (``mirror.core.vetting.wheel``); pip installs a wheel whose RECORD is wrong without a word
(SECURITY.md finding 6).

Rules (SECURITY.md 25): every file is listed with a SHA-256 or better, and its size where one is given; RECORD itself has
neither; ``RECORD.jws`` and ``RECORD.p7s`` need no line.

Example::

    record = Record.parse(data)
    record.algorithms()       # {"sha256"}
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
import re
from dataclasses import dataclass
from typing import Mapping, Optional

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

    def algorithms(self) -> frozenset[str]:
        """The strong algorithms that its digests are of."""
        return frozenset(line.algorithm for line in self.lines.values() if line.digest)


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

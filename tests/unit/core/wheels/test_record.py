"""RECORD is read to the letter (SECURITY.md row 25)."""

from __future__ import annotations

import base64
import hashlib

import pytest

from mirror.core.wheels.record import Line, Record

DIGEST = hashlib.sha256(b"x").digest()
TEXT = base64.urlsafe_b64encode(DIGEST).rstrip(b"=").decode()


def test_lines_are_read_with_quotes_and_without_sizes() -> None:
    record = Record.parse(f'"a, b.py",sha256={TEXT},1\r\nc.py,SHA256={TEXT}=,\nx-1.dist-info/RECORD,,\n'.encode())
    assert record.lines == {
        "a, b.py": Line("a, b.py", "sha256", DIGEST, 1),
        "c.py": Line("c.py", "sha256", DIGEST, None),
        "x-1.dist-info/RECORD": Line("x-1.dist-info/RECORD", "", b"", None),
    }


@pytest.mark.group(25)
def test_row_25_a_weak_digest_counts_as_none() -> None:
    record = Record.parse(b"a,md5=abc,1\nb,sha1=abc,1\n")
    assert [(line.algorithm, line.digest) for line in record.lines.values()] == [("md5", b""), ("sha1", b"")]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a,,\na,,\n", "it lists 'a' twice"),
        (b"a,,\n\n", "an empty line, on which pip fails"),
        (b"a,b\n", "has 2 columns, not three"),
        (b"a,,one\n", "has the size 'one'"),
        (b"a,,-1\n", "has the size '-1'"),
        (b"a,sha256=,1\n", "has the digest 'sha256='"),
        (b"a,sha256=abcd,1\n", "has the digest"),
        (f"a,sha512={TEXT},1\n".encode(), "has the digest"),
        (f"a,sha256={TEXT[:-1]}!,1\n".encode(), "has the digest"),
        (b"a,sha256=a,1\n", "has the digest"),
        (b"\xff,,\n", "utf-8"),
        (b'"' + b"a" * 200_000, "field larger than field limit"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Record.parse(data)

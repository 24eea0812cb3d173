"""Zip files as many tools write them, and as nobody should."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import zipfile
from typing import Any

import pytest

from mirror.core.archives.zipmembers import NoZip, ZipMember, zip_members

CONTENTS = {"a.json": b"{}" * 500, "b.json": b"", "deep/c.json": bytes(range(256))}


class Pipe(io.RawIOBase):
    """Where a zip is written that cannot seek: the writer puts sizes behind the data, as OSV's does."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def zipped(method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in CONTENTS.items():
            archive.writestr(name, data)
        archive.comment = comment
    return buffer.getvalue()


def read(data: bytes, limit: int = 1 << 20) -> dict[str, bytes]:
    stream = io.BytesIO(data)
    return {member.name: member.read(stream, limit) for member in zip_members(stream)}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_stored_and_deflated_members_are_read(method: int) -> None:
    assert read(zipped(method)) == CONTENTS


def test_a_zip_that_was_written_into_a_pipe_is_read() -> None:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in CONTENTS.items():
            archive.writestr(name, data)
    assert read(bytes(pipe.data)) == CONTENTS


def test_a_comment_at_the_end_is_passed_over() -> None:
    assert read(zipped(comment=b"x" * 60_000)) == CONTENTS


def with_zip64(data: bytes) -> bytearray:
    """The same with a zip64 directory, as for more than 65,535 entries."""
    at = data.rindex(b"PK\5\6")
    count, size, offset = struct.unpack("<HII", data[at + 10 : at + 20])
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
    return bytearray(data[:at] + end64 + locator + data[at : at + 8] + b"\xff" * 12 + data[at + 20 :])


def test_a_zip64_directory_is_read() -> None:
    assert read(bytes(with_zip64(zipped()))) == CONTENTS


def test_a_zip64_directory_that_is_not_there_is_refused() -> None:
    data = with_zip64(zipped())
    data[data.rindex(b"PK\6\6")] = 0
    with pytest.raises(NoZip, match="zip64 directory is not where it says"):
        read(bytes(data))
    with pytest.raises(NoZip, match="cannot be in"):
        read(bytes(data).replace(b"PK\6\7", b"XX\6\7"))


def test_what_has_no_directory_is_no_zip() -> None:
    for data in (b"", b"{}", b"PK\5\6" + b"\0" * 10):
        with pytest.raises(NoZip, match="no zip file"):
            read(data)


def test_a_directory_that_cannot_be_there_is_refused_before_it_is_read() -> None:
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 60_000, 60_000, 1 << 31, 0, 0)
    with pytest.raises(NoZip, match="60000 entries and 2147483648 bytes cannot be in 22 bytes"):
        read(end)


def test_a_file_beyond_the_reach_of_its_offsets_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "large.zip"
    with path.open("wb") as stream:
        stream.truncate(1 << 32)
    with path.open("rb") as stream, pytest.raises(NoZip, match="more than the"):
        list(zip_members(stream))


def test_a_directory_longer_than_it_says_is_refused() -> None:
    data = bytearray(zipped())
    at = data.rindex(b"PK\5\6")
    data[at + 12 : at + 16] = struct.pack("<I", 40)
    with pytest.raises(NoZip, match="longer than it says"):
        read(bytes(data))


def test_an_entry_that_is_none_is_refused() -> None:
    data = bytearray(zipped())
    data[data.index(b"PK\1\2")] = 0
    with pytest.raises(NoZip, match="no entry of its directory"):
        read(bytes(data))


@pytest.mark.group(47)
def test_a_bomb_is_inflated_no_further_than_the_limit() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.json", b"0" * (20 << 20))
    with pytest.raises(NoZip, match="20971520 bytes, more than the 1048576 allowed"):
        read(buffer.getvalue())


def member(data: bytes, **changes: Any) -> ZipMember:
    found = next(iter(zip_members(io.BytesIO(data))))
    return ZipMember(**{**vars(found), **changes})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"size": 10}, "11 bytes, the directory says 10"),
        ({"size": 2000}, "1000 bytes, the directory says 2000"),
        ({"flags": 1}, "encrypted"),
        ({"method": 12}, "method 12"),
        ({"offset": 5}, "no file where the directory says"),
        ({"offset": 1 << 33}, "ends before byte"),
        ({"packed": 1 << 19}, "ends before byte"),
    ],
)
def test_a_member_that_is_not_as_its_entry_says_is_refused(changes: dict[str, Any], problem: str) -> None:
    data = zipped()
    with pytest.raises(NoZip, match=problem):
        member(data, **changes).read(io.BytesIO(data), 1 << 20)


def test_a_member_that_does_not_inflate_is_refused() -> None:
    data = bytearray(zipped())
    data[30 + len("a.json")] = 0xFF  # a block of no type
    with pytest.raises(NoZip, match="invalid block type"):
        read(bytes(data))


def test_a_damaged_zip_gives_nothing_but_its_own_error() -> None:
    dice, good = random.Random(4), zipped()
    for _ in range(1000):
        data = bytearray(good)
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        with contextlib.suppress(NoZip):
            read(bytes(data[: dice.choice((len(data), dice.randrange(len(data))))]))

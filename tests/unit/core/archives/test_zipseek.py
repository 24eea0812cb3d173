"""A member of a wheel, read at any place after it went by once."""

from __future__ import annotations

import io
import os
import random
import zipfile
from pathlib import Path

import pytest

from mirror.core.archives.zipseek import TooScattered
from mirror.core.wheels.wheelzip import Archive, Marks, Member, read_archive

MEBI = 1 << 20


def content(size: int) -> bytes:
    """Bytes that pack to a third or so, and differ everywhere."""
    numbers = random.Random(1)
    return b"".join(numbers.randbytes(20) + bytes(44) for _ in range(size // 64))


def archive_of(tmp_path: Path, data: bytes, method: int = zipfile.ZIP_DEFLATED) -> Archive:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("first", b"1")
        archive.writestr("lib.so", data)
        archive.writestr("last", b"2")
    return read_archive(io.BytesIO(path.read_bytes()))


def gone_by(archive: Archive) -> tuple[Member, Marks]:
    member = archive.members[1]
    marks = Marks(member)
    for _ in archive.content(member, marks):
        pass
    return member, marks


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("size", [64, 128 << 10, 13 * MEBI])
def test_every_place_reads_as_it_went_by(tmp_path: Path, size: int, method: int) -> None:
    data = content(size)
    archive = archive_of(tmp_path, data, method)
    stream = archive.seekable(*gone_by(archive))
    assert stream.seek(0, os.SEEK_END) == size
    places = random.Random(2)
    for start in (0, size - 1, size // 2, *(places.randrange(size) for _ in range(40))):
        assert stream.seek(start) == start
        assert stream.read(5000) == data[start : start + 5000]
    assert stream.read(1) in (b"", data[stream.tell() - 1 : stream.tell()])
    assert stream.seek(size + 10) and stream.read(1) == b""


def test_what_compresses_to_nothing_is_found_too(tmp_path: Path) -> None:
    data = bytes(30 * MEBI) + b"end"
    archive = archive_of(tmp_path, data)
    stream = archive.seekable(*gone_by(archive))
    stream.seek(-3, os.SEEK_END)
    assert stream.read() == b"end"


def test_places_that_lie_far_apart_cannot_make_it_work_for_ever(tmp_path: Path) -> None:
    size = 24 * MEBI
    archive = archive_of(tmp_path, bytes(size))  # packs into one block: each place costs all that lies before it
    stream = archive.seekable(*gone_by(archive))
    with pytest.raises(TooScattered, match="read back and forth"):
        for place in range(size - 1, 0, -(300 << 10)):
            stream.seek(place)
            stream.read(1)


def test_where_there_is_room_for_a_copy_places_that_lie_far_apart_are_read_from_it(tmp_path: Path) -> None:
    data = content(24 * MEBI)
    archive = archive_of(tmp_path, data)
    places = random.Random(3)
    with archive.seekable(*gone_by(archive), scratch=tmp_path) as stream:
        for start in (places.randrange(len(data)) for _ in range(600)):
            stream.seek(start)
            assert stream.read(100) == data[start : start + 100]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_no_copy_is_made_for_a_few_places(tmp_path: Path) -> None:
    data = content(24 * MEBI)
    archive = archive_of(tmp_path, data)
    with archive.seekable(*gone_by(archive), scratch=tmp_path / "absent") as stream:
        for start in (0, len(data) - 9, len(data) // 2, 5):
            stream.seek(start)
            assert stream.read(9) == data[start : start + 9]


def test_what_is_known_of_a_place_is_not_decompressed_again(tmp_path: Path) -> None:
    data = content(9 * MEBI)
    archive = archive_of(tmp_path, data)
    member, marks = gone_by(archive)
    stream = archive.seekable(member, marks, {5 * MEBI: b"known"})
    assert isinstance(archive.stream, io.BytesIO)
    archive.stream.close()
    stream.seek(5 * MEBI)
    assert stream.read(5) == b"known"


def test_a_wheel_that_changed_meanwhile_is_an_error_and_no_content(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, content(9 * MEBI))
    member, marks = gone_by(archive)
    assert isinstance(archive.stream, io.BytesIO)
    archive.stream.seek(member.start)
    archive.stream.write(b"\xff" * (member.packed - 1))
    with pytest.raises(OSError, match="has changed while it was read"):
        archive.seekable(member, marks).read(10)

"""A zip file has one meaning, or is refused (SECURITY.md rows 22, 23, 24 and 47)."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from mirror.core.archives import zipdirectory
from mirror.core.wheels.wheelzip import Archive, BadZip, read_archive
from tests.support.wheels import make_wheel
from tests.support.zips import Entry, central_header, deflated, end64_of, end_of, local_header, zip_bytes

A, B = Entry("a.py", b"x = 1\n" * 50), Entry("b/c.bin", bytes(range(256)), method=0)


def opened(data: bytes) -> Archive:
    return read_archive(io.BytesIO(data))


def contents(archive: Archive) -> dict[str, bytes]:
    return {member.name: b"".join(archive.content(member)) for member in archive.members}


def refused(data: bytes) -> BadZip:
    with pytest.raises(BadZip) as exc_info:
        contents(opened(data))
    return exc_info.value


def test_a_plain_archive_is_read() -> None:
    archive = opened(zip_bytes([A, B, Entry("d/", mode=0o40755)]))
    assert contents(archive) == {"a.py": A.data, "b/c.bin": B.data, "d/": b""}
    assert [member.is_directory for member in archive.members] == [False, False, True]


def test_an_empty_archive_has_no_members() -> None:
    assert opened(end_of(0, 0, 0)).members == ()


def test_what_pythons_own_zipfile_writes_is_read(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "left-pad", "1.0", files={"lëft.py": "ü".encode() * 9})
    with path.open("rb") as stream, zipfile.ZipFile(path) as theirs:
        assert contents(read_archive(stream)) == {name: theirs.read(name) for name in theirs.namelist()}


def test_members_may_be_listed_in_another_order_than_they_lie() -> None:
    first, second = ({**one.fields(), "offset": 0} for one in (A, B))
    body = local_header(first) + A.content()
    second["offset"] = len(body)
    body += local_header(second) + B.content()
    directory = central_header(second) + central_header(first)
    assert [one.name for one in opened(body + directory + end_of(2, len(directory), len(body))).members] == [
        "a.py",
        "b/c.bin",
    ]


@pytest.mark.group(22)
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (zip_bytes([A, B], listed=[0]), "'a.py' ends at byte 46, what follows begins at 339"),
        (zip_bytes([A], listed=[]), "46 bytes before its directory that belong to nothing"),
        (zip_bytes([A, B], listed=[1]), "bytes before 'b/c.bin' that belong to nothing"),
        (
            zip_bytes([A])[: -22 - 50] + central_header({**A.fields(), "offset": 0}) * 2
            + end_of(2, 100, len(zip_bytes([A])) - 22 - 50),
            "'a.py' is in it twice",
        ),
        (zip_bytes([A, A]), "'a.py' is in it twice"),
        (zip_bytes([Entry("a", b"1", local={"name": b"b"})]), "no local header of that name"),
        (zip_bytes([Entry("a", b"1", local={"size": 2})]), "in its directory"),
        (zip_bytes([Entry("a", b"1", local={"crc": 7})]), "in its directory"),
        (zip_bytes([Entry("a", b"1", local={"method": 0})]), "in its directory"),
        (zip_bytes([Entry("a", b"1", local={"packed": 2})]), "in its directory"),
        (zip_bytes([Entry("a", b"1", both={"crc": 7})]), "has CRC 83dcefb7, 00000007 is announced"),
        (zip_bytes([Entry("a", b"1", both={"size": 2})]), "has 1 bytes, 2 are announced"),
        (zip_bytes([Entry("a", b"12", both={"size": 1})]), "has more than the 1 bytes that are announced"),
        (zip_bytes([Entry("a", b"12", packed=deflated(b"12") + b"x")]), "bytes after the compressed stream"),
        (zip_bytes([Entry("a", b"12", packed=deflated(b"12")[:-1])]), "is cut short"),
        (zip_bytes([Entry("a", b"12", packed=b"\xff\xff\xff\xff")]), "is broken"),
        (zip_bytes([Entry("a", b"12", method=0, both={"size": 3})]), "is stored in 2 bytes and has 3"),
    ],
)  # fmt: skip
def test_row_22_headers_that_disagree_are_refused(data: bytes, problem: str) -> None:
    assert problem in str(refused(data))


def _descriptor(entry: Entry, signature: bytes = b"PK\x07\x08", wide: bool = False) -> bytes:
    form = "<L2Q" if wide else "<3L"
    return signature + struct.pack(form, zlib.crc32(entry.data), len(entry.content()), len(entry.data))


@pytest.mark.group(23)
@pytest.mark.parametrize("signature", [b"", b"PK\x07\x08"])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("local", [{}, {"crc": 0, "packed": 0, "size": 0}])
def test_row_23_a_data_descriptor_is_read_and_told(signature: bytes, wide: bool, local: dict[str, int]) -> None:
    entry = Entry("a", b"1" * 50, both={"flags": 8}, local=local, after=_descriptor(A, b""))
    entry = Entry("a", b"1" * 50, both={"flags": 8}, local=local, after=_descriptor(entry, signature, wide))
    archive = opened(zip_bytes([entry, B]))
    assert contents(archive)["a"] == b"1" * 50
    assert [member.descriptor for member in archive.members] == [True, False]


@pytest.mark.group(23)
def test_row_23_a_data_descriptor_that_says_otherwise_is_refused() -> None:
    for after in (b"", _descriptor(A), b"PK\x07\x08" + bytes(30)):
        data = zip_bytes([Entry("a", b"1", both={"flags": 8}, local={"crc": 0, "packed": 0, "size": 0}, after=after)])
        assert "data descriptor of 'a' does not say what its directory says" in str(refused(data))
    assert "in its local header" in str(refused(zip_bytes([Entry("a", b"1", local={"flags": 8})])))


_PLAIN = zip_bytes([A])


@pytest.mark.group(23)
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (_PLAIN + b"\0", "does not end as a zip file does"),
        (b"#!/bin/sh\n" + _PLAIN, "is said to end at byte"),
        (zip_bytes([Entry("a", b"1", before=b"junk")]), "4 bytes before 'a' that belong to nothing"),
        (zip_bytes([A, Entry("b", b"1", before=b"junk")]), "'a.py' ends at byte"),
        (zip_bytes([A], before_directory=b"junk"), "'a.py' ends at byte"),
        (zip_bytes([A], before_end=b"junk"), "is said to end at byte"),
        (_PLAIN + _PLAIN, "is said to end at byte"),
        (_PLAIN + end_of(0, 0, 0), "is said to end at byte"),
        (_PLAIN[:-22] + end_of(1, 50, len(_PLAIN) - 72, b"hello"), "does not end as a zip file does"),
        (zip_bytes([Entry("a", b"1", central={"comment": b"hi"})]), "'a' has a comment"),
        (zip_bytes([Entry("a", b"1", central={"disk": 1})]), "is on another disk"),
        (zip_bytes([A], end={"disk": 1}), "one of several disks"),
        (zip_bytes([A], end={"here": 0}), "one of several disks"),
        (zip_bytes([A], end={"count": 2, "here": 2}), "shorter than its end says"),
        (zip_bytes([A, B], end={"count": 1, "here": 1}), "holds more than the members that its end counts"),
        (zip_bytes([A], end={"size": 0xFFFFFFFF}), "needs a ZIP64 end and has none"),
        (_PLAIN.replace(b"PK\x01\x02", b"PK\x01\x09"), "holds something else than members"),
        (_PLAIN.replace(b"PK\x03\x04", b"PK\x03\x09"), "no local header of that name"),
        (zip_bytes([Entry("a", b"1", central={"name": b""})]), "a member has no name"),
        (zip_bytes([Entry("a", both={"name": b"\xe9"})]), "not in the encoding that it says"),
        (zip_bytes([Entry("a", both={"name": b"\xe9", "flags": 0x800})]), "not in the encoding that it says"),
        (zip_bytes([Entry("a", both={"flags": 0x10})]), "'a' has flags 0x10"),
        (zip_bytes([Entry("a", both={"extra": b"\1"})]), "'a' has a broken extra field"),
        (zip_bytes([Entry("a", both={"extra": b"\1\2\x09\0"})]), "or cut short"),
        (zip_bytes([Entry("a", both={"extra": b"UT\0\0UT\0\0"})]), "has extra field 0x5455 twice"),
        (zip_bytes([Entry("a", both={"extra": b"\1\0\0\0\1\0\0\0"})]), "has extra field 0x0001 twice"),
        (zip_bytes([Entry("a", central={"extra": b"\1\0\x08\0" + bytes(8)})]), "has 8 bytes, 0 are needed"),
        (zip_bytes([Entry("a", local={"extra": b"\1\0\x08\0" + bytes(8)})]), "has 8 bytes, 16 are needed"),
        (zip_bytes([Entry("a", local={"extra": b"\1\0\x10\0" + b"\7" * 16})]), "in its local header"),
        (b"", "too short to be a zip file"),
        (b"PK\x05\x06", "too short to be a zip file"),
        (_PLAIN[:-22] + b"\0" * 22, "does not end as a zip file does"),
    ],
)  # fmt: skip
def test_row_23_bytes_that_two_readers_understand_differently_are_refused(data: bytes, problem: str) -> None:
    assert problem in str(refused(data))


def _with_end64(locator: dict[str, int] | None = None, end: dict[str, int] | None = None, **fields: int) -> bytes:
    plain = zip_bytes([A])[:-22]
    size = len(central_header({**A.fields(), "offset": 0}))
    says = {"count": 1, "size": size, "offset": len(plain) - size, **fields}
    ends: dict[str, Any] = {"count": 1, "size": size, "offset": len(plain) - size, **(end or {})}
    return plain + end64_of(**says, where=len(plain), locator=locator) + end_of(**ends)


@pytest.mark.group(23)
@pytest.mark.parametrize("end", [{}, {"size": 0xFFFFFFFF}, {"count": 0xFFFF, "here": 0xFFFF, "offset": 0xFFFFFFFF}])
def test_row_23_a_zip64_end_that_agrees_is_read(end: dict[str, int]) -> None:
    assert contents(opened(_with_end64(end=end))) == {"a.py": A.data}


@pytest.mark.group(23)
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (_with_end64({"offset": 0}), "locator does not lead to the ZIP64 end before it"),
        (_with_end64({"disks": 2}), "locator does not lead to the ZIP64 end before it"),
        (_with_end64(count=2), "its end says 1, its ZIP64 end 2"),
        (_with_end64(offset=3), "its ZIP64 end 3"),
        (_with_end64(end={"offset": 0xFFFFFFFF}, offset=3), "is said to end at byte"),
        (_with_end64().replace(b"PK\x06\x06", b"PK\x06\x09"), "its ZIP64 end is none"),
    ],
)
def test_row_23_a_zip64_end_that_disagrees_is_refused(data: bytes, problem: str) -> None:
    assert problem in str(refused(data))


@pytest.mark.group(23)
def test_row_23_a_unicode_path_that_differs_is_refused() -> None:
    def field(name: bytes, of: bytes = b"a", version: bytes = b"\1") -> bytes:
        data = version + struct.pack("<L", zlib.crc32(of)) + name
        return struct.pack("<2H", 0x7075, len(data)) + data

    assert opened(zip_bytes([Entry("a", both={"extra": field(b"a")})])).members[0].name == "a"
    for extra in (field(b"b"), field(b"a", of=b"b"), field(b"a", version=b"\2")):
        assert "another name in its Unicode path field" in str(refused(zip_bytes([Entry("a", both={"extra": extra})])))


def test_sizes_beyond_32_bits_are_read_from_the_zip64_field() -> None:
    wide = {"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF}
    extra = struct.pack("<2H2Q", 1, 16, 1, len(deflated(b"1")))
    entry = Entry("a", b"1", local={**wide, "extra": extra}, central={**wide, "extra": extra})
    assert contents(opened(zip_bytes([entry]))) == {"a": b"1"}
    # bazel adds the field, with the right sizes, where nothing overflows (protobuf's wheels).
    assert contents(opened(zip_bytes([Entry("a", b"1", local={"extra": extra})]))) == {"a": b"1"}


@pytest.mark.group(24)
@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (Entry("a", b"1", both={"flags": 1}), "zip-encrypted"),
        (Entry("a", b"1", both={"flags": 0x40}), "zip-encrypted"),
        (Entry("a", b"1", both={"flags": 0x2000}), "zip-encrypted"),
        (Entry("a", b"1", local={"flags": 1}), "zip-encrypted"),
        (Entry("a", b"1", method=12), "zip-method"),
        (Entry("a", b"1", method=14), "zip-method"),
        (Entry("a", b"1", method=93), "zip-method"),
        (Entry("a", b"/etc/passwd", mode=0o120777), "member-type"),
        (Entry("a", mode=0o60644), "member-type"),
        (Entry("a", mode=0o10644), "member-type"),
        (Entry("a", mode=0o40755), "member-type"),
        (Entry("a/", mode=0o100644), "member-type"),
        (Entry("a/", b"1", mode=0o40755), "member-type"),
        (Entry("a", both={"attributes": 0x10, "made": 20}), "member-type"),
    ],
)
def test_row_24_what_no_wheel_holds_is_refused(entry: Entry, rule: str) -> None:
    assert refused(zip_bytes([A, entry])).rule == rule


@pytest.mark.group(24)
def test_row_24_members_that_overlap_are_refused() -> None:
    """Fifield's bomb: one compressed kernel under many headers."""
    first, second = {**A.fields(), "offset": 0}, {**A.fields(), "name": b"b.py", "offset": 0}
    body = local_header(first) + A.content()
    directory = central_header(first) + central_header(second)
    assert "overlaps" in str(refused(body + directory + end_of(2, len(directory), len(body))))
    inner = local_header(second) + A.content()
    first["packed"] = len(inner)
    body = local_header(first)
    second["offset"] = len(body)
    directory = central_header(first) + central_header(second)
    assert "overlaps" in str(refused(body + inner + directory + end_of(2, len(directory), len(body + inner))))


@pytest.mark.group(47)
def test_row_47_a_bomb_is_stopped_at_its_announced_size_in_flat_memory() -> None:
    bomb = deflated(bytes(256 << 20))  # 1,029 to 1
    archive = opened(zip_bytes([Entry("a", b"\0" * 1000, packed=bomb)]))
    tracemalloc.start()
    with pytest.raises(BadZip, match="more than the 1000 bytes that are announced"):
        for _ in archive.content(archive.members[0]):
            pass
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.group(47)
def test_row_47_an_endless_stream_of_nothing_ends() -> None:
    """Empty deflate blocks: much input, no output."""
    empty = b"\x00\x00\x00\xff\xff" * 200_000
    archive = opened(zip_bytes([Entry("a", b"", packed=empty + deflated(b""))]))
    assert b"".join(archive.content(archive.members[0])) == b""


@pytest.mark.group(47)
@pytest.mark.parametrize("end", [{"count": 65_534, "here": 65_534}, {"size": 0xFFFFFFF0}, {"offset": 0xFFFFFFF0}])
def test_row_47_a_directory_larger_than_the_file_is_refused_before_it_is_read(end: dict[str, int]) -> None:
    refused(zip_bytes([A], end=end))


@pytest.mark.group(47)
def test_row_47_ten_million_members_are_refused_before_the_directory_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def sparse(count: int, size: int) -> io.BytesIO:
        end = end64_of(count, size, 0, where=size)
        return io.BytesIO(bytes(size) + end + end_of(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF))

    monkeypatch.setattr(zipdirectory, "MAX_DIRECTORY_BYTES", 1 << 20)
    with pytest.raises(BadZip, match="10000000 members"):
        read_archive(sparse(10_000_000, 1000))
    with pytest.raises(BadZip, match="in 1048577 bytes"):
        read_archive(sparse(3, (1 << 20) + 1))


def test_a_small_member_is_read_up_to_a_limit() -> None:
    archive = opened(zip_bytes([A]))
    assert archive.read(archive.members[0], 300) == A.data
    with pytest.raises(BadZip, match="has 300 bytes, at most 299 are read"):
        archive.read(archive.members[0], 299)


@pytest.mark.parametrize("seed", range(4))
def test_no_flipped_byte_is_understood_otherwise(seed: int) -> None:
    """Every byte but those of time, version and level: another content, or a refusal that is ours."""
    data = zip_bytes([A, B, Entry("d/", mode=0o40755)])
    good = contents(opened(data))
    for position in range(seed, len(data), 4):
        for mask in (0x01, 0x80, 0xFF):
            broken = data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]
            try:
                found = contents(opened(broken))
            except BadZip:
                continue
            assert found == good, f"byte {position} flipped with {mask:#x}"


def test_every_truncation_is_refused() -> None:
    data = zip_bytes([A, B])
    for size in range(len(data)):
        refused(data[:size])

"""The archive format, without the package around it."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.archives.cpio import Archive, Entry, MalformedPayload
from scripts.cuda_rpms.rpmfile import Member, cpio_header
from tests.support.rpms import archive_of

GOOD = archive_of([Member.directory("/d"), Member.of_bytes("/d/a", b"12345"), Member.symlink("/d/b", "a")])
TRAILER = cpio_header("TRAILER!!!", 0, 0, 0, 0)


def read(data: bytes, sizes: tuple[int, ...] = ()) -> list[tuple[Entry, bytes]]:
    archive = Archive(io.BytesIO(data).read, sizes, "a.rpm")
    return [(entry, b"".join(archive.content())) for entry in archive]


def problem(data: bytes) -> str:
    with pytest.raises(MalformedPayload) as caught:
        read(data)
    return caught.value.problem


def test_reads_names_modes_and_contents() -> None:
    found = [(entry.name, oct(entry.mode), data) for entry, data in read(GOOD)]
    assert found == [("./d", "0o40755", b""), ("./d/a", "0o100644", b"12345"), ("./d/b", "0o120777", b"a")]


def test_passes_over_content_that_nobody_asked_for() -> None:
    assert [entry.name for entry in Archive(io.BytesIO(GOOD).read, ())] == ["./d", "./d/a", "./d/b"]


def test_reads_from_a_stream_that_gives_little_at_a_time() -> None:
    stream = io.BytesIO(GOOD)
    archive = Archive(lambda size: stream.read(min(size, 3)), ())
    assert [(entry.name, b"".join(archive.content())) for entry in archive][1] == ("./d/a", b"12345")


@pytest.mark.group(30)
def test_padding_after_the_trailer_is_legal_up_to_a_block() -> None:
    """SECURITY.md 30: data after the trailer."""
    assert len(read(GOOD + bytes(512))) == 3
    stream = io.BytesIO(GOOD + bytes(100))
    assert len(list(Archive(lambda size: stream.read(min(size, 7)), ()))) == 3
    assert problem(GOOD + bytes(513)) == "there are bytes after its trailer"
    assert problem(GOOD + b"x") == "there are bytes after its trailer"


@pytest.mark.group(30)
@pytest.mark.parametrize("length", range(0, len(GOOD), 9))
def test_refuses_an_archive_cut_short(length: int) -> None:
    """SECURITY.md 30: a missing trailer, a size larger than the rest."""
    assert problem(GOOD[:length]).startswith("it ends ")


@pytest.mark.parametrize("digits", [b"+0000001", b" 0000001", b"0000_001", b"-0000001", b"0x000001"])
def test_a_number_is_eight_hex_digits(digits: bytes) -> None:
    assert problem(GOOD[:6] + digits + GOOD[14:]) == f"{digits!r} is no number"


def test_refuses_other_formats() -> None:
    assert problem(b"070702" + GOOD[6:]) == "no file begins with b'070702'"
    assert problem(b"\xc7\x71" + GOOD[2:]) == r"no file begins with b'\xc7q0701'"


def header_with_name(raw: bytes, size: int | None = None) -> bytes:
    fields = [0] * 11 + [len(raw) if size is None else size, 0]
    data = b"070701" + b"".join(b"%08x" % field for field in fields) + raw
    return data + bytes(-len(data) % 4) + TRAILER


@pytest.mark.group(30)
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (header_with_name(b"a\0b\0"), "has no proper end"),
        (header_with_name(b"abc"), "has no proper end"),
        (header_with_name(b"\xff\0"), "is not UTF-8"),
        (header_with_name(b"", 0), "a name of 0 bytes"),
        (header_with_name(b"\0"), "a name of 1 bytes"),
        (header_with_name(b"a\0", 5000), "a name of 5000 bytes"),
        (cpio_header("TRAILER!!!", 0, 0, 4, 0) + bytes(4), "its trailer has content"),
    ],
)
def test_refuses_broken_headers(data: bytes, words: str) -> None:
    """SECURITY.md 30: a name with a zero byte in it, and others."""
    assert words in problem(data)


def test_refuses_bytes_between_files() -> None:
    at = GOOD.index(b"12345") + 5
    assert problem(GOOD[:at] + b"x" + GOOD[at + 1 :]) == "there are bytes between two files"


def test_takes_sizes_of_nameless_files_from_outside() -> None:
    data = b"07070X00000000\0\0" + b"12345\0\0\0" + TRAILER
    assert [(entry.index, content) for entry, content in read(data, (5,))] == [(0, b"12345")]


@given(st.binary(max_size=400), st.integers(0, len(GOOD)), st.integers(0, 60))
def test_whatever_comes_is_read_or_refused(junk: bytes, at: int, cut: int) -> None:
    with suppress(MalformedPayload):
        read(GOOD[:at] + junk + GOOD[at + cut :])


def test_a_size_larger_than_the_rest_is_refused() -> None:
    """SECURITY.md 30."""
    huge = cpio_header("./d/a", 2, 0o100644, 0xFFFFFFFF, 0) + b"12345"
    assert problem(huge + TRAILER).startswith("it ends 4294967")


def test_an_archive_without_a_trailer_is_refused() -> None:
    """SECURITY.md 30."""
    assert problem(GOOD[: -len(TRAILER)]) == "it ends without its trailer"

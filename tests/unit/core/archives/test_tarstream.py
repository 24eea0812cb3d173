"""Reading a tar strictly: what real tars say, and each thing that none may say."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
from collections.abc import Callable, Iterable

import pytest

from mirror.core.archives import tarstream
from mirror.core.archives.tarheader import BLOCK
from mirror.core.archives.tarstream import BadArchive, Member, TarStream, measure

FILE, DIRECTORY, SYMLINK, HARDLINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
FORMS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]

Raw = tuple[tarfile.TarInfo, bytes]


def member(name: str, data: bytes = b"", kind: bytes = FILE, link: str = "", mode: int = 0o644) -> Raw:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.mode = kind, len(data), link, mode
    return info, data


def tar(*members: Raw, form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read(data: bytes, limit: int = 1 << 20, compressor: str = "") -> dict[str, tuple[Member, bytes]]:
    stream = TarStream(io.BytesIO(data), "a.tar", limit, compressor)
    return {found.path: (found, b"".join(stream.content())) for found in stream}


def refusal(data: bytes, limit: int = 1 << 20) -> str:
    with pytest.raises(BadArchive) as caught:
        read(data, limit)
    return caught.value.problem


GOOD = (
    member("top", kind=DIRECTORY, mode=0o755),
    member("top/bin/nvcc", b"elf", mode=0o4755),
    member("top/lib/libx.so.1", b"x" * 1000),
    member("top/lib/libx.so", kind=SYMLINK, link="libx.so.1"),
    member("top/lib/liby.so", kind=HARDLINK, link="top/lib/libx.so.1"),
)


@pytest.mark.parametrize("form", FORMS)
def test_reads_what_others_write(form: int) -> None:
    long = "top/include/" + "deep/" * 30 + "x" * 90
    found = read(
        tar(*GOOD, member(long, b"long"), form=form) if form != tarfile.USTAR_FORMAT else tar(*GOOD, form=form)
    )
    assert {path: stat.filemode(one.mode) for path, (one, _) in found.items() if path[:3] != "inc"} == {
        "": "drwxr-xr-x",
        "bin/nvcc": "-rwsr-xr-x",
        "lib/libx.so.1": "-rw-r--r--",
        "lib/libx.so": "lrwxrwxrwx",
        "lib/liby.so": "-rw-r--r--",
    }
    assert found["lib/libx.so.1"] == (Member("lib/libx.so.1", stat.S_IFREG | 0o644, 1000), b"x" * 1000)
    assert found["lib/libx.so"][0].link == "libx.so.1"
    assert found["lib/liby.so"] == (
        Member("lib/liby.so", stat.S_IFREG | 0o644, 1000, original="lib/libx.so.1"),
        b"",
    )
    if form != tarfile.USTAR_FORMAT:
        assert found[long[4:]][1] == b"long"


def test_a_prefix_of_ustar_is_part_of_the_name() -> None:
    long = "top/" + "d" * 90 + "/" + "f" * 90
    assert list(read(tar(member(long, b"1"), form=tarfile.USTAR_FORMAT))) == [long[4:]]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_goes_by_the_first_bytes(compress: Callable[[bytes], bytes]) -> None:
    assert measure(io.BytesIO(compress(tar(*GOOD))), "a", 1 << 20) == 3 + 1000 + 1000


def test_content_that_nobody_reads_is_passed_over() -> None:
    stream = TarStream(io.BytesIO(tar(*GOOD)), "a", 1 << 20)
    assert [found.path for found in stream][-1] == "lib/liby.so"


@pytest.mark.group(21)
@pytest.mark.parametrize(
    "name",
    [
        "/etc/x",
        "top/../../x",
        "../x",
        "top/a//b",
        "top/./b",
        "top/a\nb",
        "top/a\x1bb",
        "top/\u202ea",
        "top/" + "x" * 300,
    ],
)
def test_refuses_a_name_that_is_not_plain(name: str) -> None:
    assert "names a place outside, or no plain one" in refusal(
        tar(member("top/a"), member(name), form=tarfile.PAX_FORMAT)
    )


@pytest.mark.group(19, 20)
@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([member("top/a"), member("other/b")], "'other/b' is not below the one top directory 'top'"),
        ([member("top")], "'top' is no directory, as its name says"),
        ([member("top/a"), member("top/a")], "'top/a' occurs twice"),
        ([member("top/a"), member("top/a", kind=SYMLINK, link="b")], "'top/a' occurs twice"),
        ([member("top/a"), member("top/a", kind=DIRECTORY)], "'top/a/' is both a directory and something else"),
        ([member("top/a/b"), member("top/a")], "'top/a' is both a directory and something else"),
        ([member("top/a"), member("top/a/b")], "'a' is both a directory and something else"),
        ([member("top/a", kind=SYMLINK, link="lib"), member("top/a/x")], "'a' is both a directory and something else"),
        ([member("top/a", kind=SYMLINK, link="/etc")], "'top/a' is a link to the absolute path '/etc', or to none"),
        ([member("top/a", kind=SYMLINK)], "'top/a' is a link to the absolute path '', or to none"),
        ([member("top/a", kind=SYMLINK, link="../x")], "'top/a' is a link out of the archive, to '../x'"),
        ([member("top/b/a", kind=SYMLINK, link="c/../..")], "'top/b/a' is a link out of the archive, to 'c/../..'"),
        (
            [member("top/a", kind=HARDLINK, link="top/none")],
            "'top/a' is a hard link to 'top/none', which is no file before it",
        ),
        (
            [member("top/l", kind=SYMLINK, link="x"), member("top/a", kind=HARDLINK, link="top/l")],
            "'top/a' is a hard link to 'top/l', which is no file before it",
        ),
        (
            [member("top/a", kind=HARDLINK, link="/etc/passwd")],
            "'top/a' names a place outside, or no plain one ('/etc/passwd')",
        ),
        ([member("top/a", kind=HARDLINK, link="../x")], "'top/a' names a place outside, or no plain one ('../x')"),
        ([member("top/a", kind=tarfile.CHRTYPE)], "'top/a' is neither a file, a directory nor a link"),
        ([member("top/a", kind=tarfile.BLKTYPE)], "'top/a' is neither a file, a directory nor a link"),
        ([member("top/a", kind=tarfile.FIFOTYPE)], "'top/a' is neither a file, a directory nor a link"),
        ([member("top/a", kind=tarfile.GNUTYPE_SPARSE)], "'top/a' is neither a file, a directory nor a link"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_a_member(members: Iterable[Raw], problem: str) -> None:
    assert refusal(tar(*members)) == problem


@pytest.mark.group(47)
def test_refuses_more_bytes_than_are_signed_before_reading_them() -> None:
    assert read(tar(*GOOD), limit=2003)
    assert refusal(tar(*GOOD), limit=2002) == "it holds more bytes than the 2002 that are allowed"


def test_refuses_more_members_than_anybody_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarstream, "MAX_MEMBERS", 3)
    assert refusal(tar(*(member(f"top/{name}") for name in "abcd"))) == "it has more than 3 members"


def test_few_bytes_name_no_multitude_of_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = refusal(tar(member("top/" + "a/" * 3000 + "f")))
    assert problem.endswith("has 6005 characters, more than 4096")
    monkeypatch.setattr(tarstream, "MAX_MEMBERS", 5)
    assert refusal(tar(member("top/a/b/c/d/e/f"), member("top/g"))) == "it has more than 5 files and directories"


def test_a_directory_with_content_is_refused() -> None:
    data = bytearray(tar(member("top/a/", kind=DIRECTORY), member("top/b")))
    assert refusal(rewritten(data, 124, b"%011o\0" % 512)) == "'top/a/' is no file and has content"


def rewritten(data: bytearray, at: int, field: bytes) -> bytes:
    """A first header with another field, its checksum made right again."""
    data[at : at + len(field)] = field
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:BLOCK])
    return bytes(data)


@pytest.mark.group(19)
@pytest.mark.parametrize(
    ("at", "field", "problem"),
    [
        (257, b"nothing ", "a header has no ustar magic"),
        (124, b"\x80" + bytes(10) + b"\x05", "is no octal number"),
        (124, b"-0000000001\0", "is no octal number"),
        (0, b"top/\xff", r"the name b'top/\xff' is not UTF-8"),
    ],
)
def test_refuses_a_broken_header(at: int, field: bytes, problem: str) -> None:
    assert problem in refusal(rewritten(bytearray(tar(member("top/a", b"1"))), at, field))


@pytest.mark.group(19)
def test_any_flipped_byte_of_a_header_is_refused_or_is_another_name() -> None:
    """Stock tarfile takes a broken header for the end of the archive and says nothing."""
    good = tar(member("top/a", b"1"), member("top/b", b"2"))
    for offset in range(2 * BLOCK, 3 * BLOCK):
        data = bytearray(good)
        data[offset] ^= 0x01
        assert "damaged" in refusal(bytes(data))


def record(text: bytes) -> bytes:
    """A pax record: its own length, a blank, the text, a line end."""
    length = len(text) + 2
    while len(b"%d" % length) + len(text) + 2 != length:
        length += 1
    return b"%d %s\n" % (length, text)


def pax(data: bytes, size: int | None = None, kind: bytes = b"x") -> bytes:
    """A pax header that holds these bytes, then a file."""
    info = tarfile.TarInfo("top/x")
    info.type, info.size = kind, len(data) if size is None else size
    return info.tobuf(tarfile.USTAR_FORMAT) + data.ljust(-len(data) % BLOCK + len(data), b"\0") + tar(member("top/a"))


@pytest.mark.group(19)
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (record(b"size=100"), "a pax header says size"),
        (record(b"GNU.sparse.major=1.0"), "a pax header says GNU.sparse.major"),
        (record(b"hdrcharset=BINARY"), "a pax header says hdrcharset"),
        (b"99 path=a\n", "a pax header is broken"),
        (b"path=a\n", "a pax header is broken"),
        (b"9 path=ab", "a pax header is broken"),
        (record(b"path=\xff\xfe"), "is not UTF-8"),
    ],
)
def test_refuses_a_pax_header_that_changes_how_content_is_read(data: bytes, problem: str) -> None:
    assert problem in refusal(pax(data))


def test_a_pax_header_about_times_and_owners_is_passed_over() -> None:
    assert list(read(pax(record(b"mtime=1700000000.5")))) == ["a"]
    assert list(read(pax(record(b"comment=by git"), kind=b"g"))) == ["a"]
    assert "a global pax header names a member" in refusal(pax(record(b"path=a/b"), kind=b"g"))


@pytest.mark.group(47)
def test_an_extended_header_is_small() -> None:
    big = (64 << 10) + 1
    assert refusal(pax(b"", big)) == f"it is damaged: an extended header of {big} bytes"


def test_an_extended_header_before_the_end_is_refused() -> None:
    data = pax(record(b"path=t/b"))
    assert "damaged" in refusal(data[: 2 * BLOCK] + bytes(2 * BLOCK))


def test_refuses_an_archive_that_is_cut_short() -> None:
    data = tar(member("top/a", b"x" * 600))[: 3 * BLOCK + 2 * BLOCK]
    assert read(data)
    assert refusal(data[:-BLOCK]) == "it is damaged: it ends without two zero blocks"
    assert refusal(data[: 3 * BLOCK]) == "it is damaged: it ends without two zero blocks"
    assert refusal(data[: BLOCK + 100]) == "it is damaged: it ends 500 bytes before a file does"
    assert refusal(b"") == "it is damaged: it ends without two zero blocks"


def test_refuses_what_follows_the_end() -> None:
    data = tar(member("top/a"))[: 3 * BLOCK]
    assert read(data + bytes(1 << 19))
    for tail in (b"x", bytes(BLOCK) + b"x", tar(member("top/b")), bytes(2 << 20)):
        assert refusal(data + tail) == "there is something after its end"


COMPRESS: dict[str, Callable[[bytes], bytes]] = {"xz": lzma.compress, "gzip": gzip.compress, "bzip2": bz2.compress}


@pytest.mark.group(36)
@pytest.mark.parametrize("name", COMPRESS)
def test_refuses_a_stream_that_is_cut_short_altered_or_followed(name: str) -> None:
    compress = COMPRESS[name]
    data = compress(tar(member("top/a", os.urandom(50_000))))
    assert refusal(data[:-1]) == f"it is damaged: its {name} stream is cut short"
    assert refusal(data[: len(data) // 2]) == f"it is damaged: its {name} stream is cut short"
    assert refusal(data + b"x") == f"it is damaged: there are bytes after its {name} stream"
    assert refusal(data + data) == f"it is damaged: there are bytes after its {name} stream"
    middle = bytearray(data)
    middle[len(data) // 2] ^= 0xFF
    assert "damaged" in refusal(bytes(middle)) or name == "gzip"


@pytest.mark.group(37)
def test_an_xz_stream_that_wants_more_memory_than_is_given_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20, "preset": 0}]
    data = lzma.compress(tar(member("top/a", b"x")), filters=filters)
    assert "its xz stream is broken: Memory usage limit" in refusal(data)


def test_only_the_named_compressor_is_taken() -> None:
    with pytest.raises(BadArchive, match="its xz stream is broken"):
        read(gzip.compress(tar(*GOOD)), compressor="xz")


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_long_links_target_is_read_whole(form: int) -> None:
    target = "d/" * 60 + "x" * 50
    assert read(tar(member("top/a", kind=SYMLINK, link=target), form=form))["a"][0].link == target


def test_a_directory_may_be_listed_twice() -> None:
    found = read(tar(member("top/a/b"), member("top/a", kind=DIRECTORY), member("top/a", kind=DIRECTORY)))
    assert list(found) == ["a/b", "a"]


@pytest.mark.group(47)
def test_paths_of_thousands_of_directories_are_refused_before_they_fill_memory() -> None:
    """Each of them is remembered with all the directories above it."""
    deep = "/".join("d" * 2000)
    members = [member(f"top/{number}/{deep}/x") for number in range(40)]
    assert refusal(tar(*members, form=tarfile.PAX_FORMAT)) == "the paths in it have more than 33554432 characters"

"""Archives of packages: digests first, bounded decompression, and exactly what the signed header lists."""

from __future__ import annotations

import hashlib
import io
import lzma
import stat
import sys
from pathlib import Path

import pytest

from mirror.core.archives.cpio import MalformedPayload
from mirror.core.archives.zstdframe import Decompressor
from mirror.core.errors import MirrorError
from mirror.core.signatures.openpgp import read_keys
from mirror.core.toolkit.payload import PayloadMismatch, PayloadUnsupported, check_payload, contents
from mirror.core.toolkit.rpm import GHOST, Rpm, read_rpm
from scripts.cuda_rpms.rpmfile import INT32, STRING, STRING_ARRAY, Member, archive, cpio_header
from tests.support.rpms import (
    CREATED,
    DIRECTORY,
    HOME,
    Draft,
    Entries,
    Link,
    Packager,
    Program,
    archive_of,
    compressed,
    foreign_rpm,
    sequoia_key,
    zstd_here,
)

CONTENTS = {
    HOME: DIRECTORY,
    f"{HOME}/a.h": b"header" * 1000,
    f"{HOME}/bin/x": Program(b"elf"),
    f"{HOME}/b.h": Link("a.h"),
}
COMPRESSORS = ("xz", "lzma", "gzip", "bzip2", "zstd", "none")
STREAMS = COMPRESSORS[:-1]


@pytest.fixture(scope="module")
def packager() -> Packager:
    return Packager()


def opened(data: bytes, packager: Packager) -> tuple[Rpm, io.BytesIO]:
    stream = io.BytesIO(data)
    return read_rpm(stream, "a.rpm", packager.certificates, [packager.fingerprint]), stream


def unpacked(draft: Draft, packager: Packager) -> dict[str, bytes]:
    rpm, stream = opened(draft.bytes(), packager)
    check_payload(rpm, stream)
    stream.seek(rpm.payload_offset)
    found = {}
    for content in contents(rpm, stream, zstd_here):
        data = b"".join(content.pieces)
        found.update({file.path: data for file in (content.file, *content.also)})
    return found


def draft_of(packager: Packager, compressor: str = "xz") -> Draft:
    return packager.draft("a", CONTENTS, compressor=compressor)


def refusal(draft: Draft, packager: Packager) -> str:
    with pytest.raises(MalformedPayload) as caught:
        unpacked(draft, packager)
    assert caught.value.name == "a.rpm"
    return caught.value.problem


@pytest.mark.group(36)
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_unpacks_what_was_packed(packager: Packager, compressor: str) -> None:
    """SECURITY.md 36: each compressor is read."""
    found = unpacked(draft_of(packager, compressor), packager)
    assert found == {HOME: b"", f"{HOME}/a.h": b"header" * 1000, f"{HOME}/bin/x": b"elf", f"{HOME}/b.h": b""}


@pytest.mark.parametrize("form", ["V4", "V6"])
@pytest.mark.parametrize("compression", ["Xz", "Gzip", "Zstd", "NONE"])
def test_unpacks_packages_of_another_maker(tmp_path: Path, form: str, compression: str) -> None:
    secret = sequoia_key()
    certificate = secret.extract_certificate()
    path = foreign_rpm(tmp_path / "f.rpm", CONTENTS, secret, compression, form)
    with open(path, "rb") as stream:
        rpm = read_rpm(stream, path.name, read_keys(str(certificate)), [certificate.fingerprint])
        check_payload(rpm, stream)
        stream.seek(rpm.payload_offset)
        found = {content.file.path: b"".join(content.pieces) for content in contents(rpm, stream, zstd_here)}
    assert found == {HOME: b"", f"{HOME}/a.h": b"header" * 1000, f"{HOME}/bin/x": b"elf", f"{HOME}/b.h": b""}


@pytest.mark.group(36)
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="zstd is in the standard library")
def test_says_what_reads_zstd(tmp_path: Path) -> None:
    """SECURITY.md 36: where nothing decompresses it, the tool that would is named."""
    secret = sequoia_key()
    certificate = secret.extract_certificate()
    path = foreign_rpm(tmp_path / "f.rpm", CONTENTS, secret, "Zstd")
    with open(path, "rb") as stream:
        rpm = read_rpm(stream, path.name, read_keys(str(certificate)), [certificate.fingerprint])
        with pytest.raises(PayloadUnsupported) as caught:
            list(contents(rpm, stream))
    assert str(caught.value) == "f.rpm: its archive is compressed with zstd, which nothing here can read"
    assert all(way in caught.value.hint for way in ("'zstd' program", "Python 3.14", "backports.zstd"))


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="zstd is in the standard library")
def test_says_what_was_tried_for_zstd(packager: Packager) -> None:
    def nothing() -> Decompressor:
        raise LookupError("the program zstd: No such file or directory")

    rpm, stream = opened(draft_of(packager, "zstd").bytes(), packager)
    with pytest.raises(
        PayloadUnsupported, match=r"nothing here can read \(the program zstd: No such file or directory\)"
    ):
        list(contents(rpm, stream, nothing))


def test_an_unknown_compressor_is_named(packager: Packager) -> None:
    draft = draft_of(packager)
    draft.edit = lambda entries: entries.update({1125: (STRING, "lzip")})
    with pytest.raises(PayloadUnsupported, match="compressed with lzip, which nothing here can read"):
        unpacked(draft, packager)


@pytest.mark.group(34)
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_refuses_any_flipped_byte_by_the_archives_digest(packager: Packager, compressor: str) -> None:
    """SECURITY.md 34: the header's signature is good, the archive is altered."""
    data = draft_of(packager, compressor).bytes()
    rpm, _ = opened(data, packager)
    for at in range(rpm.payload_offset, len(data), 101):
        flipped = bytearray(data)
        flipped[at] ^= 1
        again, stream = opened(bytes(flipped), packager)  # the header's signature is good all the same
        with pytest.raises(PayloadMismatch, match=r"a\.rpm: its archive has digest"):
            check_payload(again, stream)


def test_the_digest_may_be_sha512(packager: Packager) -> None:
    draft = draft_of(packager)
    digest = hashlib.sha512(draft.packed()).hexdigest()
    draft.edit = lambda entries: entries.update({5092: (STRING_ARRAY, [digest]), 5093: (INT32, 10)})
    rpm, stream = opened(draft.bytes(), packager)
    check_payload(rpm, stream)
    assert rpm.payload_digest == ("sha512", digest)


def test_old_packages_name_no_digest_of_the_archive_but_those_of_the_files(packager: Packager) -> None:
    draft = draft_of(packager)
    draft.digest = ""
    assert unpacked(draft, packager)[f"{HOME}/bin/x"] == b"elf"
    other = packager.draft("a", {**CONTENTS, f"{HOME}/bin/x": Program(b"ELF")})
    draft.archive = archive_of(other.members)
    with pytest.raises(PayloadMismatch) as caught:
        unpacked(draft, packager)
    assert (caught.value.what, caught.value.actual) == (f"{HOME}/bin/x", hashlib.sha256(b"ELF").hexdigest())


@pytest.mark.group(36)
@pytest.mark.parametrize("compressor", STREAMS)
def test_refuses_a_stream_that_is_cut_short(packager: Packager, compressor: str) -> None:
    """SECURITY.md 36: a truncated stream of each."""
    draft = draft_of(packager, compressor)
    draft.payload = draft.packed()[:-1] if compressor != "lzma" else draft.packed()[:40]
    assert refusal(draft, packager) in (f"its {compressor} stream is cut short", "its bzip2 stream is cut short")


@pytest.mark.parametrize("compressor", [name for name in STREAMS if name != "lzma"])
def test_refuses_a_stream_cut_short_anywhere(packager: Packager, compressor: str) -> None:
    """SECURITY.md 36."""
    draft = draft_of(packager, compressor)
    whole = draft.packed()
    for length in range(0, len(whole), 29):
        draft.payload = whole[:length]
        assert refusal(draft, packager) == f"its {compressor} stream is cut short"


def test_refuses_what_follows_an_uncompressed_archive(packager: Packager) -> None:
    """SECURITY.md 36."""
    draft = draft_of(packager, "none")
    draft.payload = draft.packed() + b"x"
    assert refusal(draft, packager) == "there are bytes after its trailer"


@pytest.mark.group(36)
def test_refuses_a_zstd_window_of_gigabytes(packager: Packager) -> None:
    """SECURITY.md 36: what a decompressor may ask for is judged before there is one."""
    draft = draft_of(packager, "zstd")
    draft.payload = b"\x28\xb5\x2f\xfd\x00\xb0" + draft.packed()
    assert (
        refusal(draft, packager)
        == f"its zstd stream is broken: it needs 4294967296 bytes of memory, {128 << 20} is the limit"
    )


def test_refuses_an_uncompressed_archive_that_is_cut_short(packager: Packager) -> None:
    draft = draft_of(packager, "none")
    draft.payload = draft.packed()[:-124]
    assert refusal(draft, packager) == "it ends without its trailer"


@pytest.mark.parametrize("compressor", STREAMS)
def test_refuses_a_stream_that_is_none(packager: Packager, compressor: str) -> None:
    draft = draft_of(packager, compressor)
    draft.payload = b"not a stream of any kind"
    assert refusal(draft, packager).startswith(f"its {compressor} stream is broken: ")


@pytest.mark.group(36)
@pytest.mark.parametrize("compressor", STREAMS)
@pytest.mark.parametrize("more", [b"x", b"\0", b"second"])
def test_refuses_anything_after_the_stream(packager: Packager, compressor: str, more: bytes) -> None:
    """SECURITY.md 36: garbage after the stream of each."""
    draft = draft_of(packager, compressor)
    draft.payload = draft.packed() + (compressed(b"", compressor) if more == b"second" else more)
    assert refusal(draft, packager) == f"there are bytes after its {compressor} stream"


def test_refuses_an_xz_dictionary_of_gigabytes(packager: Packager) -> None:
    draft = draft_of(packager)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    packed = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=[{**filters[0], "dict_size": 1 << 16}])
    made = bytearray(packed.compress(archive_of(draft.members)) + packed.flush())
    # Byte 15 of the stream says how large the dictionary is; its header's checksum follows it.
    import zlib

    made[16] = 37  # 3 GiB
    header = bytes(made[12:20])
    made[20:24] = zlib.crc32(header).to_bytes(4, "little")
    draft.payload = bytes(made)
    assert "Memory usage limit" in refusal(draft, packager)


def test_stops_at_the_announced_size_however_much_a_stream_holds(packager: Packager) -> None:
    """600 MB of zeros in a few kilobytes, for a file that is announced with three bytes."""
    draft = draft_of(packager)
    first = archive_of(draft.members[:1]).split(cpio_header("TRAILER!!!", 0, 0, 0, 0))[0]
    bomb = lzma.LZMACompressor(preset=0)
    packed = [bomb.compress(first + cpio_header(f".{HOME}/a.h", 2, stat.S_IFREG | 0o644, 600_000_000, CREATED))]
    packed += [bomb.compress(bytes(1 << 20)) for _ in range(20)]
    draft.payload = b"".join(packed) + bomb.flush()
    assert refusal(draft, packager) == f"{HOME}/a.h has 600000000 bytes, the signed header says 6000"


@pytest.mark.group(30)
def test_refuses_an_archive_that_lacks_a_file(packager: Packager) -> None:
    """SECURITY.md 30: a file of the header that is not in the archive."""
    draft = draft_of(packager)
    draft.archive = archive_of(draft.members[:-1])
    assert refusal(draft, packager) == f"1 files of the signed header are not in it, the first is {HOME}/bin/x"


def test_ghosts_are_not_expected_in_the_archive(packager: Packager) -> None:
    draft = draft_of(packager)
    draft.archive = archive_of(draft.members[:-1])
    draft.edit = lambda entries: entries.update({1037: (INT32, [0, 0, 0, GHOST])})
    assert f"{HOME}/bin/x" not in unpacked(draft, packager)


@pytest.mark.group(30)
def test_refuses_a_file_that_the_header_does_not_list(packager: Packager) -> None:
    """SECURITY.md 30: an entry that is not in the header."""
    draft = draft_of(packager)
    draft.archive = archive_of([*draft.members, Member.of_bytes(f"{HOME}/evil", b"x")])
    assert refusal(draft, packager) == f"'.{HOME}/evil' is in it twice, or not in the signed header"


@pytest.mark.group(30)
@pytest.mark.parametrize("path", ["/../../etc/passwd", "/etc/passwd", "./etc"])
def test_refuses_other_paths_than_the_headers(packager: Packager, path: str) -> None:
    """SECURITY.md 30: ``../``, absolute paths, an entry that is not in the header."""
    draft = draft_of(packager)
    draft.archive = archive_of([Member.of_bytes(path, b"x"), *draft.members])
    assert "is in it twice, or not in the signed header" in refusal(draft, packager)


@pytest.mark.group(30)
def test_refuses_a_file_twice(packager: Packager) -> None:
    """SECURITY.md 30: a name twice."""
    draft = draft_of(packager)
    draft.archive = archive_of([*draft.members, draft.members[-1]])
    assert refusal(draft, packager) == f"'.{HOME}/bin/x' is in it twice, or not in the signed header"


def test_refuses_another_mode(packager: Packager) -> None:
    draft = draft_of(packager)
    draft.archive = archive_of([*draft.members[:-1], Member.of_bytes(f"{HOME}/bin/x", b"elf", 0o4755)])
    assert refusal(draft, packager) == f"{HOME}/bin/x has mode 104755, the signed header says 100755"


def test_refuses_a_link_that_leads_elsewhere(packager: Packager) -> None:
    draft = draft_of(packager)
    draft.archive = archive_of([Member.symlink(f"{HOME}/b.h", "x.h"), *(m for m in draft.members if not m.link)])
    assert refusal(draft, packager) == f"{HOME}/b.h leads to b'x.h', the signed header says 'a.h'"


def hard_linked(first: int, *, nlink: int = 2, tail: bytes = b"same") -> bytes:
    """Two names of one inode, the content with the last, as rpm writes them."""
    pieces = [
        cpio_header(f".{HOME}/one", 7, stat.S_IFREG | 0o644, first, CREATED, nlink),
        cpio_header(f".{HOME}/two", 7, stat.S_IFREG | 0o644, len(tail), CREATED, nlink),
        tail,
        cpio_header("TRAILER!!!", 0, 0, 0, 0),
    ]
    return b"".join(pieces)


@pytest.mark.group(31)
def test_of_hard_links_the_last_carries_the_content(packager: Packager) -> None:
    """SECURITY.md 31: legal."""
    draft = packager.draft("a", {f"{HOME}/one": b"same", f"{HOME}/two": b"same"})
    draft.archive = hard_linked(0)
    assert unpacked(draft, packager) == {f"{HOME}/one": b"same", f"{HOME}/two": b"same"}


@pytest.mark.group(31)
def test_hard_links_to_a_path_outside_are_judged_but_never_made(packager: Packager) -> None:
    """SECURITY.md 31: the header has to list the other name too, and what is not below the CUDA home is not written."""
    draft = packager.draft("a", {f"{HOME}/one": b"same"})
    draft.archive = hard_linked(0).replace(b"two", b"../")
    assert "not in the signed header" in refusal(draft, packager)


def test_refuses_hard_links_with_other_contents(packager: Packager) -> None:
    draft = packager.draft("a", {f"{HOME}/one": b"diff", f"{HOME}/two": b"same"})
    draft.archive = hard_linked(0)
    assert "has hard links with other contents in the signed header" in refusal(draft, packager)


@pytest.mark.group(31)
def test_refuses_hard_links_whose_content_never_comes(packager: Packager) -> None:
    """SECURITY.md 31: hard links to a file that is elsewhere."""
    draft = packager.draft("a", {f"{HOME}/one": b"same", f"{HOME}/two": b"same"})
    draft.archive = hard_linked(0, tail=b"")
    assert refusal(draft, packager) == f"2 files of the signed header are not in it, the first is {HOME}/one"


def test_an_empty_file_of_one_name_is_no_hard_link(packager: Packager) -> None:
    draft = packager.draft("a", {f"{HOME}/one": b"", f"{HOME}/two": b"same"})
    draft.archive = hard_linked(0)
    assert unpacked(draft, packager) == {f"{HOME}/one": b"", f"{HOME}/two": b"same"}


def nameless(members: list[Member], order: list[int]) -> bytes:
    """rpm's own form for packages with large files: an index in place of names."""
    out = b""
    for index in order:
        data = members[index].open().read() if stat.S_ISREG(members[index].mode) else members[index].link.encode()
        out += b"07070X" + b"%08x" % index + bytes(2) + data + bytes(-len(data) % 4)
    return out + cpio_header("TRAILER!!!", 0, 0, 0, 0)


def test_reads_archives_that_leave_names_out(packager: Packager) -> None:
    draft = draft_of(packager)
    draft.archive = nameless(draft.members, [0, 1, 2, 3])
    assert unpacked(draft, packager)[f"{HOME}/a.h"] == b"header" * 1000


def test_reads_hard_links_of_archives_that_leave_names_out(packager: Packager) -> None:
    """As rpm 6 writes them: the header says which files share an inode, the last of them has the content."""
    draft = packager.draft("a", {f"{HOME}/one": b"same", f"{HOME}/other": b"x", f"{HOME}/two": b"same"})
    draft.edit = lambda entries: entries.update({1096: (INT32, [7, 8, 7])})
    empty = b"07070X" + b"%08x" % 0 + bytes(2)
    draft.archive = empty + nameless(draft.members, [1, 2])
    assert unpacked(draft, packager) == {f"{HOME}/one": b"same", f"{HOME}/other": b"x", f"{HOME}/two": b"same"}


def test_refuses_indexes_that_are_not_there_or_come_twice(packager: Packager) -> None:
    draft = draft_of(packager)
    draft.archive = nameless(draft.members, [0, 1]) + b""
    draft.archive = b"07070X" + b"%08x" % 4 + bytes(2)
    assert refusal(draft, packager) == "file 4 of 4"
    draft.archive = nameless(draft.members, [0, 0])
    assert refusal(draft, packager) == f"'{HOME}' is in it twice, or not in the signed header"


def test_directories_may_have_a_size_in_the_header(packager: Packager) -> None:
    """rpmbuild writes 4096 there; their archive entries hold nothing."""

    def sized(entries: Entries) -> None:
        entries[1028] = (INT32, [4096, 6000, 3, 3])

    draft = draft_of(packager)
    draft.edit = sized
    assert unpacked(draft, packager)[HOME] == b""


def test_no_flipped_byte_of_an_archive_passes_even_without_its_digest(packager: Packager) -> None:
    """What the archive says must agree with the signed header; only fields that we do not use may differ."""
    draft = draft_of(packager, "none")
    draft.digest = ""
    good = archive_of(draft.members)
    expected = unpacked(draft, packager)
    for at in range(0, len(good), 13):
        draft.archive = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        try:
            assert unpacked(draft, packager) == expected
        except MirrorError as error:
            assert error.exit_code in (46, 48)


def test_the_writer_streams_what_it_announces() -> None:
    with pytest.raises(ValueError, match="holds 1 bytes, 2 were announced"):
        list(archive([Member("/a", stat.S_IFREG, 2, open=lambda: io.BytesIO(b"x"))], CREATED, []))

"""An sdist is unpacked whole or not at all, and equal archives give equal trees."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from mirror.connected.sdists import sdist
from mirror.connected.sdists.sdist import InvalidSdist
from mirror.connected.sdists.source import unpack_sdist


def entry(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, data


def directory(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.DIRTYPE, mode=0o700)


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.SYMTYPE, linkname=target)


def hardlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.LNKTYPE, linkname=target)


def pack(tmp_path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    path = tmp_path / "a-1.0.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return path


def unpack(tmp_path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    room = tmp_path / "room"
    room.mkdir()
    return unpack_sdist(pack(tmp_path, *members), room).root


def refused(tmp_path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> str:
    with pytest.raises(InvalidSdist) as caught:
        unpack(tmp_path, directory("a-1.0"), *members)
    assert list((tmp_path / "room").iterdir()) == []
    return str(caught.value)


def test_files_directories_and_links_inside_are_made(tmp_path: Path) -> None:
    root = unpack(
        tmp_path,
        directory("a-1.0"),
        symlink("a-1.0/docs/readme", "../README"),
        entry("a-1.0/README", b"hello"),
        entry("a-1.0/deep/er/run.sh", b"#!/bin/sh", mode=0o755),
        hardlink("a-1.0/copy", "a-1.0/README"),
    )
    assert root == tmp_path / "room" / "a-1.0"
    assert (root / "docs/readme").read_text() == "hello"
    assert (root / "copy").read_text() == "hello"
    assert (root / "deep/er/run.sh").read_bytes() == b"#!/bin/sh"


def test_modes_and_times_are_the_same_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        root = unpack(
            tmp_path,
            entry("a-1.0/secret", b"", mode=0o600, mtime=1_000_000_000),
            entry("a-1.0/sub/tool", b"", mode=0o4777, mtime=1_700_000_000),
        )
    finally:
        os.umask(before)
    assert (root / "secret").stat().st_mode & 0o7777 == 0o644
    assert (root / "sub/tool").stat().st_mode & 0o7777 == 0o755
    assert (root / "sub").stat().st_mode & 0o7777 == 0o755
    assert {path.stat().st_mtime for path in root.rglob("*") if path.is_file()} == {1_700_000_000}


def test_the_newest_time_in_the_archive_is_the_builds_epoch(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    path = pack(tmp_path, directory("a-1.0"), entry("a-1.0/x", mtime=1_700_000_000), entry("a-1.0/y", mtime=5))
    assert unpack_sdist(path, room).epoch == 1_700_000_000


def test_no_epoch_is_older_than_a_zip_can_say(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    assert unpack_sdist(pack(tmp_path, entry("a-1.0/x", mtime=5)), room).epoch == 315532800


@pytest.mark.group(21)
@pytest.mark.parametrize("name", ["../x", "a-1.0/../../x", "/etc/x", "a-1.0//x", "a-1.0/./x", "a-1.0/x\ny", "."])
def test_names_that_lead_outside_or_are_ambiguous_are_refused(tmp_path: Path, name: str) -> None:
    assert "names a place outside, or no plain one" in refused(tmp_path, entry(name, b"x"))


@pytest.mark.group(20)
@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "..", "sub/../../../x", "sub/../x", "../a-1.0/../../x"])
def test_symbolic_links_out_of_the_tree_are_refused(tmp_path: Path, target: str) -> None:
    words = "to the absolute path" if target.startswith("/") else "out of the archive, to"
    assert f"'a-1.0/link' is a link {words} {target!r}" in refused(tmp_path, symlink("a-1.0/link", target))


@pytest.mark.group(20)
def test_a_file_below_a_link_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, symlink("a-1.0/link", "sub"), directory("a-1.0/sub"), entry("a-1.0/link/x", b"x"))
    assert "'link' is both a directory and something else" in said


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    assert "'f' is both a directory and" in refused(tmp_path, entry("a-1.0/f", b""), entry("a-1.0/f/x", b""))


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    assert "'a-1.0/x' occurs twice" in refused(tmp_path, entry("a-1.0/x", b"good"), entry("a-1.0/x", b"evil"))


@pytest.mark.group(19)
@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(tmp_path: Path, kind: bytes) -> None:
    assert "is neither a file, a directory nor a link" in refused(tmp_path, entry("a-1.0/x", type=kind))


@pytest.mark.parametrize("target", ["a-1.0/none", "../x", "a-1.0/link"])
def test_a_hard_link_leads_to_a_file_of_the_archive(tmp_path: Path, target: str) -> None:
    refused(tmp_path, symlink("a-1.0/link", "x"), entry("a-1.0/x", b""), hardlink("a-1.0/hard", target))


def test_two_top_directories_are_refused(tmp_path: Path) -> None:
    assert "'b/x' is not below the one top directory 'a-1.0'" in refused(tmp_path, entry("b/x", b""))


def test_a_top_that_is_a_file_is_refused(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    with pytest.raises(InvalidSdist, match=r"'a-1\.0' is no directory, as its name says"):
        unpack_sdist(pack(tmp_path, entry("a-1.0", b"x")), room)


@pytest.mark.group(47)
def test_too_many_bytes_are_refused_before_any_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdist, "MAX_BYTES", 9)
    said = refused(tmp_path, entry("a-1.0/x", b"12345"), entry("a-1.0/bomb", b"12345"))
    assert "it holds more bytes than the 9 that are allowed" in said


def test_an_extended_header_is_not_taken_into_memory_whatever_its_size(tmp_path: Path) -> None:
    said = refused(tmp_path, entry("a-1.0/x", pax_headers={"comment": "x" * (1 << 20)}))
    assert "an extended header of 1048" in said


@pytest.mark.parametrize(
    "data", [b"", b"no archive", gzip.compress(b"no tar" * 500, mtime=0), gzip.compress(b"", mtime=0)]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a-1.0.tar.gz"
    path.write_bytes(data)
    with pytest.raises(InvalidSdist, match=r"a-1\.0\.tar\.gz: it "):
        unpack_sdist(path, tmp_path)


def test_an_archive_that_breaks_off_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path, directory("a-1.0"), entry("a-1.0/x", os.urandom(5000)))
    path.write_bytes(path.read_bytes()[:3000])
    room = tmp_path / "room"
    room.mkdir()
    with pytest.raises(InvalidSdist):
        unpack_sdist(path, room)

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from mirror.core.archives.untar import BadArchive, unpack_tar

FILE, DIRECTORY, SYMLINK, HARDLINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def member(
    name: str, kind: bytes = FILE, data: bytes = b"", link: str = "", mode: int = 0o644
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.mode = kind, len(data), link, mode
    return info, data


def make_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return path


GOOD = (
    member("python/", DIRECTORY, mode=0o555),
    member("python/bin/python3.11", data=b"#!/bin/sh\n", mode=0o4755),
    member("python/bin/python3", SYMLINK, link="python3.11"),
    member("python/lib/os.py", data=b"pass\n", mode=0o666),
    member("python/lib/copy.py", HARDLINK, link="python/lib/os.py"),
    member("python/lib64", SYMLINK, link="lib"),
)


def test_unpacks_without_the_top_directory(tmp_path: Path) -> None:
    root = tmp_path / "root"
    unpack_tar(make_tar(tmp_path / "a.tar.gz", *GOOD), root, 1000)
    assert (root / "lib64/os.py").read_text() == "pass\n"
    assert (root / "bin/python3").readlink() == Path("python3.11")
    assert (root / "lib/copy.py").read_text() == "pass\n"
    assert not (root / "lib/copy.py").samefile(root / "lib/os.py")


def test_modes_keep_the_execute_bit_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "root"
    before = os.umask(0o022)
    try:
        unpack_tar(make_tar(tmp_path / "a.tar.gz", *GOOD), root, 1000)
    finally:
        os.umask(before)
    assert (root / "bin/python3.11").stat().st_mode & 0o7777 == 0o755
    assert (root / "lib/os.py").stat().st_mode & 0o7777 == 0o644
    assert root.stat().st_mode & 0o200


@pytest.mark.group(19)
@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([member("/etc/x")], "names a place outside"),
        ([member("python/../../x")], "names a place outside"),
        ([member("python/a"), member("other/b")], "not below the one top directory 'python'"),
        ([member("python/a"), member("python/a")], "occurs twice"),
        ([member("python/a"), member("python/a/b")], "both a directory and something else"),
        ([member("python/a", SYMLINK, link="/etc")], "link to the absolute path"),
        ([member("python/a", SYMLINK, link="../x")], "link out of the archive"),
        (
            [member("python/a", SYMLINK, link="lib"), member("python/a/x", data=b"1")],
            "both a directory and something else",
        ),
        ([member("python/a", HARDLINK, link="python/none")], "which is no file before it"),
        ([member("python/a", HARDLINK, link="/etc/passwd")], "names a place outside"),
        ([member("python/a", tarfile.CHRTYPE)], "neither a file, a directory nor a link"),
        ([member("python/a", tarfile.FIFOTYPE)], "neither a file, a directory nor a link"),
        ([member("python/a", data=b"x" * 1001)], "more bytes than the 1000"),
        (
            [member("python/a", data=b"x" * 600), member("python/b", HARDLINK, link="python/a")],
            "more bytes than the 1000 that are allowed",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_a_member(tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], problem: str) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", *members)
    with pytest.raises(BadArchive) as exc_info:
        unpack_tar(archive, tmp_path / "root", 1000)
    assert problem in str(exc_info.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "root"]


@pytest.mark.group(20)
def test_refuses_a_chain_of_links_that_leaves(tmp_path: Path) -> None:
    # Each link alone stays inside: deep/up -> .. is python/, and out -> deep/up/.. is read by its words as python/deep.
    (tmp_path / "secret").write_text("")
    archive = make_tar(
        tmp_path / "a.tar.gz",
        member("python/deep/x"),
        member("python/deep/up", SYMLINK, link=".."),
        member("python/out", SYMLINK, link="deep/up/../secret"),
    )
    with pytest.raises(BadArchive, match="link out of the archive"):
        unpack_tar(archive, tmp_path / "root", 1000)


@pytest.mark.parametrize("keep", [10, 60, 300])
def test_refuses_a_damaged_archive(tmp_path: Path, keep: int) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", member("python/a", data=os.urandom(2000)))
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(BadArchive, match="damaged"):
        unpack_tar(archive, tmp_path / "root", 10_000)

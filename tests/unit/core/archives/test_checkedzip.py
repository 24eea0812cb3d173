"""A zip whose digest was right: where zipfile calls it none, the disk failed."""

from __future__ import annotations

import errno
import zipfile
from pathlib import Path

import pytest

from mirror.core.archives.checkedzip import open_checked_zip


def make(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"some bytes" * 100)
    return path


def test_its_members_are_read(tmp_path: Path) -> None:
    with open_checked_zip(make(tmp_path / "a.whl")) as archive:
        assert archive.read("a") == b"some bytes" * 100


@pytest.mark.parametrize("cut", [0, 30, -1])
def test_one_that_is_cut_off_is_an_error_of_the_disk_with_its_name(tmp_path: Path, cut: int) -> None:
    path = make(tmp_path / "a.whl")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(OSError) as caught, open_checked_zip(path):
        pass
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(path))


def test_a_damaged_member_is_one_too(tmp_path: Path) -> None:
    path = make(tmp_path / "a.whl")
    data = bytearray(path.read_bytes())
    data[35] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(OSError, match="where its digest was right before"), open_checked_zip(path) as archive:
        archive.read("a")

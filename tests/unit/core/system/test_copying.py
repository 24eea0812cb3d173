"""Copying by the system, and where it cannot."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mirror.core.system.copying import copied

DATA = os.urandom(3 << 20) + b"the end"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("count", [0, 1, len(DATA) - 1, len(DATA), len(DATA) + 1])
def test_as_many_bytes_are_copied_as_there_are_and_are_asked_for(tmp_path: Path, source: Path, count: int) -> None:
    told: list[int] = []
    with source.open("rb", buffering=0) as old, (tmp_path / "new").open("wb", buffering=0) as new:
        new.write(b"before ")
        assert copied(old.fileno(), new.fileno(), count, told.append) == min(count, len(DATA)) == sum(told)
    assert (tmp_path / "new").read_bytes() == b"before " + DATA[:count]


def test_what_the_system_cannot_copy_is_read_and_written(tmp_path: Path) -> None:
    """Of a pipe, and of a file of the kernel's, which has no size: copy_file_range(2) takes neither, or finds it empty."""
    reading, writing = os.pipe()
    os.write(writing, b"of a pipe")
    os.close(writing)
    with (tmp_path / "new").open("wb", buffering=0) as new, Path("/proc/self/status").open("rb", buffering=0) as status:
        assert copied(reading, new.fileno(), 100) == 9
        assert copied(status.fileno(), new.fileno(), 100) == 100
    os.close(reading)
    assert (tmp_path / "new").read_bytes().startswith(b"of a pipeName:\t")


def test_a_full_disk_is_no_reason_to_try_otherwise(source: Path) -> None:
    with source.open("rb") as old, Path("/dev/full").open("wb", buffering=0) as full:
        with pytest.raises(OSError) as caught:
            copied(old.fileno(), full.fileno(), 10)
        assert caught.value.errno == errno.ENOSPC

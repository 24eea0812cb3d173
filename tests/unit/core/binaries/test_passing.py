"""A compiled file that goes by but once tells what it tells where it lies; a place that was not kept is never guessed."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.core.binaries.native import Native, NativeTally
from mirror.core.binaries.passing import HEAD_BYTES, NotKept, Passing
from tests.unit.core.binaries.test_fatbin import CUBIN, PTX, container, entry
from tests.unit.core.binaries.test_native import library, needs_gcc, tallied


def pieces(data: bytes, size: int = 1 << 20) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def passed(data: bytes, size: int = 1 << 20) -> Passing:
    passing = Passing()
    for piece in pieces(data, size):
        passing.feed(piece)
    return passing


def of_passing(data: bytes, size: int = 1 << 20) -> Native | None:
    tally = NativeTally()
    return tally.native() if tally.add_passing(passed(data, size), "liba.so") else None


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Its GPU code and its dynamic section lie where neither the beginning nor the end of what is kept reaches."""
    fat = container(entry(PTX, 120), entry(CUBIN, 100)) + container(entry(CUBIN, 90, 0x100011))
    words = ", ".join(str(byte) for byte in fat)
    source = f"""
    #include <math.h>
    const char before[{HEAD_BYTES + 5000}] = {{1}};
    __attribute__((section(".nv_fatbin"), used)) static const unsigned char code[] = {{{words}}};
    char after[4 << 20] = {{1}};
    double f(double x) {{ return pow(x, 3.0); }}
    """
    return library(tmp_path_factory.mktemp("large"), source, "-lm")


@needs_gcc
@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 7, 3 << 20])
def test_a_large_library_that_went_by_tells_what_it_tells_where_it_lies(large: bytes, size: int) -> None:
    assert large.find(b"\x50\xed\x55\xba") > HEAD_BYTES
    found = of_passing(large, size)
    assert found == tallied(("liba.so", large))
    assert found is not None
    assert (found.gpus, len(found.needs)) == (("sm_90a", "sm_100", "compute_120"), 1)


@needs_gcc
def test_one_whose_headers_lie_elsewhere_is_told_to_be_missed_and_counts_for_nothing(large: bytes) -> None:
    moved = large[:40] + struct.pack("<Q", HEAD_BYTES + 4096) + large[48:]  # where its sections are said to be listed
    assert of_passing(moved) is None
    tally = NativeTally()
    tally.add_passing(passed(moved), "liba.so")
    assert tally.native() == Native()


def test_what_is_read_is_what_was_there_or_not_kept() -> None:
    data = random.Random(1).randbytes(HEAD_BYTES + (6 << 20))
    passing, missed = passed(data, 777_777), 0
    for offset in range(0, len(data) + 4, 299_993):
        passing.seek(offset)
        try:
            assert passing.read(64) == data[offset : offset + 64]
        except NotKept:
            missed += 1
            assert HEAD_BYTES - 64 < offset < len(data) - (2 << 20)
    assert missed > 8
    passing.seek(-10, io.SEEK_END)
    assert passing.read() == data[-10:] and passing.read(1) == b""


def test_memory_is_flat() -> None:
    passing = Passing()
    for _ in range(30):
        passing.feed(bytes(1 << 20))
    assert sum(map(len, passing._tail)) + len(passing._head) < 12 << 20


@pytest.mark.parametrize("head", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 100, b"\xff" * 64])
def test_program_headers_that_lead_nowhere_are_passed_over(head: bytes) -> None:
    data = head + bytes(HEAD_BYTES + (3 << 20))
    assert passed(data).read(len(head)) == head


@needs_gcc
def test_many_files_that_went_by_are_counted_together(large: bytes, tmp_path: Path) -> None:
    small = library(tmp_path, "int g(void) { return 1; }\n")
    one, both = NativeTally(), tallied(("a.so", small), ("b.so", large), ("c.so", small[:90]))
    for name, data in (("a.so", small), ("b.so", large), ("c.so", small[:90])):
        assert one.add_passing(passed(data), name)
    assert one.native() == both

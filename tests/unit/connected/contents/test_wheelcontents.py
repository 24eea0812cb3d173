"""The builder inflates wheels with zlib-ng, everybody else with zlib: both must find the same, and say the same."""

from __future__ import annotations

import io
import random
import zlib
from pathlib import Path

import pytest
from zlib_ng import zlib_ng

from mirror.connected.contents.wheelcontents import wheel_contents
from mirror.core.binaries.native import IN_MEMORY
from mirror.core.wheels.wheelfile import WheelFile, read_wheel
from tests.support.wheels import make_wheel
from tests.unit.core.archives.test_zipseek import content
from tests.unit.core.binaries.test_native import cubin


def read(data: bytes, library: object, scratch: Path) -> WheelFile:
    assert library in (zlib, zlib_ng)
    return read_wheel(io.BytesIO(data), scratch=scratch, library=zlib if library is zlib else zlib_ng)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    files = {"a/k.cubin": cubin(0x06005A04), "a/words.txt": b"words " * 300, "a/noise.bin": content(6400)}
    return make_wheel(tmp_path, "a", "1", files=files)


def test_a_flipped_byte_is_the_same_fault_in_the_same_words_for_both(wheel: Path, tmp_path: Path) -> None:
    whole = wheel.read_bytes()
    faults = set()
    for place in range(0, len(whole), 3):
        data = bytearray(whole)
        data[place] ^= 1 << place % 8
        found = read(bytes(data), zlib, tmp_path)
        assert read(bytes(data), zlib_ng, tmp_path) == found
        faults.add(found.fault)
    assert sum("the compressed stream of" in fault[1] for fault in faults if fault) > 5


def test_a_stream_that_is_cut_or_goes_on_is_the_same_fault_for_both(wheel: Path, tmp_path: Path) -> None:
    whole, numbers = wheel.read_bytes(), random.Random(1)
    for _ in range(300):
        start = numbers.randrange(len(whole))
        end = min(len(whole), start + numbers.randrange(40))
        data = whole[:start] + numbers.randbytes(end - start) + whole[end:]
        assert read(data, zlib, tmp_path) == read(data, zlib_ng, tmp_path)


def test_a_large_compiled_file_is_looked_at_by_both(tmp_path: Path) -> None:
    large = cubin(0x06005A04) + content(IN_MEMORY + (1 << 20))
    wheel = make_wheel(tmp_path, "a", "1", files={"a/large.cubin": large})
    found = [read(wheel.read_bytes(), library, tmp_path / "absent").native for library in (zlib, zlib_ng)]
    assert found[0] == found[1]
    assert found[0].gpus == ("sm_90",)


def test_the_builder_reads_with_zlib_ng_what_zlib_reads(wheel: Path, tmp_path: Path) -> None:
    told: list[int] = []
    assert wheel_contents(wheel, tmp_path, told.append).wheel == read(wheel.read_bytes(), zlib, tmp_path)
    assert told

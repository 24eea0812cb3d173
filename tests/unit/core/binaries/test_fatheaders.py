"""GPU code that goes by once: the headers that will be asked for are kept, and nothing else is believed of them."""

from __future__ import annotations

import io
import random
import struct

import pytest

from mirror.core.binaries.elf import Section
from mirror.core.binaries.fatbin import read_images
from mirror.core.binaries.fatheaders import GpuHeaders
from tests.unit.core.binaries.test_fatbin import CUBIN, PTX, container, entry


class Known(io.BytesIO):
    """A content of which only what was kept can be had."""

    def __init__(self, data: bytes, kept: dict[int, bytes]) -> None:
        super().__init__(data)
        self._kept = kept

    def read(self, size: int | None = -1, /) -> bytes:
        return self._kept[self.tell()][:size]


def gone_by(data: bytes, step: int = 1 << 20) -> dict[int, bytes]:
    headers = GpuHeaders()
    for start in range(0, len(data), step):
        headers.feed(data[start : start + step])
    return headers.kept


def code(count: int) -> bytes:
    numbers = random.Random(count)
    arches = (70, 80, 90, 100)
    images = [entry(CUBIN, numbers.choice(arches), payload=8 * numbers.randrange(2000)) for _ in range(count)]
    return container(*images) + bytes(24) + container() + container(entry(PTX, 90, header=80)) + bytes(40)


@pytest.mark.parametrize("step", [1, 7, 64, 1000, 1 << 20])
def test_what_is_asked_for_of_gpu_code_was_kept_however_the_pieces_are_cut(step: int) -> None:
    before, section, after = b"\x7fELF" + bytes(2004), code(30), random.Random(1).randbytes(4000)
    data, place = before + section + after, Section(len(before), len(section))
    kept = gone_by(data, step)
    assert read_images(Known(data, kept), place) == read_images(io.BytesIO(data), place)
    assert len(kept) < 40


def test_what_is_kept_is_what_was_there() -> None:
    noise = random.Random(2)
    begins = struct.pack("<IHH", 0xBA55ED50, 1, 16)
    data = b"".join(noise.randbytes(noise.randrange(500)) + begins for _ in range(200)) + code(5)
    for place, kept in gone_by(data, 777).items():
        assert data[place : place + 64] == kept


@pytest.mark.parametrize("size", [0, 1, 1 << 63, (1 << 64) - 1])
def test_headers_that_point_anywhere_end_with_the_content(size: int) -> None:
    """Of a container that claims everything; of images that have no length."""
    head = struct.pack("<IHHQ", 0xBA55ED50, 1, 16, size)
    data = head + bytes(1 << 16) + code(3)
    assert gone_by(data, 4096).keys() <= set(range(len(data)))


def test_nothing_is_kept_of_what_is_no_gpu_code() -> None:
    assert gone_by(random.Random(3).randbytes(1 << 20)) == {}
    assert gone_by(b"") == {}

"""Fat binaries: for which GPUs a compiled file holds code, read without any CUDA tool.

It holds the entry headers of the ``.nv_fatbin`` section, which nvcc fills with one container for each source file and in
it one image for each architecture: machine code (a cubin) or PTX. The images themselves are neither unpacked nor read: their
headers name the architecture whether they are compressed or not. Whether the code fits a GPU is a question to ``serves``.

Rules: as ``mirror.core.binaries.elf``, whose section this reads: bounds first, named errors, small reads.
NVIDIA documents no part of the format; what is read here agrees with ``cuobjdump`` on nvcc 13.0's output in each of its
compression modes and on the libraries of torch and vLLM.

Example::

    images = read_images(stream, elf.sections[".nv_fatbin"])
    any(image.serves("sm_90a") for image in images)
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from mirror.core.binaries.elf import MalformedElf, Section

SECTION = ".nv_fatbin"

_MAGIC = 0xBA55ED50
BEGINNING = struct.pack("<IHH", _MAGIC, 1, 16)
"""With what every container begins that nvcc wrote so far: the magic number, a version, the header's size."""

_PTX, _CUBIN = 1, 2
_SPECIFIC, _FAMILY = 0x100000, 0x200000
"""Flags of an entry: code for ``sm_90a`` only, for the family ``sm_100f`` only."""

MAX_IMAGES = 1 << 20
_ARCHES = range(10, 1000)
"""NVIDIA's go from 10 to 121 so far. There are as many as a header's 32 bits can say, for whoever writes one to fill memory."""

_STEP = 1 << 20


@dataclass(frozen=True, order=True)
class Image:
    """Code for one architecture.

    Attributes:
        arch: as nvcc spells it: ``"sm_90a"`` for machine code, ``"compute_90"`` for PTX.
    """

    arch: str

    @property
    def is_ptx(self) -> bool:
        return self.arch.startswith("compute_")

    @property
    def _number(self) -> int:
        return int(self.arch.rpartition("_")[2].rstrip("af"))

    @property
    def _suffix(self) -> str:
        return self.arch[-1] if self.arch[-1] in "af" else ""

    def serves(self, gpu: str) -> bool:
        """Whether a GPU can run it, by itself or through the driver's compiler.

        Machine code runs on the same major generation from its own minor on; PTX on everything newer; code with an ``a``
        on exactly that GPU, with an ``f`` on its generation (CUDA.md A12).

        Args:
            gpu: ``"sm_90"``, with or without the ``a`` that a target carries: a GPU is what it is.
        """
        wanted = int(gpu[3:].rstrip("af"))
        if self._suffix == "a":
            return wanted == self._number
        same = wanted // 10 == self._number // 10
        return wanted >= self._number and (same or (self.is_ptx and not self._suffix))


def read_images(source: BinaryIO, section: Section, name: str = "") -> Mapping[Image, int]:
    """Every architecture in a ``.nv_fatbin`` section, and how many images there are of each.

    Raises:
        MalformedElf: when the section is not what nvcc writes.
        OSError: when it cannot be read.
    """
    found: Counter[Image] = Counter()
    for number, image in enumerate(_images(source, section, name)):
        if number > MAX_IMAGES:
            raise MalformedElf(name, f"its GPU code has more than {MAX_IMAGES} images")
        found[image] += 1
    return found


def _images(source: BinaryIO, section: Section, name: str) -> Iterator[Image]:
    offset, end = section.offset, section.offset + section.size
    while True:
        offset = _next_container(source, offset, end)
        if offset >= end:
            return
        magic, _, header, size = struct.unpack("<IHHQ", _read(source, offset, 16, end, name))
        if magic != _MAGIC or header < 16:
            raise MalformedElf(name, f"at {offset} no container of GPU code begins")
        offset, stop = offset + header, offset + header + size
        if stop > end:
            raise MalformedElf(name, f"GPU code that ends at {stop} is in a section that ends at {end}")
        while offset < stop:
            kind, _, length, payload = struct.unpack("<HHIQ", _read(source, offset, 16, stop, name))
            arch, flags = struct.unpack("<28xI8xQ", _read(source, offset, 48, stop, name))
            if length < 48:
                raise MalformedElf(name, f"an image's header has {length} bytes")
            if kind in (_PTX, _CUBIN):
                if arch not in _ARCHES:
                    raise MalformedElf(name, f"it has GPU code for an architecture {arch}, which there is none of")
                suffix = "a" if flags & _SPECIFIC else "f" if flags & _FAMILY else ""
                yield Image(f"{'compute' if kind == _PTX else 'sm'}_{arch}{suffix}")
            offset += length + payload


def _next_container(source: BinaryIO, offset: int, end: int) -> int:
    """Skip the zero bytes that linkers put between containers, however many they are: code may follow them."""
    size = 64
    while offset < end:
        source.seek(offset)
        data = source.read(min(size, end - offset))
        rest = data.lstrip(b"\0")
        if rest or not data:
            return offset + len(data) - len(rest)
        offset, size = offset + len(data), _STEP
    return end


def _read(source: BinaryIO, offset: int, size: int, end: int, name: str) -> bytes:
    source.seek(offset)
    data = source.read(size) if offset + size <= end else b""
    if len(data) != size:
        raise MalformedElf(name, f"its GPU code is cut short at {offset}")
    return data

"""Native code: how many compiled files an artifact holds, which GPUs they are for, and what they need of the host's libraries.

``mirror.core.binaries.elf`` reads one ELF file, ``mirror.core.binaries.glibc`` what it needs of glibc,
``mirror.core.binaries.fatbin`` the GPU code in it; whoever opens the artifact tells which files there are.

Rules: files that nothing was proven about are counted and named as faults, never refused here: a person judges a damaged test
file in a wheel; what is needed is kept apart for each machine, because a wheel may carry helpers for another one;
of a cubin (a file that is GPU code and nothing else) the compiler's own note counts before the header's flags, which do not
tell ``sm_90a`` from ``sm_90``.

Example::

    tally = NativeTally()
    tally.add(stream, "torch/lib/libtorch_cuda.so")
    tally.native().gpus     # ("sm_80", "sm_90a", "compute_120")
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Callable, cast

from mirror.core.archives.pieces import head_of
from mirror.core.archives.zipseek import TooScattered
from mirror.core.binaries.elf import CUDA, MAGIC, Elf, MalformedElf, read_elf
from mirror.core.binaries.fatbin import SECTION, read_images
from mirror.core.binaries.glibc import GlibcNeed, glibc_need
from mirror.core.binaries.passing import NotKept, Passing
from mirror.core.names import dotted_numbers

_FAT_SECTIONS = (SECTION, "__nv_relfatbin")
"""Where nvcc puts GPU code; the second is for code that is linked on the GPU's side (``-rdc=true``)."""

_NOTE = ".note.nv.tkinfo"
_NOTE_BYTES = 4096
_NOTED = re.compile(rb"-arch[ =](sm_[1-9][0-9]{1,2}[af]?)\b")
_NEW_FLAGS = 8
"""ABI version of a cubin from which on the flags name the architecture in their second byte (CUDA 12.9, 13)."""

IN_MEMORY = 8 << 20
"""A compiled file up to this size is held in memory, a larger one that goes by but once in a temporary file."""

_LIBSTDCXX = re.compile(r"GLIBCXX_(\d{1,3}(?:\.\d{1,3}){1,2})")


@dataclass(frozen=True)
class Native:
    """What is known of the compiled files of one artifact.

    Attributes:
        count: ELF files for CPUs.
        gpus: architectures of their GPU code and of cubins: machine code in order of number, then PTX.
        libstdcxx: the newest symbol version of libstdc++ that is asked for, by machine: ``{"x86_64": "3.4.29"}``.
        faults: one sentence for each file that begins as ELF and is not sound, in order.
        needs: what each file that asks for something of glibc asks for, in order of path.
        machines: the first file for each machine: ``{"x86_64": "a/_C.so"}``.
        gpu_faults: one sentence for each file whose GPU code cannot be read, so that nobody knows what it is for.
    """

    count: int = 0
    gpus: tuple[str, ...] = ()
    libstdcxx: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    needs: tuple[GlibcNeed, ...] = ()
    machines: Mapping[str, str] = field(default_factory=dict)
    gpu_faults: tuple[str, ...] = ()


@dataclass
class _File:
    """What was found in one compiled file, as far as it could be read; ``machine`` is empty where not even that could."""

    name: str
    machine: str = ""
    gpus: set[str] = field(default_factory=set)
    libstdcxx: tuple[int, ...] = ()
    need: GlibcNeed | None = None
    fault: str = ""
    gpu_fault: str = ""


class NativeTally:
    """Counts the compiled files of one artifact, one after another.

    Args:
        gpus: whether to read what GPU code they hold, for which all of a file is gone through.
        look: is shown the headers of each compiled file for a CPU, with its name.
    """

    def __init__(self, gpus: bool = True, look: Callable[[str, Elf], object] = lambda name, elf: None) -> None:
        self._reads_gpus, self._look = gpus, look
        self._files: list[_File] = []

    def add(self, stream: BinaryIO, name: str) -> None:
        """Take in a file; nothing happens when it is no ELF file.

        Args:
            stream: seekable.
            name: for the sentence on a fault.

        Raises:
            OSError: when it cannot be read.
        """
        found = _File(name)
        try:
            elf = read_elf(stream, name)
            if elf is None:
                return
            found.machine = elf.machine
            if elf.machine != CUDA:
                self._look(name, elf)
                found.need = glibc_need(stream, elf, name)
                asked = (_LIBSTDCXX.fullmatch(one) for versions in elf.requires.values() for one in versions)
                found.libstdcxx = max((dotted_numbers(match[1]) for match in asked if match), default=())
            if self._reads_gpus:
                _read_gpus(stream, elf, found)
        except (MalformedElf, TooScattered) as exc:
            found.fault = str(exc)
        self._files.append(found)

    def add_passing(self, passing: Passing, name: str) -> bool:
        """Take in a file that went by.

        Returns:
            Whether what was kept of it told all; otherwise nothing of it is taken in.
        """
        try:
            self.add(cast(BinaryIO, passing), name)
        except NotKept:
            return False
        return True

    def add_pieces(self, pieces: Iterator[bytes], name: str, scratch: Path) -> None:
        """Take in a file that goes by but once; it is copied if it is a compiled one.

        Args:
            pieces: its bytes; read no further than to see that it is none.
            scratch: a directory for a temporary copy, on a disk that has room for the largest file.

        Raises:
            OSError: as ``add`` does, and when the copy cannot be written.
        """
        head = head_of(pieces, len(MAGIC))
        if not head.startswith(MAGIC):
            return
        with tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(scratch)) as copy:
            copy.write(head)
            for piece in pieces:
                copy.write(piece)
            self.add(cast(BinaryIO, copy), name)

    def native(self) -> Native:
        """What was found so far."""
        programs = [one for one in self._files if one.machine not in ("", CUDA)]
        machines: dict[str, str] = {}
        for one in programs:
            machines.setdefault(one.machine, one.name)
        newest = sorted((one.machine, one.libstdcxx) for one in programs if one.libstdcxx)
        return Native(
            len(programs),
            tuple(sorted({gpu for one in self._files for gpu in one.gpus}, key=gpu_order)),
            {machine: ".".join(map(str, version)) for machine, version in newest},  # of a machine, the last one counts
            tuple(sorted(one.fault for one in self._files if one.fault)),
            tuple(sorted((one.need for one in programs if one.need), key=lambda need: need.path)),
            machines,
            tuple(sorted(one.gpu_fault for one in self._files if one.gpu_fault)),
        )


def _read_gpus(stream: BinaryIO, elf: Elf, found: _File) -> None:
    try:
        for arch in _gpus(stream, elf, found.name):
            found.gpus.add(arch)
    except MalformedElf as exc:
        found.gpu_fault = str(exc)


def gpu_order(arch: str) -> tuple[str, int, str]:
    """A key to sort architectures by: machine code in order of number, then PTX."""
    kind, _, number = arch.partition("_")
    return ("" if kind == "sm" else kind), int(number.rstrip("af")), number


def _gpus(stream: BinaryIO, elf: Elf, name: str) -> Iterator[str]:
    """The architectures of a file's GPU code."""
    if elf.machine == CUDA:
        yield from _cubin(stream, elf)
        return
    for section in _FAT_SECTIONS:
        if section in elf.sections:
            yield from (image.arch for image in read_images(stream, elf.sections[section], name))


def _cubin(stream: BinaryIO, elf: Elf) -> tuple[str, ...]:
    """The architecture of a file that is GPU code; none when neither its note nor its flags are understood."""
    if _NOTE in elf.sections:
        section = elf.sections[_NOTE]
        stream.seek(section.offset)
        match = _NOTED.search(stream.read(min(section.size, _NOTE_BYTES)))
        if match:
            return (match[1].decode(),)
    stream.seek(8)
    version = stream.read(1)
    stream.seek(48)
    flags = stream.read(4)
    if elf.bits != 64 or len(flags) < 4 or version[0] < _NEW_FLAGS:
        return ()
    (value,) = struct.unpack("<I", flags)
    number = value >> 8 & 0xFF
    return (f"sm_{number}{'a' if value & 8 else ''}",) if number else ()

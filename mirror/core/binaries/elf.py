"""ELF: what a compiled file needs of others and offers to them, read from its headers.

It holds the dynamic section, the symbol versions and the place of each section of a 64 bit little-endian file; of a file of
another class only its machine. ``mirror.core.binaries.fatbin`` reads the GPU code inside; whether a host has what is needed is
decided elsewhere.

Rules: the source is any seekable stream (a file, a member read into memory) and may be hostile: every offset and count is
checked before it is used, nothing larger than a page or two is read at once, and what does not add up is ``MalformedElf``;
what is no ELF at all is None. The loader's view (program headers) is used where there is one, because section headers can
be stripped.

Example::

    with path.open("rb") as stream:
        elf = read_elf(stream)
    elf.needed, elf.requires["libc.so.6"]       # ('libc.so.6',), ('GLIBC_2.2.5', 'GLIBC_2.34')
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from mirror.core.errors import MirrorError

MAGIC = b"\x7fELF"
CUDA = "cuda"
"""The machine of GPU code, which is in ELF files too."""

_MACHINES = {3: "i386", 21: "ppc64le", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 190: CUDA, 243: "riscv64"}
CPUS = frozenset(_MACHINES.values()) - {CUDA}
"""The machines of programs that an operating system runs."""

_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRTAB, _STRSZ, _SONAME, _RPATH, _RUNPATH = 1, 5, 10, 14, 15, 29
_HASH, _SYMTAB, _GNU_HASH, _SYMENT = 4, 6, 0x6FFFFEF5, 11
_VERSYM = 0x6FFFFFF0
_WEAK = 2
"""Flag of a symbol version without which the loader starts the file nevertheless."""

_VERDEF, _VERDEFNUM, _VERNEED, _VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF

_MAX_HEADERS = 1 << 12
"""Program headers; libraries have about ten."""

_MAX_TABLE = 64 << 10
"""Bytes of a table that is read at once: a thousand sections, where files have forty."""

_SECTION = "<IIQQQQI20x"

_MAX_SECTIONS = 1 << 16
_MAX_ENTRIES = 1 << 16
"""Of a dynamic section or of all symbol versions; the largest library of a vLLM stack has some hundred."""

_MAX_SYMBOLS = 1 << 20
"""That are gone through for one that has a given version."""

_VERSYM_STEP = 1 << 11

_MAX_NAME = 1 << 12
"""Longest file name, symbol or version that is believed (C++ symbols reach a kilobyte)."""

_MAX_NAMES = 16 << 20
"""Of all names of a file that are read, in bytes: each may be another part of one long string table."""


class MalformedElf(MirrorError):
    """A file that begins as ELF breaks its format."""

    ref = "malformed-elf"
    exit_code = 113
    hint = (
        "The file is cut short or damaged: install it again from its bundle, or leave out the package that brings it."
    )
    message = "{name:|a file} is no sound ELF file: {problem}"

    name: str
    problem: str


@dataclass(frozen=True)
class Section:
    """Where a section's bytes lie in the file."""

    offset: int
    size: int


@dataclass(frozen=True)
class Elf:
    """One file.

    Attributes:
        machine: as ``uname -m`` prints it, ``"cuda"`` for GPU code, ``"machine 8"`` for one that is not known here.
        bits: 64, or 32 for a file of which nothing else was read.
        soname: the name that others need it by; empty when it has none.
        needed: sonames that the loader looks for, in order.
        rpath, runpath: directories it looks in, before and after ``LD_LIBRARY_PATH``; ``$ORIGIN`` as it stands there.
        requires: file -> symbol versions that it cannot be loaded without: ``{"libc.so.6": ("GLIBC_2.17", ...)}``; those
            that are marked as weak are left out.
        provides: symbol versions that it defines itself.
        sections: name -> place; empty when the section headers were stripped.
    """

    machine: str
    bits: int = 64
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    provides: tuple[str, ...] = ()
    sections: Mapping[str, Section] = field(default_factory=dict)


def read_elf(source: BinaryIO, name: str = "") -> Elf | None:
    """Read one file's headers.

    Args:
        source: seekable; its position is left anywhere.
        name: for the error's sentence.

    Returns:
        None when it is no ELF file.

    Raises:
        MalformedElf: when it begins as one and does not hold what it promises.
        OSError: when it cannot be read.
    """
    reader = _Reader(source, name)
    if reader.size < len(MAGIC) or reader.read(0, len(MAGIC)) != MAGIC:
        return None
    if reader.size < 20:
        raise MalformedElf(name, f"it has {reader.size} bytes")
    bits, order = reader.read(4, 2)
    (number,) = struct.unpack(">H" if order == 2 else "<H", reader.read(18, 2))
    machine = _MACHINES.get(number, f"machine {number}")
    if (bits, order) != (2, 1):
        return Elf(machine, 32 if bits == 1 else 64)
    image = _Image(reader)
    return Elf(
        machine,
        soname=image.text(_SONAME),
        needed=image.texts(_NEEDED),
        rpath=tuple(image.text(_RPATH).split(":")) if image.text(_RPATH) else (),
        runpath=tuple(image.text(_RUNPATH).split(":")) if image.text(_RUNPATH) else (),
        requires=image.requires(),
        provides=image.provides(),
        sections=image.sections(),
    )


def defined_symbols(source: BinaryIO, names: Iterable[str], name: str = "") -> frozenset[str]:
    """Which of these symbols a library defines for others, looked up in its GNU hash table as the loader does.

    A library without that table (none of the last fifteen years) is not searched and defines nothing.

    Args:
        names: symbols, as they stand in the file: ``"ncclCommRegister"``, ``"_ZN5torch3jit..."``.

    Raises:
        MalformedElf, OSError: as ``read_elf``.
    """
    reader = _Reader(source, name)
    if reader.size < 64 or reader.read(0, 6) != MAGIC + b"\x02\x01":
        return frozenset()
    image = _Image(reader)
    return frozenset(wanted for wanted in names if image.defines(wanted))


def symbol_wanted(source: BinaryIO, version: str, name: str = "") -> str:
    """A symbol that a file wants in this version, for people who look for the cause.

    Args:
        version: one of ``Elf.requires``.

    Returns:
        Empty when none is found.

    Raises:
        MalformedElf, OSError: as ``read_elf``.
    """
    return _Image(_Reader(source, name)).symbol_wanted(version)


class _Reader:
    """Reads that stay inside the file."""

    def __init__(self, source: BinaryIO, name: str) -> None:
        self._source, self._name, self._names_left = source, name, _MAX_NAMES
        self._strings = 0, b""
        self.size = source.seek(0, os.SEEK_END)

    def fail(self, problem: str) -> MalformedElf:
        return MalformedElf(self._name, problem)

    def table(self, layout: str, offset: int, count: int) -> Iterator[tuple[Any, ...]]:
        """The entries of a table, read at once where it is whole and no larger than any is."""
        size = struct.calcsize(layout)
        if count * size <= _MAX_TABLE and offset + count * size <= self.size:
            yield from struct.iter_unpack(layout, self.read(offset, count * size))
        else:
            for index in range(count):
                yield self.unpack(layout, offset + index * size)

    def hold_strings(self, offset: int, size: int) -> None:
        """Read a table of names at once, from which many will be asked for."""
        if size <= _MAX_TABLE and offset + size <= self.size:
            self._strings = offset, self.read(offset, size)

    def read(self, offset: int, size: int) -> bytes:
        if offset + size > self.size:
            raise self.fail(f"{size} bytes at {offset} are wanted, the file has {self.size}")
        self._source.seek(offset)
        data = self._source.read(size)
        if len(data) != size:
            raise self.fail(f"{size} bytes at {offset} could not be read")
        return data

    def unpack(self, layout: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack(layout, self.read(offset, struct.calcsize(layout)))

    def string(self, offset: int, limit: int) -> str:
        """The text at ``offset``, which ends with a zero byte before ``limit``."""
        end = min(limit, offset + _MAX_NAME, self.size)
        start, held = self._strings
        if not start <= offset <= end <= start + len(held):
            start, held = offset, self.read(offset, max(0, end - offset))
        stop = held.find(b"\0", offset - start, end - start)
        if stop < 0:
            raise self.fail(f"the name at {offset} has no end")
        data = held[offset - start : stop]
        self._names_left -= len(data)
        if self._names_left < 0:
            raise self.fail(f"its names have more than {_MAX_NAMES} bytes")
        return data.decode("utf-8", "replace")


class _Image:
    """A 64 bit file as the loader sees it."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        if reader.size < 64:
            raise reader.fail(f"its header has 64 bytes, the file has {reader.size}")
        header = reader.unpack("<16xHHIQQQIHHHHHH", 0)
        self._program_headers, self._section_headers = header[4], header[5]
        self._program_size, self._program_count = header[8], header[9]
        self._section_size, self._section_count, self._name_index = header[10], header[11], header[12]
        self._loads: list[tuple[int, int, int]] = []
        self._entries: dict[int, list[int]] = {}
        for kind, offset, address, size in self._segments():
            if kind == _LOAD:
                self._loads.append((address, offset, size))
            elif kind == _DYNAMIC:
                self._read_dynamic(offset, size)

    def _segments(self) -> Iterator[tuple[int, int, int, int]]:
        if self._program_count and self._program_size != 56:
            raise self._reader.fail(f"program headers have 56 bytes, these {self._program_size}")
        if self._program_count > _MAX_HEADERS:
            raise self._reader.fail(f"it has {self._program_count} program headers")
        headers = self._reader.table("<IIQQQQQQ", self._program_headers, self._program_count)
        for kind, _, offset, address, _, size, _, _ in headers:
            yield kind, offset, address, size

    def _read_dynamic(self, offset: int, size: int) -> None:
        for index in range(min(size // 16, _MAX_ENTRIES)):
            tag, value = self._reader.unpack("<qQ", offset + index * 16)
            if tag == 0:
                return
            self._entries.setdefault(tag, []).append(value)

    def _value(self, tag: int) -> int | None:
        return self._entries.get(tag, [None])[0]

    def _place(self, address: int) -> int:
        """Where the loader's address lies in the file."""
        for start, offset, size in self._loads:
            if start <= address < start + size:
                return offset + address - start
        raise self._reader.fail(f"address {address:#x} is in no segment of it")

    def _name(self, index: int) -> str:
        table, size = self._value(_STRTAB), self._value(_STRSZ)
        if table is None or size is None or index >= size:
            raise self._reader.fail(f"name {index} lies outside its string table")
        start = self._place(table)
        return self._reader.string(start + index, start + size)

    def text(self, tag: int) -> str:
        value = self._value(tag)
        return "" if value is None else self._name(value)

    def texts(self, tag: int) -> tuple[str, ...]:
        return tuple(self._name(value) for value in self._entries.get(tag, []))

    def requires(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for file, version, flags, _ in self._wanted():
            if not flags & _WEAK:
                found.setdefault(file, []).append(version)
        return {file: tuple(versions) for file, versions in found.items()}

    def _wanted(self) -> Iterator[tuple[str, str, int, int]]:
        """The chain at DT_VERNEED: a file, and below it each version wanted of it, with its flags and its number."""
        budget = _MAX_ENTRIES
        for offset in self._chain(_VERNEED, _VERNEEDNUM, next_at=12):
            _, count, file, first, _ = self._reader.unpack("<HHIII", offset)
            budget -= count
            if budget < 0:
                raise self._reader.fail(f"it wants more than {_MAX_ENTRIES} symbol versions")
            place = offset + first
            for _ in range(count):
                _, flags, number, version, step = self._reader.unpack("<IHHII", place)
                yield self._name(file), self._name(version), flags, number
                if not step:
                    break
                place += step

    def symbol_wanted(self, version: str) -> str:
        """The first symbol whose entry in DT_VERSYM is the version's number."""
        numbers = {number & 0x7FFF for _, wanted, _, number in self._wanted() if wanted == version}
        table, symbols = self._value(_VERSYM), self._value(_SYMTAB)
        if table is None or symbols is None or self._value(_SYMENT) not in (None, 24):
            return ""
        start, count = self._place(table), self._symbol_count()
        for first in range(0, count, _VERSYM_STEP):
            step = min(_VERSYM_STEP, count - first)
            for index, number in enumerate(self._reader.unpack(f"<{step}H", start + first * 2), first):
                if number & 0x7FFF in numbers:
                    return self._name(self._reader.unpack("<I", self._place(symbols) + index * 24)[0])
        return ""

    def _symbol_count(self) -> int:
        """How many symbols there are, or at least those that are wanted of others."""
        table = self._value(_HASH)
        if table is not None:
            return min(int(self._reader.unpack("<II", self._place(table))[1]), _MAX_SYMBOLS)
        section, table = self.sections().get(".dynsym"), self._value(_GNU_HASH)
        if section is not None:
            return min(section.size // 24, _MAX_SYMBOLS)
        return 0 if table is None else min(int(self._reader.unpack("<II", self._place(table))[1]), _MAX_SYMBOLS)

    def provides(self) -> tuple[str, ...]:
        """The chain at DT_VERDEF; each definition's first name is its own, the others are its parents."""
        found = []
        for offset in self._chain(_VERDEF, _VERDEFNUM, next_at=16):
            _, _, _, count, _, first, _ = self._reader.unpack("<HHHHIII", offset)
            if count:
                found.append(self._name(self._reader.unpack("<II", offset + first)[0]))
        return tuple(found)

    def _chain(self, table: int, number: int, next_at: int) -> Iterator[int]:
        address, count = self._value(table), self._value(number)
        if address is None or not count:
            return
        if count > _MAX_ENTRIES:
            raise self._reader.fail(f"it has {count} tables of symbol versions")
        offset = self._place(address)
        for _ in range(count):
            yield offset
            (step,) = self._reader.unpack("<I", offset + next_at)
            if not step:
                return
            offset += step

    def sections(self) -> Mapping[str, Section]:
        start, count, names = self._section_headers, self._section_count, self._name_index
        if not start:
            return {}
        if self._section_size != 64:
            raise self._reader.fail(f"section headers have 64 bytes, these {self._section_size}")
        if count == 0 or names == 0xFFFF:  # more than 65,279 sections: the real numbers are in the first one
            first = self._section(start)
            count, names = count or first[5], first[6] if names == 0xFFFF else names
        if count > _MAX_SECTIONS or names >= count:
            raise self._reader.fail(f"it has {count} sections, with their names in the one at {names}")
        _, _, _, _, strings, size, _ = self._section(start + names * 64)
        self._reader.hold_strings(strings, size)
        found = {}
        for name, kind, _, _, offset, length, _ in self._reader.table(_SECTION, start + 64, count - 1):
            # 8 is NOBITS: memory that the file holds no bytes of.
            if kind != 8 and name < size:
                found[self._reader.string(strings + name, strings + size)] = Section(offset, length)
        return found

    def _section(self, offset: int) -> tuple[int, int, int, int, int, int, int]:
        name, kind, flags, address, place, size, link = self._reader.unpack(_SECTION, offset)
        return name, kind, flags, address, place, size, link

    def defines(self, symbol: str) -> bool:
        """Look a symbol up as the loader does: its hash's bucket, then the chain, which ends at a set lowest bit."""
        table, symbols = self._value(_GNU_HASH), self._value(_SYMTAB)
        if table is None or symbols is None or self._value(_SYMENT) not in (None, 24):
            return False
        start, hashed = self._place(table), _gnu_hash(symbol)
        buckets, first, words, _ = self._reader.unpack("<IIII", start)
        if not buckets:
            return False
        chains = start + 16 + words * 8 + buckets * 4
        (index,) = self._reader.unpack("<I", start + 16 + words * 8 + hashed % buckets * 4)
        while index >= first > 0 or (first == 0 and index > 0):
            (there,) = self._reader.unpack("<I", chains + (index - first) * 4)
            if there | 1 == hashed | 1:
                name, _, _, section = self._reader.unpack("<IBBH16x", self._place(symbols) + index * 24)
                if section and self._name(name) == symbol:
                    return True
            if there & 1:
                return False
            index += 1
        return False


def _gnu_hash(name: str) -> int:
    value = 5381
    for byte in name.encode():
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value

from __future__ import annotations

import io
import platform
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.core.binaries.elf import Elf, MalformedElf, defined_symbols, read_elf

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
HERE = platform.machine()
MACHINE_AT, PROGRAM_COUNT_AT, SECTION_COUNT_AT = 18, 56, 60


def compiled(tmp_path: Path, name: str, source: str, *options: str) -> Path:
    """A shared library made by this machine's gcc."""
    code, output = tmp_path / f"{name}.c", tmp_path / name
    code.write_text(source)
    subprocess.run(["gcc", "-shared", "-fPIC", str(code), "-o", str(output), *options], check=True, timeout=60)
    return output


def read(path: Path) -> Elf:
    with path.open("rb") as stream:
        elf = read_elf(stream, path.name)
    assert elf is not None
    return elf


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libinner defines inner@@INNER_2 and inner_old@INNER_1; libouter needs both of it, and has a RUNPATH."""
    place = tmp_path_factory.mktemp("elf")
    (place / "map").write_text("INNER_1 { global: old; local: *; };\nINNER_2 { global: inner; } INNER_1;\n")
    script = f"-Wl,--version-script={place}/map"
    inner = compiled(place, "libinner.so.2", "int inner(void){return 2;} int old(void){return 1;}", script,
                     "-Wl,-soname,libinner.so.2")  # fmt: skip
    (place / "libinner.so").symlink_to(inner.name)
    source = '#include <stdio.h>\nint inner(void); int old(void); int outer(void){puts(""); return inner() + old();}'
    return compiled(place, "libouter.so", source, f"-L{place}", "-linner", "-Wl,--enable-new-dtags",
                    "-Wl,-rpath,$ORIGIN:$ORIGIN/../lib")  # fmt: skip


def test_reads_what_a_library_needs_and_where_it_looks(library: Path) -> None:
    outer = read(library)
    assert (outer.machine, outer.bits, outer.soname) == (HERE, 64, "")
    assert outer.needed == ("libinner.so.2", "libc.so.6")
    assert outer.runpath == ("$ORIGIN", "$ORIGIN/../lib")
    assert outer.rpath == ()
    assert sorted(outer.requires["libinner.so.2"]) == ["INNER_1", "INNER_2"]
    assert all(version.startswith("GLIBC_") for version in outer.requires["libc.so.6"])


def test_the_old_kind_of_search_path_is_told_apart(library: Path) -> None:
    path = compiled(library.parent, "libold.so", "int x;", "-Wl,--disable-new-dtags", "-Wl,-rpath,/opt/lib")
    assert (read(path).rpath, read(path).runpath) == (("/opt/lib",), ())


def test_reads_what_a_library_offers(library: Path) -> None:
    inner = read(library.parent / "libinner.so.2")
    assert inner.soname == "libinner.so.2"
    assert inner.provides == ("libinner.so.2", "INNER_1", "INNER_2")
    assert inner.sections[".dynsym"].size > 0


def test_says_which_symbols_a_library_defines(library: Path) -> None:
    with (library.parent / "libinner.so.2").open("rb") as stream:
        assert defined_symbols(stream, ["inner", "old", "outer", "printf"]) == {"inner", "old"}
    with library.open("rb") as stream:  # it uses inner, but does not define it
        assert defined_symbols(stream, ["inner", "outer", ""]) == {"outer"}


def test_every_symbol_of_a_large_library_is_found(tmp_path: Path) -> None:
    names = [f"symbol_{number}" for number in range(500)]
    path = compiled(tmp_path, "libmany.so", "".join(f"int {name}(void){{return 0;}}" for name in names))
    with path.open("rb") as stream:
        assert defined_symbols(stream, [*names, "symbol_500"]) == set(names)


def test_a_library_without_section_headers_is_read_all_the_same(library: Path, tmp_path: Path) -> None:
    data = bytearray(library.read_bytes())
    data[40:48], data[58:64] = bytes(8), bytes(6)
    stripped = read_elf(io.BytesIO(bytes(data)))
    assert stripped is not None
    assert stripped.needed == read(library).needed
    assert stripped.sections == {}


@pytest.mark.parametrize(("number", "machine"), [(183, "aarch64"), (62, "x86_64"), (190, "cuda"), (8, "machine 8")])
def test_names_the_machine(library: Path, number: int, machine: str) -> None:
    data = bytearray(library.read_bytes())
    struct.pack_into("<H", data, MACHINE_AT, number)
    assert read_elf(io.BytesIO(bytes(data))) == Elf(**{**vars(read(library)), "machine": machine})


def test_of_another_class_only_the_machine_is_read(library: Path) -> None:
    data = bytearray(library.read_bytes())
    data[4] = 1
    struct.pack_into("<H", data, MACHINE_AT, 3)
    assert read_elf(io.BytesIO(bytes(data))) == Elf("i386", 32)
    assert defined_symbols(io.BytesIO(bytes(data)), ["outer"]) == frozenset()
    data[4], data[5] = 2, 2
    struct.pack_into(">H", data, MACHINE_AT, 22)
    assert read_elf(io.BytesIO(bytes(data))) == Elf("s390x", 64)


@pytest.mark.parametrize("data", [b"", b"\x7fEL", b"#!/bin/sh\nexit 0 # padded", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_elf_is_nothing(data: bytes) -> None:
    assert read_elf(io.BytesIO(data)) is None


def test_a_file_that_is_cut_short_says_so(library: Path) -> None:
    with pytest.raises(MalformedElf) as exc_info:
        read_elf(io.BytesIO(library.read_bytes()[:600]), "libouter.so")
    assert "libouter.so is no sound ELF file" in str(exc_info.value)
    assert "the file has 600" in str(exc_info.value)


@pytest.mark.parametrize(("offset", "size"), [(32, 8), (40, 8), (54, 2), (PROGRAM_COUNT_AT, 2), (58, 2)])
def test_headers_that_point_outside_are_refused(library: Path, offset: int, size: int) -> None:
    data = bytearray(library.read_bytes())
    data[offset : offset + size] = b"\xff" * (size - 1) + b"\x7f"
    with pytest.raises(MalformedElf):
        read_elf(io.BytesIO(bytes(data)))


def test_a_flipped_byte_never_escapes_as_another_error(library: Path) -> None:
    data, chance = bytearray((library.parent / "libinner.so.2").read_bytes()), random.Random(1)
    places = [*range(64), *(chance.randrange(len(data)) for _ in range(1500))]
    refused = 0
    for place in places:
        before = data[place]
        data[place] ^= chance.choice((0xFF, 0x80, 1))
        stream = io.BytesIO(bytes(data))
        try:
            read_elf(stream)
            defined_symbols(stream, ["inner", "outer"])
        except MalformedElf:
            refused += 1
        data[place] = before
    assert refused > 10


def test_pythons_own_extension_modules_can_be_read() -> None:
    found = [read(path) for path in Path(sys.prefix).resolve().rglob("*.so")][:20]
    assert all(elf.machine == HERE for elf in found)


def edited(path: Path, layout: str, offset: int, *values: int) -> io.BytesIO:
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, offset, *values)
    return io.BytesIO(bytes(data))


def dynamic(path: Path, tag: int) -> int:
    """Where the value of a dynamic entry is in the file."""
    place, data = read(path).sections[".dynamic"], path.read_bytes()
    return next(
        offset + 8
        for offset in range(place.offset, place.offset + place.size, 16)
        if struct.unpack_from("<q", data, offset)[0] == tag
    )


STRSZ, VERNEED_COUNT, VERDEF_COUNT, GNU_HASH, SYMTAB = 10, 0x6FFFFFFF, 0x6FFFFFFD, 0x6FFFFEF5, 6


@pytest.mark.parametrize(
    ("words", "layout", "offset", "values"),
    [
        ("program headers have 56 bytes, these 57", "<H", 54, (57,)),
        ("it has 65000 program headers", "<H", PROGRAM_COUNT_AT, (65000,)),
        ("section headers have 64 bytes, these 40", "<H", 58, (40,)),
        ("with their names in the one at 60000", "<H", 62, (60000,)),
    ],
)
def test_headers_that_are_odd_are_named(
    library: Path, words: str, layout: str, offset: int, values: tuple[int, ...]
) -> None:
    with pytest.raises(MalformedElf, match=words):
        read_elf(edited(library, layout, offset, *values))


def test_a_header_that_is_cut_is_named(library: Path) -> None:
    with pytest.raises(MalformedElf, match="no sound ELF file: it has 19 bytes"):
        read_elf(io.BytesIO(library.read_bytes()[:19]))
    with pytest.raises(MalformedElf, match="its header has 64 bytes, the file has 40"):
        read_elf(io.BytesIO(library.read_bytes()[:40]))


@pytest.mark.parametrize(("tag", "value"), [(STRSZ, 2), (VERNEED_COUNT, 1 << 40), (5, 1 << 60)])
def test_tables_that_do_not_hold_what_is_asked_of_them_are_refused(library: Path, tag: int, value: int) -> None:
    with pytest.raises(MalformedElf):
        read_elf(edited(library, "<Q", dynamic(library, tag), value))


def test_more_versions_than_anybody_has_are_refused(library: Path) -> None:
    data, place = bytearray(library.read_bytes()), read(library).sections[".gnu.version_r"].offset
    struct.pack_into("<H", data, place + 2, 65535)
    elf = read_elf(io.BytesIO(bytes(data)))  # the chain itself says where it ends
    assert elf is not None
    assert elf.requires == read(library).requires
    (step,) = struct.unpack_from("<I", data, place + 12)
    struct.pack_into("<H", data, place + step + 2, 65535)
    with pytest.raises(MalformedElf, match="more than 65536 symbol versions"):
        read_elf(io.BytesIO(bytes(data)))


def test_a_chain_of_versions_ends_where_it_says(library: Path) -> None:
    inner = library.parent / "libinner.so.2"
    elf = read_elf(edited(inner, "<Q", dynamic(inner, VERDEF_COUNT), 500))
    assert elf is not None
    assert elf.provides == read(inner).provides


def test_many_sections_are_counted_in_the_first_one(library: Path) -> None:
    data = bytearray(library.read_bytes())
    (start,) = struct.unpack_from("<Q", data, 40)
    count, names = struct.unpack_from("<HH", data, SECTION_COUNT_AT)
    struct.pack_into("<HH", data, SECTION_COUNT_AT, 0, 0xFFFF)
    struct.pack_into("<QI", data, start + 32, count, names)
    elf = read_elf(io.BytesIO(bytes(data)))
    assert elf is not None
    assert elf.sections == read(library).sections


def test_a_name_without_an_end_is_refused(library: Path) -> None:
    data = library.read_bytes()
    names = read(library).sections[".shstrtab"]
    with pytest.raises(MalformedElf, match="has no end"):
        read_elf(io.BytesIO(data[: names.offset] + b"x" * names.size + data[names.offset + names.size :]))


def test_a_library_without_its_hash_table_defines_nothing(library: Path, tmp_path: Path) -> None:
    path = compiled(tmp_path, "libsysv.so", "int f(void){return 0;}", "-Wl,--hash-style=sysv")
    with path.open("rb") as stream:
        assert defined_symbols(stream, ["f"]) == frozenset()
    inner = library.parent / "libinner.so.2"
    place = read(inner).sections[".gnu.hash"].offset
    assert defined_symbols(edited(inner, "<I", place, 0), ["inner"]) == frozenset()
    assert defined_symbols(edited(inner, "<I", place + 4, 1 << 20), ["inner"]) == frozenset()


class Shrinking(io.BytesIO):
    """A file that is cut while it is read."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size) if self.tell() < 1000 else b""


def test_a_file_that_shrinks_while_it_is_read_is_told(library: Path) -> None:
    with pytest.raises(MalformedElf, match="could not be read"):
        read_elf(Shrinking(library.read_bytes()))

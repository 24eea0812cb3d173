"""What compiled files ask of glibc, as this machine's linker writes it down."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from mirror.core.binaries.elf import Elf, MalformedElf, read_elf, symbol_wanted
from mirror.core.binaries.glibc import GlibcNeed, glibc_need, glibc_version, is_above, newest_glibc, release_numbers
from mirror.core.target import Target
from tests.support.libraries import THREADS, make_library, needs_newer_glibc

TARGET = Target(python="3.11", arch="x86_64", glibc="2.31")


def need_of(path: Path) -> GlibcNeed | None:
    with path.open("rb") as stream:
        elf = read_elf(stream, path.name)
        assert elf
        return glibc_need(stream, elf, path.name)


@needs_newer_glibc
def test_the_newest_version_is_found_with_a_symbol_that_wants_it(tmp_path: Path) -> None:
    library = make_library(tmp_path / "libnew.so", source=THREADS)
    assert need_of(library) == GlibcNeed("libnew.so", "x86_64", "GLIBC_2.34", "pthread_create")


@needs_newer_glibc
@pytest.mark.parametrize("style", ["sysv", "gnu"])
def test_the_symbol_is_found_without_section_headers_too(tmp_path: Path, style: str) -> None:
    library = make_library(tmp_path / "libnew.so", source=THREADS, options=[f"-Wl,--hash-style={style}"])
    data = bytearray(library.read_bytes())
    data[40:48] = bytes(8)  # e_shoff
    data[60:62] = bytes(2)  # e_shnum
    assert symbol_wanted(io.BytesIO(bytes(data)), "GLIBC_2.34") == "pthread_create"


@needs_newer_glibc
def test_a_need_that_is_marked_as_weak_does_not_count(tmp_path: Path) -> None:
    library = make_library(tmp_path / "libweak.so", source=THREADS)
    assert need_of(library) != GlibcNeed("libweak.so", "x86_64", "GLIBC_2.2.5", "__cxa_finalize")
    library.write_bytes(marked_as_weak(library.read_bytes(), "GLIBC_2.34"))
    assert need_of(library) == GlibcNeed("libweak.so", "x86_64", "GLIBC_2.2.5", "__cxa_finalize")


def marked_as_weak(data: bytes, version: str) -> bytes:
    """A version's entry begins with its name's hash (System V's), and the flags follow."""
    value = 0
    for byte in version.encode():
        value = (value << 4) + byte
        value = (value ^ (value & 0xF0000000) >> 24) & 0x0FFFFFFF
    entry = struct.pack("<IH", value, 0)
    assert data.count(entry) == 1
    return data.replace(entry, struct.pack("<IH", value, 2))


def test_a_static_program_and_one_for_another_c_library_ask_nothing() -> None:
    assert glibc_need(io.BytesIO(), Elf("x86_64"), "static") is None
    musl = Elf("x86_64", needed=("libc.musl-x86_64.so.1",), requires={"libgcc_s.so.1": ("GCC_3.0",)})
    assert glibc_need(io.BytesIO(), musl, "musl") is None


def test_what_cannot_be_looked_up_leaves_the_symbol_out() -> None:
    elf = Elf("x86_64", requires={"libc.so.6": ("GLIBC_2.2.5", "GLIBC_2.17")})
    assert glibc_need(io.BytesIO(b"\x7fELF"), elf, "a.so") == GlibcNeed("a.so", "x86_64", "GLIBC_2.17")
    with pytest.raises(MalformedElf):
        symbol_wanted(io.BytesIO(b"\x7fELF"), "GLIBC_2.17")


@pytest.mark.parametrize(
    ("wanted", "version"),
    [
        ("GLIBC_2.34", (2, 34)),
        ("GLIBC_2.2.5", (2, 2, 5)),
        ("GLIBC_ABI_DT_RELR", (2, 36)),
        ("GLIBC_ABI_GNU2_TLS", (2, 42)),
        ("GLIBC_ABI_NOT_INVENTED_YET", (2, 42)),
        ("GLIBC_PRIVATE", ()),
        ("GLIBCXX_3.4.29", ()),
        ("GLIBC_2.٣", ()),
    ],
)
def test_versions_and_markers_stand_for_releases(wanted: str, version: tuple[int, ...]) -> None:
    assert glibc_version(wanted) == version


@pytest.mark.parametrize(
    ("machine", "wanted", "symbol", "sentence"),
    [
        ("x86_64", "GLIBC_2.34", "pthread_create", "a.so needs GLIBC_2.34 (pthread_create); the target promises glibc 2.31"),
        ("x86_64", "GLIBC_2.34", "", "a.so needs GLIBC_2.34; the target promises glibc 2.31"),
        ("x86_64", "GLIBC_ABI_DT_RELR", "", "a.so needs GLIBC_ABI_DT_RELR (glibc 2.36); the target promises glibc 2.31"),
        ("x86_64", "GLIBC_2.31", "", ""),
        ("x86_64", "GLIBC_2.2.5", "", ""),
        ("aarch64", "GLIBC_2.34", "", ""),
    ],
)  # fmt: skip
def test_a_newer_need_is_told_with_both_sides(machine: str, wanted: str, symbol: str, sentence: str) -> None:
    assert GlibcNeed("a.so", machine, wanted, symbol).above(TARGET) == sentence


def test_the_newest_of_several_files_is_by_number_and_for_one_machine() -> None:
    needs = [
        GlibcNeed("a", "x86_64", "GLIBC_2.4"),
        GlibcNeed("b", "x86_64", "GLIBC_2.17"),
        GlibcNeed("c", "aarch64", "GLIBC_2.38"),
    ]
    assert newest_glibc(needs, "x86_64") == "2.17"
    assert newest_glibc(needs, "ppc64le") == ""


def test_a_release_in_a_dossier_that_cannot_be_read_is_newer_than_all() -> None:
    assert release_numbers("") == () and release_numbers("2.34") == (2, 34)
    assert [is_above(release, TARGET) for release in ("", "2.17", "2.31", "2.34", "two")] == [
        False,
        False,
        False,
        True,
        True,
    ]

"""What compiled files ask for and which GPUs they are for, on files made by gcc and on headers made by hand."""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from mirror.core.binaries.glibc import newest_glibc
from mirror.core.binaries.native import Native, NativeTally
from tests.support.limits import within
from tests.unit.core.binaries.test_fatbin import CUBIN, PTX, container, entry

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


def tallied(*files: tuple[str, bytes]) -> Native:
    tally = NativeTally()
    for name, data in files:
        tally.add(io.BytesIO(data), name)
    return tally.native()


def cubin(flags: int, version: int = 8, note: bytes = b"") -> bytes:
    """A file that is GPU code, as far as its header and its compiler's note go."""
    names = b"\0.shstrtab\0.note.nv.tkinfo\0"
    body = names + note
    header = b"\x7fELF\x02\x01\x01\x41" + bytes([version]) + bytes(7)
    table = 64 + len(body)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 190, 1, 0, 0, table, flags, 64, 56, 0, 64, 3, 1)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, 64, len(names), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 11, 7, 0, 0, 64 + len(names), len(note), 0, 0, 1, 0)
    return header + body + sections


def library(tmp_path: Path, source: str, *options: str, compiler: str = "gcc") -> bytes:
    code, output = tmp_path / ("a.cc" if compiler == "g++" else "a.c"), tmp_path / "liba.so"
    code.write_text(source)
    subprocess.run([compiler, "-shared", "-fPIC", str(code), "-o", str(output), *options], check=True, timeout=60)
    return output.read_bytes()


def newest(path: Path, library: str) -> str:
    """By binutils."""
    said = subprocess.run(["objdump", "-T", str(path)], capture_output=True, text=True, check=True, timeout=60).stdout
    found: list[str] = re.findall(rf"{library}_([0-9.]+)", said)
    return max(found, key=lambda text: [int(one) for one in text.split(".")])


@needs_gcc
def test_the_newest_versions_asked_for_are_those_that_binutils_names(tmp_path: Path) -> None:
    source = (
        "#include <string>\n#include <cmath>\nstd::string f(double x) { return std::to_string(std::pow(x, 3.0)); }\n"
    )
    data = library(tmp_path, source, compiler="g++")
    found = tallied(("liba.so", data), ("again.so", data))
    (machine,) = found.libstdcxx
    assert found.count == 2
    assert [(need.path, need.machine) for need in found.needs] == [("again.so", machine), ("liba.so", machine)]
    assert newest_glibc(found.needs, machine) == newest(tmp_path / "liba.so", "GLIBC")
    assert found.libstdcxx == {machine: newest(tmp_path / "liba.so", "GLIBCXX")}


@needs_gcc
def test_packed_relocations_need_the_loader_that_knows_them(tmp_path: Path) -> None:
    try:
        data = library(tmp_path, "static int a; int *b[] = {&a, &a};\nvoid *f(void) { return b; }\n#include <stdlib.h>\n"
                       "void *g(void) { return malloc(1); }", "-Wl,-z,pack-relative-relocs")  # fmt: skip
    except subprocess.CalledProcessError:
        pytest.skip("this linker packs no relocations")
    assert [need.wanted for need in tallied(("liba.so", data)).needs] == ["GLIBC_ABI_DT_RELR"]


@needs_gcc
def test_gpu_code_in_a_library_is_told_in_order(tmp_path: Path) -> None:
    fat = container(entry(PTX, 120), entry(CUBIN, 100), entry(CUBIN, 90), entry(CUBIN, 90, 0x100011), entry(PTX, 90))
    words = ", ".join(str(byte) for byte in fat)
    source = f'__attribute__((section(".nv_fatbin"), used)) static const unsigned char code[] = {{{words}}};\n'
    found = tallied(("libgpu.so", library(tmp_path, source)))
    assert found.gpus == ("sm_90", "sm_90a", "sm_100", "compute_90", "compute_120")
    assert (found.count, found.faults) == (1, ())


@pytest.mark.parametrize(
    ("data", "gpus"),
    [
        (cubin(0x06005A04), ("sm_90",)),
        (cubin(0x0600640A), ("sm_100a",)),
        (cubin(0x06005A04, note=b"\0\0-arch sm_90a -m 64 \0"), ("sm_90a",)),  # nvcc 13.0 sets no flag for it
        (cubin(0x06006402, note=b"-arch sm_100f -m 64 "), ("sm_100f",)),
        (cubin(0x0600640A, note=b"no word of it"), ("sm_100a",)),
        (cubin(0x06005A04)[:40] + bytes(8) + cubin(0x06005A04)[48:], ("sm_90",)),  # stripped of its sections
        (cubin(0x00500550, version=7), ()),  # the older flags mean other things: nothing rather than a guess
        (cubin(0x00500550, version=7, note=b"-arch sm_80 -m 64"), ("sm_80",)),
    ],
)
def test_a_file_of_gpu_code_alone_is_no_native_code_of_the_host(data: bytes, gpus: tuple[str, ...]) -> None:
    assert tallied(("k.cubin", data)) == Native(gpus=gpus)


def test_what_is_no_elf_file_counts_for_nothing() -> None:
    assert tallied(("a.py", b"print()"), ("empty", b"")) == Native()


def test_a_broken_file_is_counted_named_and_does_not_hide_the_others() -> None:
    broken = b"\x7fELF\x02\x01\x01" + bytes(40)
    found = tallied(("z/broken.so", broken), ("k.cubin", cubin(0x06005A04)), ("a/broken.so", broken))
    assert found.gpus == ("sm_90",)
    assert [fault.split(" ")[0] for fault in found.faults] == ["a/broken.so", "z/broken.so"]


def fat(code: bytes) -> bytes:
    """A library that has nothing but a section of GPU code."""
    names = b"\0.shstrtab\0.nv_fatbin\0"
    body = names + code
    header = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64 + len(body), 0, 64, 56, 0, 64, 3, 1)
    )
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, 64, len(names), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 11, 1, 0, 0, 64 + len(names), len(code), 0, 0, 1, 0)
    return header + body + sections


def test_gpu_code_that_cannot_be_read_is_told_apart_from_a_damaged_file() -> None:
    native = tallied(
        ("good.so", fat(container(entry(CUBIN, 90)) + bytes(4096) + container(entry(PTX, 80)))),
        ("strange.so", fat(container(entry(CUBIN, 5000)))),
        ("damaged.so", b"\x7fELF"),
    )
    assert native.gpus == ("sm_90", "compute_80")
    assert native.gpu_faults == (
        "strange.so is no sound ELF file: it has GPU code for an architecture 5000, which there is none of",
    )
    assert native.faults == ("damaged.so is no sound ELF file: it has 4 bytes",)


@pytest.mark.group(47)
def test_names_without_number_take_no_memory(tmp_path: Path) -> None:
    """65,000 sections, whose names are each another 4,000 bytes of one string table."""
    table, count = b"x" * 70_000 + b"\0", 65_000
    start = 64 + len(table)
    header = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, start, 0, 64, 56, 0, 64, count, 1)
    )
    rows = [bytes(64), struct.pack("<IIQQQQIIQQ", 70_000, 3, 0, 0, 64, len(table), 0, 0, 1, 0)]
    rows += [
        struct.pack("<IIQQQQIIQQ", 65_950 + number % 4000, 1, 0, 0, 64, 0, 0, 0, 1, number)
        for number in range(count - 2)
    ]
    path = tmp_path / "a.so"
    path.write_bytes(header + table + b"".join(rows))
    code = """
tally = NativeTally()
with open(sys.argv[1], "rb") as stream:
    tally.add(stream, "a.so")
print(tally.native().faults[0])
"""
    done = within(64, "from mirror.core.binaries.native import NativeTally", code, str(path))
    assert done.stdout == "a.so is no sound ELF file: its names have more than 16777216 bytes\n", done.stderr

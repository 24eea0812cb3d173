from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from mirror.core.binaries.elf import MalformedElf, Section, read_elf
from mirror.core.binaries.fatbin import SECTION, Image, read_images
from tests.support.limits import within

KERNEL = "__global__ void twice(float *x) { x[threadIdx.x] *= 2; }\nvoid f(float *x) { twice<<<1, 32>>>(x); }\n"
PTX, CUBIN, OTHER = 1, 2, 16

needs_nvcc = pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc")


def entry(kind: int, arch: int, flags: int = 0x11, payload: int = 24, header: int = 64) -> bytes:
    """An image as fatbinary writes it, with nothing in it."""
    words = struct.pack("<HHIQIIHHIIIQQQ", kind, 0x101, header, payload, 0, 0, 8, 1, arch, 0, 0, flags, 0, 0)
    return words + bytes(header - 64 + payload)


def container(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def images(data: bytes) -> dict[str, int]:
    return {image.arch: count for image, count in read_images(io.BytesIO(data), Section(0, len(data))).items()}


def images_of(path: Path) -> dict[str, int]:
    with path.open("rb") as stream:
        elf = read_elf(stream)
        assert elf is not None
        return {image.arch: count for image, count in read_images(stream, elf.sections[SECTION]).items()}


def test_counts_each_architecture_over_all_containers() -> None:
    first = container(entry(CUBIN, 80), entry(CUBIN, 90, 0x100011), entry(PTX, 90, 0x8011, header=80))
    second = container(entry(CUBIN, 80), entry(CUBIN, 100, 0x1200011), entry(OTHER, 100))
    assert images(first + second) == {"sm_80": 2, "sm_90a": 1, "compute_90": 1, "sm_100f": 1}


def test_padding_and_empty_containers_are_skipped() -> None:
    assert images(container() + bytes(40) + container(entry(CUBIN, 75)) + bytes(8)) == {"sm_75": 1}
    assert images(bytes(64)) == images(b"") == {}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x01" * 16, "no container"),
        (container(entry(CUBIN, 80))[:-1], "ends at"),
        (struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 20) + bytes(20), "cut short"),
        (struct.pack("<IHHQ", 0xBA55ED50, 1, 0, 0), "no container"),
        (container(struct.pack("<HHIQ", 2, 0x101, 0, 0) + bytes(48)), "0 bytes"),
        (container(entry(CUBIN, 80))[:20], "ends at"),
    ],
)
def test_what_does_not_add_up_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(MalformedElf, match=words):
        images(data)


@pytest.mark.parametrize(
    ("arch", "gpus", "others"),
    [
        ("sm_80", ["sm_80", "sm_86", "sm_89"], ["sm_75", "sm_90a", "sm_120"]),
        ("sm_86", ["sm_86", "sm_89"], ["sm_80", "sm_90"]),
        ("sm_90", ["sm_90", "sm_90a"], ["sm_89", "sm_100"]),
        ("sm_90a", ["sm_90", "sm_90a"], ["sm_100", "sm_89"]),
        ("sm_100f", ["sm_100a", "sm_103"], ["sm_110", "sm_120", "sm_90"]),
        ("compute_80", ["sm_80", "sm_90a", "sm_120"], ["sm_75"]),
        ("compute_90a", ["sm_90"], ["sm_100"]),
        ("compute_100f", ["sm_100", "sm_103"], ["sm_90", "sm_120"]),
    ],
)
def test_says_which_gpus_code_runs_on(arch: str, gpus: list[str], others: list[str]) -> None:
    assert [gpu for gpu in gpus + others if Image(arch).serves(gpu)] == gpus


@needs_nvcc
@pytest.mark.parametrize("mode", ["none", "size"])
def test_reads_what_nvcc_wrote(tmp_path: Path, mode: str) -> None:
    (tmp_path / "kernel.cu").write_text(KERNEL)
    gencode = {
        "sm_80": "compute_80",
        "sm_90a": "compute_90a",
        "compute_90": "compute_90",
        "compute_120f": "compute_120f",
    }
    options = [f"-gencode=arch={arch},code={code}" for code, arch in gencode.items()]
    command = [
        "nvcc",
        "-Xcompiler=-fPIC",
        "-shared",
        "kernel.cu",
        "-o",
        "kernel.so",
        f"--compress-mode={mode}",
        *options,
    ]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    found = images_of(tmp_path / "kernel.so")
    assert set(found) == set(gencode)
    assert found["compute_90"] == 1


@needs_nvcc
def test_a_library_with_nothing_but_ptx_shows_it(tmp_path: Path) -> None:
    (tmp_path / "kernel.cu").write_text(KERNEL)
    command = ["nvcc", "-Xcompiler=-fPIC", "-shared", "kernel.cu", "-o", "kernel.so"]
    command += ["-gencode=arch=compute_80,code=compute_80"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    assert images_of(tmp_path / "kernel.so") == {"compute_80": 1}


@pytest.mark.parametrize("zeros", [4, 60, 64, 4092, 4096, 4097, 8192, 65_536, (1 << 20) - 4, 1 << 20, (3 << 20) + 4])
def test_code_behind_any_number_of_zero_bytes_is_found(zeros: int) -> None:
    assert images(container(entry(CUBIN, 80)) + bytes(zeros) + container(entry(CUBIN, 90))) == {"sm_80": 1, "sm_90": 1}
    assert images(bytes(zeros) + container(entry(PTX, 90))) == {"compute_90": 1}
    assert images(container(entry(CUBIN, 80)) + bytes(zeros)) == {"sm_80": 1}


def test_something_else_behind_zero_bytes_is_refused() -> None:
    with pytest.raises(MalformedElf, match="no container of GPU code begins"):
        images(container(entry(CUBIN, 80)) + bytes(5000) + b"\x01" * 16)


@pytest.mark.group(47)
@pytest.mark.parametrize("arch", [0, 9, 1000, 4_294_967_295])
def test_an_architecture_that_there_is_none_of_is_refused(arch: int) -> None:
    with pytest.raises(MalformedElf, match=f"it has GPU code for an architecture {arch}, which there is none of"):
        images(container(entry(CUBIN, arch)))


@pytest.mark.group(47)
def test_a_million_architectures_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "section"
    path.write_bytes(container(*(entry(CUBIN, 10 + number, payload=0) for number in range(1_000_000))))
    imports = "from mirror.core.binaries.fatbin import Section, read_images\nfrom mirror.core.binaries.elf import MalformedElf"
    code = """
with open(sys.argv[1], "rb") as stream:
    try:
        read_images(stream, Section(0, stream.seek(0, 2)))
    except MalformedElf as exc:
        print(exc.problem)
"""
    done = within(8, imports, code, str(path))
    assert done.stdout == "it has GPU code for an architecture 1000, which there is none of\n", done.stderr

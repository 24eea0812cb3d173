"""Faults of a real CUDA 13.0 toolkit, made one at a time: what nvcc and the runtime then say is explained.

The toolkit is unpacked once from the RPMs of ``scripts/cuda-rpms``; each test takes something away and puts it back.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirror.core.logs.explained.log import explain
from mirror.core.logs.symptom import Context
from mirror.core.target import Target
from mirror.core.toolkit.rpmsource import RpmSource, trusted_rpms
from mirror.core.toolkit.toolchain import unpack_toolchain
from tests.support.symptoms import made

pytestmark = pytest.mark.index  # the RPMs are made of NVIDIA's wheels; where they are there already nothing is fetched

HOUSE = Path(__file__).parents[5]
REPOSITORY = HOUSE / ".quickstart" / "cuda-13.0"
DEMO_KEY = "D6ABEDFE6D3E4021F7D7296D6309737A04018495"
CONTEXT = Context("13.0", env_script="/gen/env.sh")
INCLUDE, LIB = "targets/x86_64-linux/include", "targets/x86_64-linux/lib"
PATH = "/usr/bin:/bin"
"""Not the caller's: another toolkit on it would help out."""

SMALL = "__global__ void nothing() {}\nint main() { nothing<<<1, 1>>>(); return 0; }\n"
KERNEL = """\
#include <cuda_fp16.h>
__global__ void scale(__half *v) { v[0] = __float2half(sinf(__half2float(v[0]))); }
int main() { scale<<<1, 1>>>(nullptr); return 0; }
"""


@pytest.fixture(scope="module")
def cuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toolkit."""
    if not list(REPOSITORY.glob("cuda-nvcc-*.rpm")):
        if sys.version_info < (3, 11):
            pytest.skip("the demonstration RPMs are made by Python 3.11 or newer")
        subprocess.run([sys.executable, HOUSE / "scripts" / "cuda-rpms", "-o", REPOSITORY], check=True)
    packages = trusted_rpms(
        [RpmSource.of(path) for path in sorted(REPOSITORY.glob("*.rpm")) if not path.name.startswith("cccl-13-3")],
        keys=(REPOSITORY / "repodata" / "repomd.xml.key").read_bytes(),
        fingerprints=[DEMO_KEY],
    )
    target = Target(python="3.11", arch="x86_64", glibc="2.28", gpu="sm_90a", cuda="13.0")
    home = tmp_path_factory.mktemp("toolkit") / "cuda"
    unpack_toolchain(packages, home, target)
    if shutil.which("g++", path=PATH) is None:
        pytest.skip("nvcc needs the host's g++")
    return home


@contextmanager
def without(home: Path, *paths: str) -> Iterator[None]:
    """The toolkit lacks these files or directories for a while."""
    for path in paths:
        (home / path).rename(home / f"{path}.away")
    try:
        yield
    finally:
        for path in paths:
            (home / f"{path}.away").rename(home / path)


def nvcc(
    home: Path, work: Path, *options: str, source: str = KERNEL, env: Mapping[str, str] | None = None
) -> list[str]:
    """What nvcc says when it fails."""
    (work / "x.cu").write_text(source)
    command = [str(home / "bin" / "nvcc"), *(options or ("-arch=sm_90a", "-c")), "x.cu", "-o", "x.out"]
    environment = {"PATH": PATH, "TMPDIR": str(work), **(env or {})}
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode != 0, "the fault was not made"
    return (done.stdout + done.stderr).splitlines()


def told(lines: list[str], context: Context = CONTEXT) -> tuple[str, str, str]:
    """The row, what it says and the fix of the only symptom."""
    sightings = explain(lines, context).sightings
    assert len(sightings) == 1, lines
    finding = sightings[0].finding
    return finding.row, finding.what, finding.fix


def test_the_whole_toolkit_compiles(cuda: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the fault was not made"):
        nvcc(cuda, tmp_path)


@made("1", "6")
@pytest.mark.parametrize(
    ("row", "gone", "package"),
    [
        ("1", (f"{INCLUDE}/nv", f"{INCLUDE}/cccl/nv"), "cuda-cccl-13-0"),
        ("6", (f"{INCLUDE}/crt",), "cuda-crt-13-0"),
    ],
)
def test_a_missing_header_names_its_rpm(
    cuda: Path, tmp_path: Path, row: str, gone: tuple[str, ...], package: str
) -> None:
    with without(cuda, *gone):
        found, _, fix = told(nvcc(cuda, tmp_path))
    assert found == row
    assert fix.startswith(f'add "{package}" to packages under [rpms]')


@made("2", "3", "4")
@pytest.mark.parametrize(
    ("row", "header", "gone", "words"),
    [
        ("2", "cub/cub.cuh", f"{INCLUDE}/cccl", "cuda-cccl-13-0"),
        ("3", "cuda_fp8.h", f"{INCLUDE}/cuda_fp8.h", "cuda-cudart-devel-13-0"),
        ("4", "cuda_fp4.h", f"{INCLUDE}/cuda_fp4.h", "CUDA 12.8 or later"),
    ],
)
def test_a_header_that_is_included_and_missing(
    cuda: Path, tmp_path: Path, row: str, header: str, gone: str, words: str
) -> None:
    with without(cuda, gone):
        found, what, fix = told(nvcc(cuda, tmp_path, source=f"#include <{header}>\n"))
    assert (found, what) == (row, f"the compiler did not find {header}")
    assert words in fix


@made("5")
@pytest.mark.parametrize("gone", [f"{INCLUDE}/cuda_runtime.h", "bin/nvcc.profile"])
def test_nvcc_without_its_own_header_or_profile(cuda: Path, tmp_path: Path, gone: str) -> None:
    with without(cuda, gone):
        found, _, fix = told(nvcc(cuda, tmp_path))
    assert found == "5"
    assert "cuda-cudart-devel-13-0" in fix and "where it was unpacked" in fix


@made("7")
def test_nvcc_without_cicc(cuda: Path, tmp_path: Path) -> None:
    with without(cuda, "nvvm/bin/cicc"):
        found, _, fix = told(nvcc(cuda, tmp_path))
    assert found == "7"
    assert "libnvvm-13-0" in fix


@made("8")
@pytest.mark.parametrize("part", ["ptxas", "fatbinary", "cudafe++"])
def test_nvcc_without_one_of_its_parts(cuda: Path, tmp_path: Path, part: str) -> None:
    with without(cuda, f"bin/{part}"):
        found, what, fix = told(nvcc(cuda, tmp_path, source=SMALL))
    assert (found, what) == ("8", f"nvcc did not find its part {part}")
    assert "cuda-nvcc-13-0" in fix


@made("9")
def test_nvcc_without_a_host_compiler(cuda: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    assert told(nvcc(cuda, tmp_path, env={"PATH": f"{tmp_path}/bin"}))[0] == "9"
    assert told(nvcc(cuda, tmp_path, "-ccbin", "/nowhere/g++", "-c"))[0] == "9"


@made("10")
def test_a_host_compiler_that_is_too_new(cuda: Path, tmp_path: Path) -> None:
    newer = tmp_path / "g++"  # as a newer gcc presents itself
    newer.write_text('#!/bin/sh\nexec /usr/bin/g++ "$@" -U__GNUC__ -D__GNUC__=16\n')
    newer.chmod(0o755)
    found, what, fix = told(nvcc(cuda, tmp_path, "-c", "-ccbin", str(newer)))
    assert found == "10"
    assert "gcc versions later than 15 are not supported" in what
    assert "-ccbin" in fix


@made("11")
def test_an_architecture_that_this_nvcc_does_not_know(cuda: Path, tmp_path: Path) -> None:
    found, what, _ = told(nvcc(cuda, tmp_path, "-gencode=arch=compute_107,code=sm_107", "-c"))
    assert (found, what) == ("11", "this nvcc does not know the architecture compute_107")


@made("12")
def test_an_option_that_this_nvcc_does_not_know(cuda: Path, tmp_path: Path) -> None:
    found, what, _ = told(nvcc(cuda, tmp_path, "-of-a-newer-nvcc=false", "-c"))
    assert found == "12"
    assert what.startswith("this nvcc does not know the option -of-a-newer-nvcc")


@made("13")
def test_headers_of_another_release(cuda: Path, tmp_path: Path) -> None:
    header = cuda / INCLUDE / "cuda_runtime_api.h"
    text = header.read_text()
    other = text.replace("#define CUDART_VERSION  13000", "#define CUDART_VERSION  12080")
    assert other != text
    with without(cuda, f"{INCLUDE}/cuda_runtime_api.h"):
        header.write_text(other)
        try:
            assert told(nvcc(cuda, tmp_path, source="#include <cuda/std/array>\n"))[0] == "13"
        finally:
            header.unlink()


@made("14")
def test_a_temporary_directory_that_is_not_there(cuda: Path, tmp_path: Path) -> None:
    found, what, _ = told(nvcc(cuda, tmp_path, env={"TMPDIR": "/nowhere"}))
    assert found == "14"
    assert what.startswith("nvcc could not write its temporary file /nowhere/tmpxft_")


@made("15")
def test_a_part_that_lost_its_exec_bit(cuda: Path, tmp_path: Path) -> None:
    (cuda / "nvvm/bin/cicc").chmod(0o644)
    try:
        found, _, fix = told(nvcc(cuda, tmp_path, source=SMALL))
    finally:
        (cuda / "nvvm/bin/cicc").chmod(0o755)
    assert found == "15"
    assert fix.startswith(f"chmod +x {cuda}/bin/../nvvm/bin/cicc")


@made("62")
def test_a_part_that_is_killed(cuda: Path, tmp_path: Path) -> None:
    with without(cuda, "nvvm/bin/cicc"):
        victim = cuda / "nvvm/bin/cicc"
        victim.write_text("#!/bin/sh\nkill -9 $$\n")
        victim.chmod(0o755)
        try:
            found, _, fix = told(nvcc(cuda, tmp_path, source=SMALL))
        finally:
            victim.unlink()
    assert found == "62"
    assert "MAX_JOBS" in fix


@made("19")
@pytest.mark.parametrize("library", ["cudart_static", "cudadevrt"])
def test_nvccs_own_libraries_missing(cuda: Path, tmp_path: Path, library: str) -> None:
    with without(cuda, f"{LIB}/lib{library}.a"):
        found, what, fix = told(nvcc(cuda, tmp_path, "-arch=sm_90a", source=SMALL))
    assert found == "19"
    assert what.startswith(f"the linker did not find -l{library}")
    assert "cuda-cudart-devel-13-0" in fix


def link(home: Path, work: Path, *libraries: str) -> list[str]:
    """What g++ says of the link that FlashInfer makes."""
    command = ["g++", "-shared", "-x", "c++", "/dev/null", "-o", "x.so", f"-L{home}/lib64", f"-L{home}/lib64/stubs"]
    done = subprocess.run([*command, *libraries], cwd=work, env={"PATH": PATH}, capture_output=True, text=True)
    assert done.returncode != 0, "the fault was not made"
    return done.stderr.splitlines()


@made("16", "18")
@pytest.mark.parametrize(
    ("row", "gone", "library", "package"),
    [
        ("16", f"{LIB}/libcudart.so", "-lcudart", "cuda-cudart-devel-13-0"),
        ("18", f"{LIB}/stubs/libcuda.so", "-lcuda", "cuda-driver-devel-13-0"),
    ],
)
def test_a_linker_name_that_is_missing(
    cuda: Path, tmp_path: Path, row: str, gone: str, library: str, package: str
) -> None:
    with without(cuda, gone):
        found, _, fix = told(link(cuda, tmp_path, library))
    assert found == row
    assert package in fix


@made("17")
def test_a_linker_name_that_leads_nowhere_is_the_runtime_package(cuda: Path, tmp_path: Path) -> None:
    with without(cuda, f"{LIB}/libcudart.so.13"):
        lines = link(cuda, tmp_path, "-lcudart")
        assert told(lines)[0] == "16", "without a look at the install it cannot be known"
        found, _, fix = told(lines, Context("13.0", cuda_home=cuda))
    assert found == "17"
    assert fix.startswith('add "cuda-cudart-13-0" to packages')
    assert told(lines, Context("13.0", ("cuda-cudart-devel-13-0",)))[0] == "17"
    assert told(lines, Context("13.0", ("cuda-cudart-13-0", "cuda-cudart-devel-13-0")))[0] == "16"


PROGRAM = """\
import ctypes, sys
runtime = ctypes.CDLL(sys.argv[1])
runtime.cudaGetErrorString.restype = ctypes.c_char_p
error = runtime.cudaFree(None)
if error:
    raise RuntimeError("CUDA error: " + runtime.cudaGetErrorString(error).decode())
"""


@made("45", "46")
@pytest.mark.parametrize(("row", "stubs"), [("45", True), ("46", False)])
def test_the_runtime_without_a_driver_or_with_the_stub(cuda: Path, tmp_path: Path, row: str, stubs: bool) -> None:
    if Path("/dev/nvidia0").exists():
        pytest.skip("this host has a driver")
    if stubs:
        (tmp_path / "libcuda.so.1").symlink_to(cuda / LIB / "stubs" / "libcuda.so")
    command = [sys.executable, "-c", PROGRAM, str(cuda / LIB / "libcudart.so.13")]
    done = subprocess.run(command, env={"LD_LIBRARY_PATH": str(tmp_path)}, capture_output=True, text=True)
    assert told(done.stderr.splitlines())[0] == row


@pytest.mark.parametrize(
    ("code", "row"),
    [(34, "45"), (35, "46"), (209, "47"), (222, "48"), (221, "49"), (803, "50"), (804, "51"), (802, "52"), (100, "53")],
)
def test_the_runtimes_own_words_are_known(cuda: Path, code: int, row: str) -> None:
    runtime = ctypes.CDLL(str(cuda / LIB / "libcudart.so.13"))
    runtime.cudaGetErrorString.restype = ctypes.c_char_p
    words = runtime.cudaGetErrorString(code).decode()
    assert told([f"RuntimeError: CUDA error: {words}"])[0] == row

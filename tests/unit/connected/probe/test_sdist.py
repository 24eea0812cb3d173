"""The probe: its sdist and wheel have fixed bytes, and its module says plainly what each GPU did."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.connected.building.builder import build_wheel
from mirror.connected.building.failure import BuildFailed
from mirror.connected.building.kept import BuiltWheel
from mirror.connected.building.request import BuildRequest, Toolkit
from mirror.connected.fetching.store import Store, file_sha256
from mirror.connected.probe.sdist import probe_sdist, probe_version
from mirror.core.binaries.elf import CUDA, read_elf
from mirror.core.errors import Unwritable
from mirror.core.names import Sha256Hex, project_name
from mirror.core.target import Target

TARGET = Target("{}.{}".format(*sys.version_info), os.uname().machine, "2.17", gpu="sm_90a", cuda="13.0")
TREE = Path(__file__).parents[4] / "mirror" / "connected" / "probe" / "source"
IN_TREE = {"PYTHONPATH": str(TREE), "PYTHONDONTWRITEBYTECODE": "1"}
NVCC = shutil.which("nvcc")
needs_nvcc = pytest.mark.skipif(NVCC is None, reason="no nvcc on PATH")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on PATH")

STAND_IN = """#!/bin/sh
# Writes its own arguments where nvcc would write machine code.
while [ $# -gt 0 ]; do case "$1" in -o) out=$2; shift;; *) said="$said $1";; esac; shift; done
printf 'machine code of%s' "$said" > "$out"
"""


def stand_in_toolkit(directory: Path) -> Path:
    """A CUDA home whose nvcc compiles nothing."""
    nvcc = directory / "cuda" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text(STAND_IN)
    nvcc.chmod(0o755)
    return directory / "cuda"


def build(tmp_path: Path, cuda_home: Path | None, target: Target = TARGET) -> BuiltWheel:
    sdist = probe_sdist(tmp_path)
    wanted = BuildRequest(
        project=project_name("mirror-probe"),
        version=probe_version(),
        sdist=sdist,
        sdist_sha256=file_sha256(sdist),
        requirements=(),
        python=Path(sys.executable),
        target=target,
        toolkit=Toolkit(cuda_home, Sha256Hex("1" * 64)) if cuda_home else None,
        environment={},
    )
    return build_wheel(wanted, Store(tmp_path / "store"))


# The sdist


def test_the_sdist_holds_the_whole_tree_under_one_directory(tmp_path: Path) -> None:
    path = probe_sdist(tmp_path)
    assert path.name == f"mirror_probe-{probe_version()}.tar.gz"
    with tarfile.open(path) as archive:
        names = {member.name.partition("/")[2]: member for member in archive}
        kept = {item.relative_to(TREE).as_posix() for item in TREE.rglob("*") if item.suffix in (".py", ".cu", ".toml")}
        assert set(names) == kept | {"PKG-INFO"}
        for name, member in names.items():
            stream = archive.extractfile(member)
            assert stream is not None
            assert stream.read() == (TREE / name).read_bytes()
            assert (member.mode, member.mtime, member.uid, member.uname) == (0o644, 0, 0, "")


def test_the_sdist_has_the_same_bytes_everywhere(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    before = os.umask(0o077)
    try:
        second = probe_sdist(tmp_path / "other")
    finally:
        os.umask(before)
    data = probe_sdist(tmp_path).read_bytes()
    assert data == second.read_bytes()
    assert data[10] & 0b110 == 0, "a stored block, which no zlib makes differently"


def test_the_sdist_goes_nowhere_when_its_directory_is_none(tmp_path: Path) -> None:
    with pytest.raises(Unwritable):
        probe_sdist(tmp_path / "nowhere")


# The build


def test_the_wheel_holds_the_kernel_for_the_target_and_a_true_record(tmp_path: Path) -> None:
    built = build(tmp_path, stand_in_toolkit(tmp_path))
    assert built.path.name == f"mirror_probe-{probe_version()}-py3-none-any.whl"
    with zipfile.ZipFile(built.path) as archive:
        assert archive.read("mirror_probe/kernel.sm_90a.cubin") == b"machine code of -cubin -arch=sm_90a kernel.cu"
        record = archive.read(f"mirror_probe-{probe_version()}.dist-info/RECORD").decode().splitlines()
        assert [line.split(",")[0] for line in record] == archive.namelist()
    check = subprocess.run(
        [sys.executable, "-m", "wheel", "unpack", "-d", str(tmp_path / "out"), str(built.path)],  # it checks RECORD
        capture_output=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr


def test_another_gpu_gets_another_kernel(tmp_path: Path) -> None:
    built = build(tmp_path, stand_in_toolkit(tmp_path), replace(TARGET, gpu="sm_80"))
    with zipfile.ZipFile(built.path) as archive:
        assert archive.read("mirror_probe/kernel.sm_80.cubin") == b"machine code of -cubin -arch=sm_80 kernel.cu"


def test_without_a_gpu_in_the_target_the_build_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed) as caught:
        build(tmp_path, stand_in_toolkit(tmp_path), replace(TARGET, gpu="", cuda=""))
    assert "CUDAARCHS is not set: which GPU is this probe for?" in caught.value.context()


@needs_nvcc
def test_the_real_kernel_is_machine_code_for_sm_90a_with_the_same_bytes_twice(tmp_path: Path) -> None:
    home = Path(NVCC or "").resolve().parents[1]
    (tmp_path / "again").mkdir()
    first, second = build(tmp_path, home), build(tmp_path / "again", home)
    assert first.sha256 == second.sha256
    with zipfile.ZipFile(first.path) as archive:
        code = archive.read("mirror_probe/kernel.sm_90a.cubin")
    elf = read_elf(io.BytesIO(code))
    assert elf and elf.machine == CUDA
    assert ".text.mirror_probe" in elf.sections
    notes = [place for name, place in elf.sections.items() if name.startswith(".note")]
    assert any(b"-arch sm_90a " in code[place.offset : place.offset + place.size] for place in notes)


@needs_nvcc
def test_the_kernel_needs_the_a_in_sm_90a(tmp_path: Path) -> None:
    command = [NVCC or "", "-cubin", "-D__CUDA_ARCH_FEAT_SM90_ALL", "-o", str(tmp_path / "x"), str(TREE / "kernel.cu")]
    refused = subprocess.run([*command, "-arch=sm_90"], capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "'wgmma.mma_async with floating point types' not supported on .target 'sm_90'" in refused.stderr


# The module, on a driver that computes on the CPU


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The probe's package with a stand-in kernel, and a driver beside it."""
    root = tmp_path_factory.mktemp("probe")
    with zipfile.ZipFile(build(root, stand_in_toolkit(root)).path) as archive:
        for name in archive.namelist():
            (root / "site" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "site" / name).write_bytes(archive.read(name))
    return root


@pytest.fixture(scope="module")
def driver(installed: Path) -> Iterator[Path]:
    (installed / "driver").mkdir()
    source = Path(__file__).parents[3] / "support" / "libcuda.c"
    library = installed / "driver" / "libcuda.so.1"
    subprocess.run(["cc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    yield library.parent


def run(installed: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mirror_probe", *arguments],
        env={"PYTHONPATH": str(installed / "site"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


EXACT = "512 results of a 64x8x16 fp16 matrix product are exact"


@needs_compiler
def test_each_gpu_has_a_line(installed: Path, driver: Path) -> None:
    assert run(installed, LD_LIBRARY_PATH=str(driver), FAKE_GPUS="90,90") == (
        0,
        "mirror_probe for sm_90a; the driver supports CUDA 13.1\n"
        f"GPU 0: Fake 0, 9.0: ok: {EXACT}\n"
        f"GPU 1: Fake 1, 9.0: ok: {EXACT}\n",
    )


@needs_compiler
def test_a_gpu_of_another_kind_is_told_so(installed: Path, driver: Path) -> None:
    status, said = run(installed, LD_LIBRARY_PATH=str(driver), FAKE_GPUS="80,90")
    assert status == 1
    assert "GPU 0: Fake 0, 8.0: FAILED: this probe was compiled for sm_90a; GPU 0 is 8.0\n" in said
    assert f"GPU 1: Fake 1, 9.0: ok: {EXACT}\n" in said


@needs_compiler
def test_a_wrong_result_is_told_with_its_place(installed: Path, driver: Path) -> None:
    status, said = run(installed, LD_LIBRARY_PATH=str(driver), FAKE_GPUS="90", FAKE_FAULT="wrong")
    assert status == 1
    assert "FAILED: 1 of 512 results are wrong, the first in row 10, column 3: " in said


@needs_compiler
def test_a_driver_error_is_told_in_its_words(installed: Path, driver: Path) -> None:
    status, said = run(installed, LD_LIBRARY_PATH=str(driver), FAKE_GPUS="90:9")
    assert status == 1
    assert "FAILED: cuLaunchKernel failed with CUDA_ERROR_MADE_UP (9)\n" in said


@needs_compiler
@pytest.mark.parametrize(("gpus", "words"), [(None, "CUDA_ERROR_NO_DEVICE (100)"), ("", "it shows no GPU")])
def test_a_driver_without_a_gpu_is_no_failure_of_a_gpu(
    installed: Path, driver: Path, gpus: str | None, words: str
) -> None:
    environment = {} if gpus is None else {"FAKE_GPUS": gpus}
    status, said = run(installed, LD_LIBRARY_PATH=str(driver), **environment)
    assert status == 3
    assert words in said


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="this machine has a driver")
def test_a_machine_without_a_driver_is_told_so(installed: Path) -> None:
    status, said = run(installed)
    assert status == 3
    assert said.startswith("mirror_probe for sm_90a: no NVIDIA driver on this machine: libcuda.so.1")


@needs_compiler
def test_json_says_the_same(installed: Path, driver: Path) -> None:
    status, said = run(installed, "--json", LD_LIBRARY_PATH=str(driver), FAKE_GPUS="90")
    assert status == 0
    assert json.loads(said) == {
        "compiled_for": "sm_90a",
        "driver_cuda": "13.1",
        "gpus": [{"index": 0, "name": "Fake 0", "capability": "9.0", "ok": True, "detail": EXACT}],
        "problem": "",
    }


@pytest.mark.parametrize(
    ("compiled_for", "gpu", "fits"),
    [
        ("sm_90a", (9, 0), True),
        ("sm_90a", (10, 0), False),
        ("sm_80", (8, 6), True),
        ("sm_86", (8, 0), False),
        ("sm_80", (9, 0), False),
        ("sm_100f", (10, 3), True),
        ("sm_103a", (10, 0), False),
        ("sm_120", (12, 1), True),
    ],
)
def test_machine_code_runs_where_nvidia_says_it_does(compiled_for: str, gpu: tuple[int, int], fits: bool) -> None:
    script = f"import mirror_probe; print(mirror_probe.why_not({compiled_for!r}, *{gpu!r}))"
    done = subprocess.run([sys.executable, "-c", script], env=IN_TREE, capture_output=True, text=True, check=True)
    assert (done.stdout == "\n") == fits


def test_the_numbers_are_exact_and_tell_every_mixed_up_row_column_and_depth() -> None:
    script = "import json, mirror_probe as p; print(json.dumps(p.problem()))"
    done = subprocess.run([sys.executable, "-c", script], env=IN_TREE, capture_output=True, text=True, check=True)
    a, b, product = json.loads(done.stdout)
    assert max(map(abs, a + b)) <= 2048, "fp16 holds whole numbers up to here"
    assert max(map(abs, product)) <= 1 << 24, "and fp32 up to here"
    assert len({tuple(product[row : row + 8]) for row in range(0, 512, 8)}) == 64
    assert len({tuple(product[column::8]) for column in range(8)}) == 8
    assert len({tuple(a[depth::16]) for depth in range(16)}) == 16
    assert len({tuple(b[depth::16]) for depth in range(16)}) == 16

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.closed.doctor.installed.cudahome import Toolkit, headers_release, judge_toolkit, read_toolkit
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, WARNING, Finding
from tests.support.stacks import NVCC, Stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path)


def bad(stack: Stack, gpu: str = "sm_90a", flashinfer: bool = True) -> list[Finding]:
    toolkit = read_toolkit(stack.cuda, {"PATH": "/usr/bin:/bin"})
    return [finding for finding in judge_toolkit(toolkit, "13.0", gpu, flashinfer) if finding.level != GOOD]


def test_a_whole_toolkit_is_good(stack: Stack) -> None:
    stack.toolkit()
    assert read_toolkit(stack.cuda, {"PATH": "/bin"}) == Toolkit(stack.cuda, "13.0", "V13.0.88", "", "13.0")
    assert bad(stack) == []


@pytest.mark.parametrize(
    ("file", "row", "package"),
    [
        ("include/nv/target", "1", "cuda-cccl-13-0"),
        ("include/cccl/cub/cub.cuh", "2", "cuda-cccl-13-0"),
        ("include/cuda_fp8.h", "3", "cuda-cudart-devel-13-0"),
        ("bin/nvcc.profile", "5", "cuda-nvcc-13-0"),
        ("include/crt/host_config.h", "6", "cuda-crt-13-0"),
        ("nvvm/bin/cicc", "7", "libnvvm-13-0"),
        ("bin/ptxas", "8", "cuda-nvcc-13-0"),
        ("lib64/libcudart.so", "16", "cuda-cudart-devel-13-0"),
        ("lib64/stubs/libcuda.so", "18", "cuda-driver-devel-13-0"),
        ("lib64/libcudadevrt.a", "19", "cuda-cudart-devel-13-0"),
        ("include/cublasLt.h", "20", "libcublas-devel-13-0"),
        ("include/curand_kernel.h", "20", "libcurand-devel-13-0"),
        ("lib64/libnvrtc.so", "20", "cuda-nvrtc-devel-13-0"),
    ],
)
def test_a_missing_file_names_its_package(stack: Stack, file: str, row: str, package: str) -> None:
    stack.toolkit(**{file: None})
    (found,) = bad(stack)
    assert (found.level, found.row) == (PROBLEM, row)
    assert f"which {package} brings" in found.what
    assert found.fix == f"add {package} to [rpms] in NAME.toml and lock again"


def test_what_flashinfer_needs_is_not_asked_of_a_stack_without_it(stack: Stack) -> None:
    stack.toolkit(**{"lib64/stubs/libcuda.so": None, "include/cublasLt.h": None})
    assert bad(stack, flashinfer=False) == []


def test_programs_without_their_exec_bits_are_named(stack: Stack) -> None:
    stack.toolkit()
    (stack.cuda / "nvvm/bin/cicc").chmod(0o644)
    (found,) = bad(stack)
    assert (found.level, found.row) == (PROBLEM, "15")
    assert found.what == f"you may not start nvvm/bin/cicc of {stack.cuda}"


def test_an_nvcc_that_does_not_answer_is_a_problem(stack: Stack) -> None:
    stack.toolkit(**{"bin/nvcc": "#!/bin/sh\necho broken >&2\nexit 1\n"})
    (found,) = bad(stack)
    assert (found.level, found.what) == (PROBLEM, "nvcc does not answer: broken")


def test_headers_of_another_release_are_a_problem(stack: Stack) -> None:
    stack.toolkit(**{"include/cuda_runtime_api.h": "#define CUDART_VERSION  12080\n"})
    (found,) = bad(stack)
    assert (found.level, found.row) == (PROBLEM, "13")
    assert found.what == (
        "its parts are of different releases: nvcc says 13.0, its headers say 12.8, the manifest says 13.0"
    )


def test_a_toolkit_older_than_the_gpu_is_a_problem(stack: Stack) -> None:
    stack.toolkit(
        **{"bin/nvcc": NVCC.replace("13.0", "11.8"), "include/cuda_runtime_api.h": "#define CUDART_VERSION 11080\n"}
    )
    rows = {finding.row: finding.what for finding in bad(stack)}
    assert rows["11"] == "nvcc of CUDA 11.8 does not know sm_90a, the first that does is 12.0"


def test_links_that_lead_nowhere_name_what_would_fill_them(stack: Stack) -> None:
    stack.toolkit(**{"lib64/libcublas.so": None})
    (stack.cuda / "lib64/libcublas.so").symlink_to("libcublas.so.13")
    (found,) = bad(stack)
    assert (found.level, found.row) == (WARNING, "17")
    assert found.what == "1 links lead nowhere: lib64/libcublas.so"
    assert found.fix == "add libcublas-13-0 to [rpms] in NAME.toml and lock again"
    (stack.cuda / "lib64/libcublas.so").unlink()
    (stack.cuda / "lib64/libcublas.so").touch()
    (stack.cuda / "README").symlink_to("nowhere")
    assert [finding.level for finding in bad(stack)] == [NOTE]


def test_reads_the_release_of_headers(tmp_path: Path) -> None:
    (tmp_path / "cuda_runtime_api.h").write_text(" * (CUDART_VERSION)\n#define CUDART_VERSION  12060\n")
    assert headers_release(tmp_path) == "12.6"
    assert headers_release(tmp_path / "none") == ""

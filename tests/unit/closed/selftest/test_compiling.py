"""What the compiler's checks make of compilers that are scripts; the real ones are in tests/e2e/test_selftest.py."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mirror.closed.environment.variables import Environment
from mirror.closed.host.machine import Host
from mirror.closed.prefix.check import FAILED, PASSED, SKIPPED, Check
from mirror.closed.selftest.compiling import Compiling
from mirror.closed.selftest.workbench import Workbench
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.names import Sha256Hex
from mirror.core.target import Target

DIGEST = Sha256Hex("ab" * 32)
TARGET = Target("3.11", "x86_64", "2.28", "sm_90a", "13.0")
NVCC = Artifact("rpms/cuda-nvcc-13-0.rpm", 1, DIGEST, "cuda-nvcc-13-0")
ARCHIVE = Artifact("redist/cuda_nvcc.tar.xz", 1, DIGEST, "cuda_nvcc")
FLASHINFER = Artifact("wheels/flashinfer_python-0.6.4-py3-none-any.whl", 1, DIGEST, "flashinfer-python")
TOO_NEW = """\
/c/include/crt/host_config.h:137:2: error: #error -- unsupported GNU version! gcc versions later than 15 are not supported! \
The nvcc flag '-allow-unsupported-compiler' can be used to override this version check"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A toolkit whose nvcc writes down what it is asked, and makes it."""
    for directory in ("cuda/bin", "cuda/lib64/stubs", "path"):
        (tmp_path / directory).mkdir(parents=True)
    script(tmp_path / "cuda/bin/nvcc", f'echo "$NVCC_PREPEND_FLAGS $@" >> {tmp_path}/nvcc.log')
    script(tmp_path / "path/g++", f'[ "$1" = -dumpversion ] && echo 12 || echo "$@" >> {tmp_path}/g++.log')
    (tmp_path / "path/gcc").symlink_to("g++")
    return tmp_path / "cuda"


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def attempts(
    home: Path, *artifacts: Artifact, target: Target = TARGET, host: Host | None = None, **variables: str
) -> list[Check]:
    """The checks of a bundle, on a host that has the programs of ``path`` and no others."""
    place = home.parent
    host = host or Host("x86_64", (2, 28), compiler=place / "path/g++")
    environment = Environment(place, Manifest("h100", 5, target, artifacts or (NVCC,)))
    bench = Workbench(environment, host, {"PATH": f"{place}/path", **variables}, place / "work")
    return [attempt() for attempt in Compiling(bench).attempts()]


def asked(home: Path, program: str) -> list[str]:
    return (home.parent / f"{program}.log").read_text().splitlines()


def test_three_ways_to_compile_pass_with_what_fits(home: Path, work: Path) -> None:
    assert attempts(home) == [
        Check("compile and link a kernel for sm_90a", PASSED),
        Check("compile and link for sm_90a as FlashInfer does", PASSED),
        Check("compile and link with g++ and -lcudart", PASSED),
    ]
    assert asked(home, "nvcc")[0].split() == ["-arch=sm_90a", "kernel.cu", "-o", "kernel"]


def test_flashinfer_is_given_the_flags_that_it_gives(home: Path, work: Path) -> None:
    attempts(home)
    assert asked(home, "nvcc")[1].split() == [
        "--generate-dependencies-with-compile", "--dependency-output", "kernel.o.d", "-DPy_LIMITED_API=0x03090000",
        "-D_GLIBCXX_USE_CXX11_ABI=1", "-isystem", f"{home}/include", "-isystem", f"{home}/include/cccl",
        "--compiler-options=-fPIC", "--expt-relaxed-constexpr", "-static-global-template-stub=false",
        "-gencode=arch=compute_90a,code=sm_90a", "-DFLASHINFER_ENABLE_FP8_E8M0", "-DFLASHINFER_ENABLE_FP4_E2M1",
        "-std=c++17", "--threads=1", "-use_fast_math", "-DFLASHINFER_ENABLE_F16", "-DFLASHINFER_ENABLE_BF16",
        "-DFLASHINFER_ENABLE_FP8_E4M3", "-DFLASHINFER_ENABLE_FP8_E5M2", "-DNDEBUG", "-O3", "-c", "kernel.cu", "-o", "kernel.o",
    ]  # fmt: skip
    assert asked(home, "g++")[0].split() == [
        "kernel.o", "-shared", f"-L{home}/lib64", f"-L{home}/lib64/stubs", "-lcudart", "-lcuda", "-o", "kernel.so",
    ]  # fmt: skip


def test_an_nvcc_before_12_8_is_not_given_the_flag_that_it_does_not_know(home: Path, work: Path) -> None:
    attempts(home, target=Target("3.11", "x86_64", "2.28", "sm_90a", "12.6"))
    assert "-static-global-template-stub=false" not in asked(home, "nvcc")[1]


def test_cc_and_cxx_are_used_as_flashinfer_uses_them(home: Path, work: Path) -> None:
    script(home.parent / "path/other++", f"echo other > {home.parent}/other.log")
    attempts(home, CC="/usr/bin/gcc", CXX="other++")
    assert "-ccbin /usr/bin/gcc" in asked(home, "nvcc")[1]
    assert "-ccbin" not in asked(home, "nvcc")[0]
    assert asked(home, "other") == ["other"]


def test_the_headers_of_the_installed_flashinfer_come_with_its_flags(home: Path, work: Path) -> None:
    data = home.parent / "venv/lib/python3.11/site-packages/flashinfer/data"
    (data / "cccl").mkdir(parents=True)
    attempts(home)
    words = asked(home, "nvcc")[1].split()
    assert f"-I{data}/cccl/libcudacxx/include" in words
    assert f"{data}/include" in words


def test_each_library_that_the_toolkit_has_is_linked(home: Path, work: Path) -> None:
    (home / "lib64/stubs/libcuda.so").touch()
    (home / "lib64/libcublasLt.so").touch()
    (home / "lib64/libcurand.so").symlink_to("libcurand.so.10")
    assert attempts(home)[2].name == "compile and link with g++ and -lcudart -lcuda -lcublasLt -lcurand"


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ on this machine")
def test_real_gpp_calls_into_each_library(home: Path, work: Path) -> None:
    """With headers and libraries made here: NVIDIA's mathematics are too large for a test."""
    (home / "include").mkdir()
    functions = {
        "cuda_runtime_api.h": "int cudaFree(void *)",
        "cuda.h": "int cuInit(unsigned)",
        "nvrtc.h": "int nvrtcVersion(int *, int *)",
        "cublas_v2.h": "int cublasDestroy(void *)",
        "cublasLt.h": "int cublasLtDestroy(void *)",
        "curand.h": "int curandDestroyGenerator(void *)",
        **dict.fromkeys(("cuda_bf16.h", "cuda_fp16.h", "cuda_fp8.h"), ""),
    }
    for header, function in functions.items():
        (home / "include" / header).write_text(f'extern "C" {function};\n' if function else "")
    empty = home.parent / "empty.so"
    subprocess.run(["g++", "-shared", "-x", "c", "/dev/null", "-o", empty], check=True)
    for name in ("cudart", "stubs/cuda", "cublas", "cublasLt", "nvrtc", "curand"):
        place = home / "lib64" / Path(name).parent / f"lib{Path(name).name}.so"
        shutil.copy(empty, place)
    host = Host("x86_64", (2, 28), compiler=Path("/usr/bin/g++"))
    found = attempts(home, host=host, PATH="/usr/bin:/bin")[2]
    assert (found.outcome, found.name) == (
        PASSED,
        "compile and link with g++ and -lcudart -lcuda -lcublas -lcublasLt -lnvrtc -lcurand",
    ), found.detail
    (home / "include/nvrtc.h").unlink()
    found = attempts(home, host=host, PATH="/usr/bin:/bin")[2]
    assert "nvrtc.h is missing: cuda-nvrtc-devel-13-0 brings it; add it to [rpms] and lock again" in found.detail


def test_what_flashinfer_links_and_the_toolkit_lacks_is_told(home: Path, work: Path) -> None:
    (home / "lib64/libcublas.so").touch()
    (home / "lib64/libcublasLt.so").touch()
    found = attempts(home, NVCC, FLASHINFER)[3]
    assert str(found) == (
        "link with -lnvrtc -lcurand: skipped (this toolkit has no cuda-nvrtc-devel-13-0, libcurand-devel-13-0; add what you "
        "need to [rpms] and lock again)"
    )
    assert len(attempts(home, NVCC)) == 3


def test_a_flashinfer_that_has_all_it_links_is_told_nothing_more(home: Path, work: Path) -> None:
    for name in ("cublas", "cublasLt", "nvrtc", "curand"):
        (home / f"lib64/lib{name}.so").touch()
    assert len(attempts(home, NVCC, FLASHINFER)) == 3


def test_a_failure_shows_the_last_words_and_then_the_package(home: Path, work: Path) -> None:
    script(home / "bin/nvcc", "echo 'a.h:4: fatal error: nv/target: No such file or directory' >&2; exit 1")
    kernel = attempts(home)[0]
    assert kernel.outcome == FAILED
    first, second = kernel.detail.splitlines()[:2]
    assert first == "a.h:4: fatal error: nv/target: No such file or directory"
    assert second == "nv/target is missing: cuda-cccl-13-0 brings it; add it to [rpms] and lock again"


def test_the_driver_stub_is_no_failure_where_nothing_links_it(home: Path, work: Path) -> None:
    script(home.parent / "path/g++", 'case " $* " in *" -lcuda "*) echo "ld: cannot find -lcuda" >&2; exit 1 ;; esac')
    sentence = "libcuda.so is missing: cuda-driver-devel-13-0 brings it; add it to [rpms] and lock again"
    found = attempts(home)[1]
    assert found.outcome == SKIPPED
    assert found.detail.startswith(f"{sentence}; ")
    found = attempts(home, NVCC, FLASHINFER)[1]
    assert found.outcome == FAILED
    assert found.detail.splitlines()[:2] == ["ld: cannot find -lcuda", sentence]


def test_a_host_without_a_compiler_is_told_what_works_and_what_does_not(home: Path, work: Path) -> None:
    (found,) = attempts(home, host=Host("x86_64", (2, 28)))
    assert str(found) == (
        "compile and link a kernel for sm_90a: skipped (this host has no C++ compiler (g++), which nvcc needs to compile "
        "anything; without one, what is compiled already works here: imports, prebuilt kernels, CUDA graphs; what compiles at "
        "run time does not: Triton's launchers, torch inductor's C++ wrappers, FlashInfer's JIT)"
    )


def test_a_gcc_that_is_too_new_is_found_before_anything_is_compiled(home: Path, work: Path) -> None:
    script(home.parent / "path/g++", "echo 99")
    (found,) = attempts(home)
    assert found.outcome == SKIPPED
    assert found.detail.startswith(
        f"{home.parent}/path/gcc is gcc 99, nvcc of CUDA 13.0 takes gcc 15 and older; install "
    )
    assert not (home.parent / "nvcc.log").exists()


def test_an_older_gpp_of_the_host_is_used_and_told(home: Path, work: Path) -> None:
    path = home.parent / "path"
    shutil.copy(path / "g++", path / "g++-13")
    script(path / "g++", "echo 99")
    found = attempts(home, CXX="never", CC="never")
    assert str(found[0]) == (
        f"use the host's own compiler: skipped ({path}/gcc is gcc 99, nvcc of CUDA 13.0 takes gcc 15 and older; "
        f"{path}/g++-13 fits and is used here: export NVCC_PREPEND_FLAGS='-ccbin {path}/g++-13' makes every nvcc use it)"
    )
    assert [check.outcome for check in found[1:]] == [PASSED] * 3
    assert all(line.startswith(f"-ccbin {path}/g++-13 ") for line in asked(home, "nvcc"))
    assert len(asked(home, "g++")) == 2  # linked and compiled by the older one


def test_nvccs_own_words_about_a_compiler_that_is_too_new_are_no_failure(home: Path, work: Path) -> None:
    script(home / "bin/nvcc", f"/bin/cat >&2 <<'E'\n{TOO_NEW}\nE\nexit 1")
    for found in attempts(home)[:2]:
        assert found.outcome == SKIPPED
        assert found.detail.endswith("gcc versions later than 15 are not supported")


def test_on_a_host_with_a_gpu_the_compiled_kernel_is_run(home: Path, work: Path) -> None:
    host = Host("x86_64", (2, 28), "535.104.05", gpus=8, compiler=home.parent / "path/g++")
    program = "printf '#!/bin/sh\\necho ran; exit %s\\n' > kernel; /bin/chmod +x kernel"
    script(home / "bin/nvcc", program % 0)
    assert attempts(home, host=host)[0] == Check("compile, link and run a kernel for sm_90a", PASSED)
    script(home / "bin/nvcc", program % 1)
    found = attempts(home, host=host)[0]
    assert found.outcome == FAILED
    assert found.detail.splitlines()[0] == "ran"
    assert found.detail.splitlines()[1].startswith("DRIVER TOO OLD: CUDA 13.0 needs driver 580 or newer")


@pytest.mark.parametrize(
    ("carried", "outcome", "words"),
    [
        (NVCC, FAILED, "bin/nvcc is missing: cuda-nvcc-13-0, which brings it, was unpacked; "),
        (ARCHIVE, FAILED, "bin/nvcc is missing: cuda_nvcc, which brings it, was unpacked; "),
        (
            Artifact("rpms/a.rpm", 1, DIGEST, "a"),
            SKIPPED,
            "bin/nvcc is missing: cuda-nvcc-13-0 brings it; add it to [rpms] ",
        ),
        (
            Artifact("redist/a.xz", 1, DIGEST, "a"),
            SKIPPED,
            "bin/nvcc is missing: cuda_nvcc brings it; add it to [redist] ",
        ),
    ],
)
def test_a_toolkit_without_nvcc(home: Path, work: Path, carried: Artifact, outcome: str, words: str) -> None:
    (home / "bin/nvcc").unlink()
    (found,) = attempts(home, carried)
    assert (found.outcome, found.detail[: len(words)]) == (outcome, words)


def test_nothing_is_compiled_for_a_bundle_without_gpu_or_toolchain(home: Path, work: Path) -> None:
    assert attempts(home, FLASHINFER) == []
    assert attempts(home, target=Target("3.11", "x86_64", "2.28", "", "13.0")) == []


def test_a_path_with_a_blank_reaches_the_compilers_whole(tmp_path: Path) -> None:
    home = tmp_path / "a blank" / "cuda"
    (home / "bin").mkdir(parents=True)
    (home.parent / "work").mkdir()
    script(home / "bin/nvcc", f'for word; do echo "$word"; done >> "{tmp_path}/words"')
    attempts(home, host=Host("x86_64", (2, 28), compiler=Path("/bin/true")), PATH="/nowhere")
    assert f"{home}/include" in (tmp_path / "words").read_text().splitlines()

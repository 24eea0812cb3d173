"""What the self-test compiles: small programs, each with what goes missing most often, and FlashInfer's own command lines.

``mirror.closed.selftest.compiling`` compiles them.

Rule: the kernel computes something that can be checked, so that on a host with a GPU it can also be run.

Example::

    KERNEL, plain_source(["cudart", "cublas"]), flashinfer_flags(home, site, "sm_90a", "13.0")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mirror.core.cuda.components import release_pair

KERNEL = """\
#include <cooperative_groups.h>
#include <cstdio>
#include <cub/block/block_reduce.cuh>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>
#if __has_include(<flashinfer/vec_dtypes.cuh>)
#include <flashinfer/vec_dtypes.cuh>
#endif

namespace groups = cooperative_groups;

__global__ void total(float *sum, float factor) {
    using Reduce = cub::BlockReduce<float, 128>;
    __shared__ typename Reduce::TempStorage storage;
    int i = groups::this_grid().thread_rank() % 4;
    __half half = __float2half(factor * i);
    __nv_bfloat16 brain = __float2bfloat16(factor);
    __nv_fp8_e4m3 eighth(factor);
    groups::this_thread_block().sync();
    float result = Reduce(storage).Sum(__half2float(half) * __bfloat162float(brain) * float(eighth));
    if (threadIdx.x == 0) *sum = result;
}

static int failed(const char *what, cudaError_t error) {
    if (error != cudaSuccess) std::printf("%s: %s (%d)\\n", what, cudaGetErrorString(error), (int)error);
    return error != cudaSuccess;
}

int main() {
    float *sum = nullptr, found = -1;
    if (failed("cudaMalloc", cudaMalloc((void **)&sum, sizeof found))) return 1;
    total<<<1, 128>>>(sum, 2);
    if (failed("the kernel", cudaGetLastError())) return 1;
    if (failed("cudaMemcpy", cudaMemcpy(&found, sum, sizeof found, cudaMemcpyDeviceToHost))) return 1;
    if (found != 1536) std::printf("the sum is %g instead of 1536\\n", found);
    return found != 1536;
}
"""
"""128 threads add 8 * (thread % 4), small whole numbers that each format holds exactly: 32 * (0 + 8 + 16 + 24) = 1536.

Half precision on purpose: ``cuda_fp16.h`` includes ``nv/target``, the header that is missing most often (CUDA.md A6).
"""

_LIBRARIES = {
    "cudart": ("cuda_runtime_api.h", "cudaFree(nullptr)"),
    "cuda": ("cuda.h", "cuInit(0)"),
    "cublas": ("cublas_v2.h", "cublasDestroy(nullptr)"),
    "cublasLt": ("cublasLt.h", "cublasLtDestroy(nullptr)"),
    "nvrtc": ("nvrtc.h", "nvrtcVersion(nullptr, nullptr)"),
    "curand": ("curand.h", "curandDestroyGenerator(nullptr)"),
}
"""Library -> its header and a call into it: what FlashInfer's kernels link (CUDA.md A7)."""

LIBRARIES = tuple(_LIBRARIES)


def plain_source(libraries: Sequence[str]) -> str:
    """A C++ program for g++ alone: the number formats' headers, and one call into each library."""
    headers = ["cuda_bf16.h", "cuda_fp16.h", "cuda_fp8.h", *(_LIBRARIES[name][0] for name in libraries)]
    calls = " + ".join(f"(int){_LIBRARIES[name][1]}" for name in libraries)
    return "".join(f"#include <{header}>\n" for header in headers) + f"int mirror_calls() {{ return {calls}; }}\n"


def flashinfer_flags(home: Path, site: Path | None, gpu: str, release: str) -> list[str]:
    """What FlashInfer gives nvcc, flag by flag (CUDA.md B5; torch's headers and Python's are not needed).

    Args:
        home: the CUDA home.
        site: the installed package ``flashinfer``; None when there is none.
        gpu: ``"sm_90a"``.
        release: of the toolkit.
    """
    data = site / "data" if site else None
    vendored = ("cub", "libcudacxx/include", "thrust")
    carried = ("include", "csrc", "cutlass/include", "cutlass/tools/util/include", "spdlog/include")
    stub = ["-static-global-template-stub=false"] if release_pair(release) >= (12, 8) else []
    arch = gpu.partition("_")[2]
    return [
        "-DPy_LIMITED_API=0x03090000",
        "-D_GLIBCXX_USE_CXX11_ABI=1",
        # Since 0.6.10 it carries CCCL, and passes it before the toolkit's.
        *(f"-I{data / 'cccl' / name}" for name in vendored if data and (data / "cccl").is_dir()),
        *_system(home / "include"),
        *_system(home / "include" / "cccl"),
        *(word for name in carried if data for word in _system(data / name)),
        "--compiler-options=-fPIC",
        "--expt-relaxed-constexpr",
        *stub,
        f"-gencode=arch=compute_{arch},code=sm_{arch}",
        "-DFLASHINFER_ENABLE_FP8_E8M0",
        "-DFLASHINFER_ENABLE_FP4_E2M1",
        "-std=c++17",
        "--threads=1",
        "-use_fast_math",
        "-DFLASHINFER_ENABLE_F16",
        "-DFLASHINFER_ENABLE_BF16",
        "-DFLASHINFER_ENABLE_FP8_E4M3",
        "-DFLASHINFER_ENABLE_FP8_E5M2",
        "-DNDEBUG",
        "-O3",
    ]


def flashinfer_link(home: Path) -> list[str]:
    """What FlashInfer gives ``$CXX`` to link with."""
    return ["-shared", f"-L{home}/lib64", f"-L{home}/lib64/stubs", "-lcudart", "-lcuda"]


def _system(directory: Path) -> tuple[str, str]:
    return "-isystem", str(directory)

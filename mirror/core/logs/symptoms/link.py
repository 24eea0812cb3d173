"""E2: the linker.

Rule: "cannot find -lcudart" has four rows, the same words in each: what more is in the log or known of the install decides
which is told, and the plain one (16) is what remains (CUDA.md A4, B5).
"""

from __future__ import annotations

from functools import partial

from mirror.core.logs.compilerwords import (
    HEADER_FRAGMENTS,
    LIBRARY_FRAGMENTS,
    NEEDED_FRAGMENT,
    NEEDED_LEAD,
    NEEDED_PATTERN,
    header_pattern,
    library_pattern,
)
from mirror.core.logs.symptom import Context, Groups, Symptom

_MATH_HEADERS = (
    r"(?:cublas|cusparse|cusolver|curand|cufft|nvrtc|nvJitLink|nvml|nvtx3/|cupti|cuda_profiler_api)[\w./-]{0,80}"
)

_indirect = partial(
    Symptom,
    "21",
    "linker",
    "{library}, which a library that is linked needs, was not found by the linker",
    "a library's own needs are looked up by -rpath-link, LD_RUN_PATH and ld.so's paths, not by -L",
    "readelf -d the library that is named after 'needed by' | grep NEEDED; ls $CUDA_HOME/lib64/{library}",
    'export FLASHINFER_EXTRA_LDFLAGS="-Wl,-rpath-link,$CUDA_HOME/lib64" (or LD_RUN_PATH for other builds)',
)
"""A row of what a library needs that is linked: the texts that say so."""


def _has_no_runtime(context: Context, groups: Groups) -> bool:
    """Whether the linker's name is there and leads nowhere (CUDA.md A4)."""
    if context.cuda_home:
        name = context.cuda_home / "lib64" / "libcudart.so"
        return name.is_symlink() and not name.exists()
    stems = {package.rpartition("-")[0].rpartition("-")[0] for package in context.packages}
    return "cuda-cudart-devel" in stems and "cuda-cudart" not in stems


SYMPTOMS = (
    Symptom(
        "16",
        "linker",
        "the linker did not find -lcudart",
        "no directory of -L or LIBRARY_PATH holds a libcudart.so without version (LD_LIBRARY_PATH does not count for linking)",
        "g++ -shared -x c /dev/null -o /dev/null -L$CUDA_HOME/lib64 -lcudart; ls -lL $CUDA_HOME/lib64/libcudart.so",
        "export LIBRARY_PATH=$CUDA_HOME/lib64 ('. env.sh' does); if the file is missing, {bring}",
        LIBRARY_FRAGMENTS,
        library_pattern("cudart"),
        file="libcudart.so",
    ),
    Symptom(
        "17",
        "linker",
        "the linker did not find -lcudart although libcudart.so is listed",
        "libcudart.so is a link of the -devel package, and the runtime package with the file it leads to is missing",
        "readlink -e $CUDA_HOME/lib64/libcudart.so || echo dangling",
        "{bring}",
        LIBRARY_FRAGMENTS,
        library_pattern("cudart"),
        file="libcudart.so.",
        over=("16",),
        holds=_has_no_runtime,
    ),
    Symptom(
        "18",
        "linker",
        "the linker did not find -lcuda",
        "the driver's stub library is missing, or lib64/stubs is not among the -L directories",
        "ls $CUDA_HOME/lib64/stubs/libcuda.so",
        "{bring}; export LIBRARY_PATH=$CUDA_HOME/lib64/stubs ('. env.sh' does; Triton's own gcc line takes no -L), and never "
        "put stubs on LD_LIBRARY_PATH",
        LIBRARY_FRAGMENTS,
        library_pattern("cuda"),
        file="lib/stubs/libcuda.so",
    ),
    Symptom(
        "19",
        "linker",
        "the linker did not find -l{lib}, which nvcc links by itself",
        "the runtime's -devel package, which holds lib{lib}.a, was not unpacked",
        "ls $CUDA_HOME/lib64/lib{lib}.a",
        "{bring}",
        LIBRARY_FRAGMENTS,
        library_pattern("cudart_static|cudadevrt"),
        file="lib/lib{lib}.a",
    ),
    Symptom(
        "20",
        "math libraries",
        "the linker did not find -l{lib}",
        "the library's -devel package, with the name to link by, was not unpacked (or leads to a runtime package that was not)",
        "ls -lL $CUDA_HOME/lib64/lib{lib}.so",
        "{bring}",
        LIBRARY_FRAGMENTS,
        library_pattern("cublas|cublasLt|cusparse|cusolver|curand|cufft|nvrtc|nvrtc-builtins|nvJitLink"),
        file="lib{lib}.so",
    ),
    Symptom(
        "20",
        "headers",
        "the compiler did not find {file}",
        "the library's -devel package, with its headers, was not unpacked",
        "ls $CUDA_HOME/include/{file}",
        "{bring}",
        HEADER_FRAGMENTS,
        header_pattern(_MATH_HEADERS),
    ),
    _indirect((NEEDED_FRAGMENT,), NEEDED_PATTERN, lead=NEEDED_LEAD),
    _indirect(("undefined reference to '",), r"undefined reference to '\w{1,80}@(?P<library>lib[\w.+-]{1,80})'"),
    Symptom(
        "22",
        "linker",
        "the linker was sent to a lib64 that pip's CUDA wheels do not have: {path}",
        "pip's wheels keep their libraries in lib, without linker names, while FlashInfer asks in lib64",
        "ls -d {path}; ls $(dirname {path})/lib",
        "use this install's toolkit ('. env.sh' sets CUDA_HOME); or make the names: ln -s lib lib64 and ln -s libcudart.so.13 "
        "libcudart.so in that tree",
        LIBRARY_FRAGMENTS,
        library_pattern("cudart"),
        near=r"-L(?P<path>[^\s'\"]{0,200}/nvidia/(?:cu1\d|cuda_runtime)/lib64)",
        over=("16", "17"),
        explains=("18", "19", "20"),
    ),
    Symptom(
        "22",
        "CUDA_HOME",
        "the linker was sent to a lib64 that a conda environment does not have: {path}",
        "CUDA_HOME names a conda environment, whose libraries lie in lib or targets/*/lib",
        "ls -d {path}; echo $CUDA_HOME",
        "use this install's toolkit ('. env.sh' sets CUDA_HOME), or unset CUDA_HOME",
        LIBRARY_FRAGMENTS,
        library_pattern("cudart"),
        near=r"-L(?P<path>[^\s'\"]{0,200}/\w{0,40}(?:conda|miniforge|mambaforge)\w{0,40}/[^\s'\"]{0,200}lib64)\b",
        over=("16", "17"),
        explains=("18", "19", "20"),
    ),
    Symptom(
        "23",
        "linker",
        "the linker passed over {path}, made for another machine",
        "a library of another architecture is on the path: the sbsa (aarch64) payload on x86_64, the reverse, or 32 bit",
        "readelf -h {path} | grep Machine; uname -m",
        "lock for this machine's architecture ([target] arch in NAME.toml), or take that directory out of LIBRARY_PATH",
        ("skipping incompatible ",),
        r"skipping incompatible (?P<path>[^\s]{1,300})",
        explains=("16", "18", "19", "20"),
    ),
)

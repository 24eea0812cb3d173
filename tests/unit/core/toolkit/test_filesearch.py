"""Questions as people ask them, put to an index of the shape of CUDA 13.0's."""

from __future__ import annotations

import pytest

from mirror.core.toolkit.fileindex import FILELISTS, FileIndex, IndexedRpm
from mirror.core.toolkit.filesearch import near, search, short_name, wanted_names

TARGET = "targets/x86_64-linux"
CONTENTS = {
    "+ cuda-cccl-13-0": ("include/cccl/cub/cub.cuh", "include/cccl/nv/target", "include/nv/target"),
    "+ cuda-cudart-13-0": ("lib/libcudart.so.13", "lib/libcudart.so.13.0.96"),
    "+ cuda-cudart-devel-13-0": (
        "include/cuda_fp8.h",
        "include/cuda_fp8.hpp",
        "lib/libcudadevrt.a",
        "lib/libcudart.so",
    ),
    "+ cuda-nvcc-13-0": ("/bin/nvcc", "/bin/ptxas", "/nvvm/bin/ptxas-old"),
    "- cuda-nvrtc-13-0": ("lib/libnvrtc.so.13", "lib/libnvrtc.so.13.0.88", "lib/libnvrtc-builtins.so.13.0"),
    "- cuda-nvrtc-devel-13-0": ("include/nvrtc.h", "lib/libnvrtc.so", "lib/stubs/libnvrtc.so"),
    "- libcublas-13-0": ("lib/libcublas.so.13", "lib/libcublasLt.so.13", "lib/libcublasLt.so.13.1.0.3"),
    "- libcublas-devel-13-0": (
        "include/cublasLt.h",
        "lib/libcublas.so",
        "lib/libcublasLt.so",
        "lib/libcublasLt_static.a",
    ),
}
INDEX = FileIndex(
    "13.0",
    "x86_64",
    FILELISTS,
    tuple(
        IndexedRpm(
            name[2:],
            "13.0.88-1",
            "x86_64",
            name[0] == "+",
            tuple(sorted(path[1:] if path.startswith("/") else f"{TARGET}/{path}" for path in paths)),
        )
        for name, paths in CONTENTS.items()
    ),
)


@pytest.mark.parametrize(
    ("file", "first"),
    [
        ("nv/target", {"cuda-cccl-13-0": f"{TARGET}/include/nv/target"}),
        ("<nv/target>", {"cuda-cccl-13-0": f"{TARGET}/include/nv/target"}),
        ("#include <nv/target>", {"cuda-cccl-13-0": f"{TARGET}/include/nv/target"}),
        ("target", {"cuda-cccl-13-0": f"{TARGET}/include/nv/target"}),
        ("cub/cub.cuh", {"cuda-cccl-13-0": f"{TARGET}/include/cccl/cub/cub.cuh"}),
        ("include/cub/cub.cuh", {"cuda-cccl-13-0": f"{TARGET}/include/cccl/cub/cub.cuh"}),
        ("cub", {"cuda-cccl-13-0": f"{TARGET}/include/cccl/cub/cub.cuh"}),
        ("cub/", {"cuda-cccl-13-0": f"{TARGET}/include/cccl/cub/cub.cuh"}),
        ("cuda_fp8.h", {"cuda-cudart-devel-13-0": f"{TARGET}/include/cuda_fp8.h"}),
        ('"cuda_fp8.h"', {"cuda-cudart-devel-13-0": f"{TARGET}/include/cuda_fp8.h"}),
        ("ptxas", {"cuda-nvcc-13-0": "bin/ptxas"}),
        ("bin/ptxas", {"cuda-nvcc-13-0": "bin/ptxas"}),
        ("/usr/local/cuda-13.0/bin/ptxas", {"cuda-nvcc-13-0": "bin/ptxas"}),
        ("/usr/local/cuda/include/nv/target", {"cuda-cccl-13-0": f"{TARGET}/include/nv/target"}),
        (f"/usr/local/cuda-13.0/{TARGET}/include/nv/target", {"cuda-cccl-13-0": f"{TARGET}/include/nv/target"}),
        ("/opt/toolkit/include/nv/target", {"cuda-cccl-13-0": f"{TARGET}/include/nv/target"}),
        ("/home/a/p/current/cuda/lib64/libcudart.so.13", {"cuda-cudart-13-0": f"{TARGET}/lib/libcudart.so.13"}),
        ("-lcudadevrt", {"cuda-cudart-devel-13-0": f"{TARGET}/lib/libcudadevrt.a"}),
        ("-l:libcudadevrt.a", {"cuda-cudart-devel-13-0": f"{TARGET}/lib/libcudadevrt.a"}),
        ("libcudart.so.13.0", {"cuda-cudart-13-0": f"{TARGET}/lib/libcudart.so.13.0.96"}),
        ("libnvrtc.so.13", {"cuda-nvrtc-13-0": f"{TARGET}/lib/libnvrtc.so.13"}),
        (
            "libcublasLt.so",
            {
                "libcublas-devel-13-0": f"{TARGET}/lib/libcublasLt.so",
                "libcublas-13-0": f"{TARGET}/lib/libcublasLt.so.13",
            },
        ),
        (
            "-lcublas",
            {"libcublas-devel-13-0": f"{TARGET}/lib/libcublas.so", "libcublas-13-0": f"{TARGET}/lib/libcublas.so.13"},
        ),
        ("stubs/libnvrtc.so", {"cuda-nvrtc-devel-13-0": f"{TARGET}/lib/stubs/libnvrtc.so"}),
    ],
)
def test_a_file_is_found_as_people_name_it(file: str, first: dict[str, str]) -> None:
    assert {match.rpm.name: match.paths[0] for match in search(INDEX, file)} == first


@pytest.mark.parametrize(
    "file",
    ["arget", "fp8.h", "x/target", "libnvrtc.so.1", "libnvrtc.so.12", "libcublas", "nv*", ".", "", "/", "..", "-l"],
)
def test_parts_of_a_name_other_versions_and_wildcards_find_nothing(file: str) -> None:
    assert search(INDEX, file) == ()


def test_what_the_bundle_has_comes_first() -> None:
    names = [match.rpm.name for match in search(INDEX, "lib")]
    assert names == sorted(names, key=lambda name: not name.startswith("cuda-cudart"))
    assert len(names) == 6


def test_all_files_of_a_directory_are_counted() -> None:
    (match,) = search(INDEX, "cccl")
    assert len(match.paths) == 2


@pytest.mark.parametrize(
    ("file", "suggested"),
    [
        ("CUDA_FP8.h", [("cuda_fp8.h", "cuda-cudart-devel-13-0")]),
        ("NV/Target", [("nv/target", "cuda-cccl-13-0")]),
        ("nv/targett", [("nv/target", "cuda-cccl-13-0")]),
        ("cuda_pf8.h", [("cuda_fp8.h", "cuda-cudart-devel-13-0"), ("cuda_fp8.hpp", "cuda-cudart-devel-13-0")]),
        ("ptxass", [("ptxas", "cuda-nvcc-13-0")]),
        ("libcudart.so.12", [
            ("libcudart.so", "cuda-cudart-devel-13-0"),
            ("libcudart.so.13", "cuda-cudart-13-0"),
            ("libcudart.so.13.0.96", "cuda-cudart-13-0"),
        ]),
        ("-lcublast", [("libcublasLt.so", "libcublas-devel-13-0")]),
        ("nothing like it", []),
    ],
)  # fmt: skip
def test_what_comes_near_is_suggested(file: str, suggested: list[tuple[str, str]]) -> None:
    found = near(INDEX, file)
    assert list(found[: len(suggested)]) == suggested
    assert bool(found) == bool(suggested)
    assert len(found) <= 5


def test_names_are_tried_from_the_likeliest_on() -> None:
    assert wanted_names("-lcublas") == ("libcublas.so", "libcublas.a")
    assert wanted_names("/opt/toolkit/include/nv/target") == ("opt/toolkit/include/nv/target", "nv/target")
    assert wanted_names("a//b/./c") == ("a/b/c",)


def test_a_header_is_called_as_it_is_included() -> None:
    assert short_name(f"{TARGET}/include/cccl/nv/target") == "nv/target"
    assert short_name("nvvm/bin/cicc") == "cicc"

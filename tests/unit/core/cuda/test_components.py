"""The names of CUDA's components in each release, and what each is known to bring."""

from __future__ import annotations

import re

import pytest

from mirror.core.cuda.components import (
    EXTRAS,
    ROOTS,
    SETS,
    bringer,
    brings,
    component,
    package_name,
    role_of,
)

RELEASES = ("12.4", "12.5", "12.6", "12.8", "12.9", "13.0", "13.1", "13.2", "13.3", "13.4")


@pytest.mark.parametrize(
    ("role", "release", "name"),
    [
        ("nvvm", "12.4", "cuda-nvvm-12-4"),
        ("nvvm", "12.9", "cuda-nvvm-12-9"),
        ("nvvm", "13.0", "libnvvm-13-0"),
        ("cccl", "13.2", "cuda-cccl-13-2"),
        ("cccl", "13.3", "cccl-13-3"),
        ("cccl", "14.0", "cccl-14-0"),
        ("nvptxcompiler", "12.9", ""),
        ("nvptxcompiler", "13.0", "libnvptxcompiler-13-0"),
        ("cublas-devel", "12.8", "libcublas-devel-12-8"),
        ("nvrtc-devel", "12.8", "cuda-nvrtc-devel-12-8"),
        ("gdb", "12.8", ""),
    ],
)
def test_a_role_has_the_name_of_its_release(role: str, release: str, name: str) -> None:
    assert package_name(role, release) == name


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", SETS)
def test_every_name_of_a_set_leads_back_to_its_role(name: str, release: str) -> None:
    packages = component(name, release).needed
    assert {role_of(package) for package in packages} <= set(SETS[name])
    assert all(package.endswith(release.replace(".", "-")) for package in packages)
    assert all(package_name(role_of(package), release) == package for package in packages)


@pytest.mark.parametrize("package", ["cuda-toolkit-13-0", "cuda-drivers", "glibc", "", "13-0", "cuda-nvccc-13-0"])
def test_other_packages_have_no_role(package: str) -> None:
    assert role_of(package) == ""


@pytest.mark.parametrize("name", SETS)
def test_the_roots_of_a_set_are_part_of_it_and_its_extras_are_not(name: str) -> None:
    assert set(ROOTS[name]) <= set(SETS[name])
    assert not set(EXTRAS.get(name, ())) & set(SETS[name])


def test_a_set_is_resolved_for_a_release() -> None:
    found = component("nvcc", "12.8")
    assert found.roots == ("cuda-nvcc-12-8", "cuda-cudart-devel-12-8")
    assert found.needed == (
        "cuda-nvcc-12-8",
        "cuda-crt-12-8",
        "cuda-nvvm-12-8",
        "cuda-cudart-12-8",
        "cuda-cudart-devel-12-8",
        "cuda-cccl-12-8",
    )
    assert component("flashinfer-jit", "13.0").extras == ("cuda-cuobjdump-13-0", "cuda-culibos-devel-13-0")


def test_a_role_is_a_component_and_its_headers_need_its_library() -> None:
    assert component("cuobjdump", "12.6").roots == component("cuobjdump", "12.6").needed == ("cuda-cuobjdump-12-6",)
    assert component("cufft-devel", "13.0").roots == ("libcufft-devel-13-0",)
    assert component("cufft-devel", "13.0").needed == ("libcufft-devel-13-0", "libcufft-13-0")
    assert component("driver-devel", "13.0").needed == ("cuda-driver-devel-13-0",)


def test_an_unknown_component_is_answered_with_what_there_is() -> None:
    with pytest.raises(ValueError, match="no component 'nvptxcompiler'; there are the sets ") as caught:
        component("nvptxcompiler", "12.8")
    words = re.split("[ ,]+", str(caught.value))
    assert {*SETS, "cuobjdump", "cufft-devel"} <= set(words)
    assert not {"culibos-devel", "libnvvm"} & set(words)


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("cuda-nvcc-13-0", "a name with a release belongs under packages of [rpms]; did you mean 'nvcc'? there are"),
        ("libnvvm-13-0", "a name with a release belongs under packages of [rpms]; did you mean 'nvvm'? there are"),
        ("nvcc-13-0", "a name with a release belongs under packages of [rpms]; did you mean 'nvcc'? there are"),
        ("cuda-gdb-13-0", "a name with a release belongs under packages of [rpms]; there are"),
        ("cuda_nvcc", "did you mean 'nvcc'? there are"),
        ("NVCC", "did you mean 'nvcc'? there are"),
        ("libcublas", "did you mean 'cublas'? there are"),
        ("Flashinfer_JIT", "did you mean 'flashinfer-jit'? there are"),
        ("cublas-dev", "did you mean 'cublas-devel'? there are"),
        ("zzzz", "there are"),
    ],
)
def test_a_word_that_comes_near_is_answered_with_what_was_meant(word: str, answer: str) -> None:
    with pytest.raises(ValueError, match="has no component") as caught:
        component(word, "13.0")
    assert str(caught.value).partition("; ")[2].startswith(f"{answer} ")


@pytest.mark.parametrize(
    ("file", "release", "package"),
    [
        ("nv/target", "12.8", "cuda-cccl-12-8"),
        ("nv/target", "13.3", "cccl-13-3"),
        ("cub/cub.cuh", "13.0", "cuda-cccl-13-0"),
        ("cuda_fp8.h", "12.6", "cuda-cudart-devel-12-6"),
        ("nvvm/bin/cicc", "12.9", "cuda-nvvm-12-9"),
        ("nvvm/bin/cicc", "13.0", "libnvvm-13-0"),
        ("crt/host_config.h", "13.0", "cuda-crt-13-0"),
        ("ptxas", "13.0", "cuda-nvcc-13-0"),
        ("libcudart.so", "12.8", "cuda-cudart-devel-12-8"),
        ("libcudart.so.12", "12.8", "cuda-cudart-12-8"),
        ("libcuda.so", "12.8", "cuda-driver-devel-12-8"),
        ("libcublasLt.so.12", "12.8", "libcublas-12-8"),
        ("torch/all.h", "12.8", ""),
    ],
)
def test_a_file_leads_to_its_package(file: str, release: str, package: str) -> None:
    assert bringer(file, release) == package


def test_a_package_is_told_by_the_files_that_are_missed() -> None:
    assert brings("cuda-cccl-12-8")[0] == brings("cccl-13-3")[0] == "nv/target"
    assert brings("libcublas-12-8") == ("libcublas.so.*", "libcublasLt.so.*")
    assert brings("cuda-driver-devel-13-0") == ("lib/stubs/libcuda.so",)
    assert brings("cuda-gdb-13-0") == ()

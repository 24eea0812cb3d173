from __future__ import annotations

from pathlib import Path

import pytest

from mirror.closed.selftest.compiler_errors import Toolkit, explain, missing

WHOLE = (
    "bin/cudafe++", "bin/ptxas", "bin/fatbinary", "nvvm/bin/cicc", "nvvm/libdevice/libdevice.10.bc",
    "include/crt/host_config.h", "include/cuda_runtime.h", "include/nv/target", "lib64/libcudart.so",
    "lib64/libcudart_static.a",
)  # fmt: skip
LOCK = "add it to [rpms] and lock again"


@pytest.fixture
def toolkit(tmp_path: Path) -> Toolkit:
    """One that has a file of each package."""
    for path in WHOLE:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return Toolkit(tmp_path, "13.0")


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        (
            "include/nv/target",
            "/c/include/cuda_fp16.h:4492:10: fatal error: nv/target: No such file or directory",
            f"nv/target is missing: cuda-cccl-13-0 brings it; {LOCK}",
        ),
        (
            "include/crt/host_config.h",
            "x.h:82:10: fatal error: crt/host_config.h: No such file or directory",
            f"crt/host_config.h is missing: cuda-crt-13-0 brings it; {LOCK}",
        ),
        (
            "nvvm/bin/cicc",
            "sh: 1: {home}/bin/../nvvm/bin/cicc: not found",
            f"nvvm/bin/cicc is missing: libnvvm-13-0 brings it; {LOCK}",
        ),
        (
            "nvvm/bin/cicc",
            "sh: line 1: {home}/bin/../nvvm/bin/cicc: No such file or directory",
            f"nvvm/bin/cicc is missing: libnvvm-13-0 brings it; {LOCK}",
        ),
        ("bin/ptxas", "sh: ptxas: command not found", f"ptxas is missing: cuda-nvcc-13-0 brings it; {LOCK}"),
        (
            "lib64/libcudart_static.a",
            "/usr/bin/ld: cannot find -lcudadevrt: No such file or directory",
            "",  # no table knows it as a shared library
        ),
        ("lib64/libcudart.so", "ld.lld: error: unable to find library -lcuda",
         f"libcuda.so is missing: cuda-driver-devel-13-0 brings it; {LOCK}"),
        ("lib64/libcudart.so", "ld: warning: libcublasLt.so.13, needed by /c/libcublas.so, not found (try using -rpath)",
         f"libcublasLt.so.13 is missing: libcublas-13-0 brings it; {LOCK}"),
    ],
)  # fmt: skip
def test_a_compiler_error_names_the_package(toolkit: Toolkit, file: str, text: str, sentence: str) -> None:
    (toolkit.home / file).unlink()
    found = explain(text.format(home=toolkit.home), toolkit)
    assert found[:1] == ((sentence,) if sentence else ())


def test_the_names_of_12_8_are_other_ones(toolkit: Toolkit) -> None:
    text = f"sh: 1: {toolkit.home}/nvvm/bin/cicc: not found"
    (toolkit.home / "nvvm/bin/cicc").unlink()
    (sentence,) = explain(text, Toolkit(toolkit.home, "12.8"))
    assert sentence == f"nvvm/bin/cicc is missing: cuda-nvvm-12-8 brings it; {LOCK}"


def test_a_toolkit_of_component_archives_names_the_component(toolkit: Toolkit) -> None:
    (toolkit.home / "include/nv/target").unlink()
    text = "fatal error: nv/target: No such file or directory"
    (sentence,) = explain(text, Toolkit(toolkit.home, "13.0", is_redist=True))
    assert sentence == "nv/target is missing: cuda_cccl brings it; add it to [redist] and lock again"


def test_all_packages_that_are_missing_are_told_at_the_first_error(toolkit: Toolkit) -> None:
    for file in ("include/nv/target", "nvvm/bin/cicc", "nvvm/libdevice/libdevice.10.bc", "lib64/libcudart_static.a"):
        (toolkit.home / file).unlink()
    found = explain("fatal error: nv/target: No such file or directory", toolkit)
    assert [sentence.split(" brings")[0] for sentence in found] == [
        "nv/target is missing: cuda-cccl-13-0",
        "nvvm/bin/cicc is missing: libnvvm-13-0",
        "libcudart_static.a is missing: cuda-cudart-devel-13-0",
    ]


def test_a_link_that_leads_nowhere_names_the_package_of_its_end(toolkit: Toolkit) -> None:
    library = toolkit.home / "lib64/libcudart.so"
    library.unlink()
    library.symlink_to("libcudart.so.13")
    (sentence,) = explain("/usr/bin/ld: cannot find -lcudart", toolkit)
    assert sentence == (f"libcudart.so leads to libcudart.so.13, which is missing: cuda-cudart-13-0 brings it; {LOCK}")


def test_links_that_go_round_end_somewhere(toolkit: Toolkit) -> None:
    library = toolkit.home / "lib64/libcudart.so"
    library.unlink()
    library.symlink_to("libcudart.so.13")
    (library.parent / "libcudart.so.13").symlink_to("libcudart.so")
    (sentence,) = explain("/usr/bin/ld: cannot find -lcudart", toolkit)
    assert "is missing: cuda-cudart-" in sentence


def test_a_header_that_is_somewhere_else_is_not_said_to_be_missing(toolkit: Toolkit) -> None:
    place = toolkit.home / "targets/x86_64-linux/include/cccl/cub/cub.cuh"
    place.parent.mkdir(parents=True)
    place.touch()
    (sentence,) = explain("x.cu:1:10: fatal error: cub/cub.cuh: No such file or directory", toolkit)
    assert sentence == (
        "cub/cub.cuh is at targets/x86_64-linux/include/cccl/cub/cub.cuh, where this compiler does not look"
    )


def test_a_file_of_a_package_that_was_unpacked_was_removed_or_never_in_it(toolkit: Toolkit) -> None:
    (toolkit.home / "include/nv/target").unlink()
    unpacked = Toolkit(toolkit.home, "13.0", frozenset({"cuda-cccl-13-0"}))
    assert missing("nv/target", unpacked) == (
        "nv/target is missing: cuda-cccl-13-0, which brings it, was unpacked; it is not whole, or the file was removed since"
    )


@pytest.mark.parametrize(
    "text",
    [
        "x.cu:3:1: error: expected a declaration",
        "fatal error: my_own.h: No such file or directory",
        "/usr/bin/ld: cannot find -lmine",
        "gcc: No such file or directory",
        "nvcc fatal   : Unsupported gpu architecture 'compute_90a'",
        "sh: 1: {home}/bin/ptxas: not found",  # it is there: another program, its loader, is not
    ],
)
def test_what_no_table_knows_is_not_explained(toolkit: Toolkit, text: str) -> None:
    assert explain(text.format(home=toolkit.home), toolkit) == ()

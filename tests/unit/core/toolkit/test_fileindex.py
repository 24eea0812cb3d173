"""The file index: one way to write it, nothing else is read, and only what a compiler, linker or shell looks at is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.core.errors import InvalidDocument
from mirror.core.toolkit.fileindex import FILELISTS, HEADERS, MAX_BYTES, FileIndex, IndexedRpm, is_kept, kept_paths
from mirror.core.toolkit.rpmsource import trusted_rpms
from tests.support.rpms import DIRECTORY, Packager, toolkit

TARGET = "targets/x86_64-linux"
TEXT = """\
# Which RPM brings which file of the CUDA toolkit: "+" in the bundle, "-" not. Ask it with `mirror which FILE`.
# Written by mirror; change NAME.toml and lock again rather than editing this file.
format mirror-files/1
cuda 13.0
arch x86_64
from filelists

+ cuda-cccl-13-0 13.0.85-1.x86_64
targets/x86_64-linux/include/nv/
  target
targets/x86_64-linux/include/nv/detail/
  __preprocessor
  __target_macros

+ cuda-toolkit-config-common 13.0.96-1.noarch

- libcurand-devel-13-0 1:10.4.0.35-1.x86_64
targets/x86_64-linux/include/
  curand.h
"""
INDEX = FileIndex(
    "13.0",
    "x86_64",
    FILELISTS,
    (
        IndexedRpm(
            "cuda-cccl-13-0",
            "13.0.85-1",
            "x86_64",
            True,
            tuple(
                f"{TARGET}/include/nv/{name}" for name in ("target", "detail/__preprocessor", "detail/__target_macros")
            ),
        ),
        IndexedRpm("cuda-toolkit-config-common", "13.0.96-1", "noarch", True, ()),
        IndexedRpm("libcurand-devel-13-0", "1:10.4.0.35-1", "x86_64", False, (f"{TARGET}/include/curand.h",)),
    ),
)


def test_an_index_is_a_text_that_people_can_read() -> None:
    assert INDEX.encode().decode() == TEXT


def test_reading_is_the_inverse_of_writing() -> None:
    index = FileIndex.parse(TEXT.encode())
    assert index == INDEX
    assert index.count == 4
    assert index.carried == {"cuda-cccl-13-0-13.0.85-1.x86_64", "cuda-toolkit-config-common-13.0.96-1.noarch"}


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("mirror-files/1", "mirror-files/2", "at 'line 3': this mirror reads 'mirror-files/1', got 'mirror-files/2'"),
        ("cuda 13.0", "cuda 13", "at 'line 4': expected a CUDA release such as '13.0', got '13'"),
        ("arch x86_64\n", "arch mips\n", "at 'line 5': expected one of x86_64, aarch64, got 'mips'"),
        ("from filelists", "from hearsay", "at 'line 6': expected filelists or headers, got 'hearsay'"),
        ("cuda 13.0\n", "", "at 'line 4': expected 'cuda', got 'arch'"),
        ("# Written", "# Typed", "at 'line 2': expected '# Written by mirror;"),
        ("+ cuda-cccl", "* cuda-cccl", "at 'line 8': expected a package such as '+ cuda-nvcc-13-0 13.0.88-1.x86_64'"),
        ("- libcurand", "- cccl", "at 'line 17': cccl-devel-13-0 does not come after cuda-toolkit-config-common"),
        ("  target\n", "target\n", "at 'line 10': expected a directory, or a file after two blanks, got 'target'"),
        ("  target\n", "   target\n", "is no path that an index holds"),
        ("  target\n", "  ../target\n", "is no path that an index holds"),
        ("  target\n", "  target\n  target\n", "at 'line 11': expected "),
        ("include/nv/\n", "../nv/\n", "is no path that an index holds"),
        ("targets/x86_64-linux/include/\n", "/etc/\n", "is no path that an index holds"),
        ("  curand.h\n", "  curand.h\n\n", "at 'line 21': expected a package"),
        ("  curand.h\n", "  curand.h", "at 'line 20': expected '', got the end"),
        ("  curand.h\n", "", "expected '', got 'targets/x86_64-linux/include/'"),
        ("  curand.h\n", "  curand.h\r\n", "is no path that an index holds"),
        ("curand.h", "cürand.h", "at 'line 19': expected ASCII characters only"),
    ],
)
def test_anything_else_is_refused_with_its_line(before: str, after: str, problem: str) -> None:
    assert TEXT.count(before) == 1
    with pytest.raises(InvalidDocument) as caught:
        FileIndex.parse(TEXT.replace(before, after).encode("latin-1"), "demo.files.txt")
    assert str(caught.value).startswith("demo.files.txt invalid")
    assert problem in str(caught.value)


def test_files_out_of_order_are_refused() -> None:
    lines = TEXT.splitlines(keepends=True)
    lines[11], lines[12] = lines[12], lines[11]
    with pytest.raises(InvalidDocument, match="line 12': expected '  __preprocessor', got '  __target_macros'"):
        FileIndex.parse("".join(lines).encode())


@pytest.mark.parametrize("length", [0, 1, 100, 300, len(TEXT) - 1])
def test_a_cut_index_is_refused(length: int) -> None:
    with pytest.raises(InvalidDocument):
        FileIndex.parse(TEXT.encode()[:length])


def test_an_index_that_is_too_large_is_not_looked_at() -> None:
    with pytest.raises(InvalidDocument, match=f"more than the {MAX_BYTES} allowed"):
        FileIndex.parse(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("bin/nvcc", True),
        ("bin/crt/link.stub", True),
        ("nvvm/bin/cicc", True),
        ("nvvm/libdevice/libdevice.10.bc", True),
        ("nvvm/libnvvm-samples/simple/simple.c", False),
        ("nvvm/lib64", False),
        (f"{TARGET}/lib/stubs/libcuda.so", True),
        ("targets/sbsa-linux/lib/libcudart.so", False),
        (f"{TARGET}/include", False),
        ("lib64", False),
        ("include/nv/target", True),
        ("extras/CUPTI/include/cupti.h", True),
        ("extras/CUPTI/samples/a.c", False),
        ("extras/demo_suite/deviceQuery", False),
        ("nsight-compute-2025.3.0/ncu", False),
        ("doc/man/nvcc.1", False),
        ("share/with blank", False),
        ("bin/with blank", False),
        ("bin//nvcc", False),
        ("bin/../nvcc", False),
        ("", False),
    ],
)
def test_what_tools_look_at_is_kept_and_the_rest_is_not(path: str, kept: bool) -> None:
    assert is_kept(path, "x86_64") is kept


def test_paths_of_other_places_and_other_releases_are_left_out() -> None:
    paths = ("/usr/local/cuda-13.0/bin/b", "/usr/local/cuda-12.8/bin/c", "/etc/bin/d", "/usr/local/cuda-13.0/bin/a")
    assert kept_paths(paths, "13.0", "x86_64") == ("bin/a", "bin/b")
    sbsa = ("/usr/local/cuda-13.0/targets/sbsa-linux/lib/liba.so", f"/usr/local/cuda-13.0/{TARGET}/lib/liba.so")
    assert kept_paths(sbsa, "13.0", "aarch64") == ("targets/sbsa-linux/lib/liba.so",)


def test_rpms_at_hand_tell_by_their_headers(tmp_path: Path) -> None:
    packager = Packager()
    rpms = toolkit(tmp_path, packager)
    rpms.append(packager.rpm(tmp_path, "cuda-crt-13-0", {"/usr/local/cuda-13.0/bin/crt": DIRECTORY}))
    judged = [rpm.judge() for rpm in trusted_rpms(rpms, keys=packager.armored, fingerprints=[packager.fingerprint])]
    index = FileIndex.of_packages(judged, "13.0", "x86_64")
    assert index.source == HEADERS
    assert {rpm.nevra for rpm in index.rpms} == index.carried == {package.nevra for package in judged}
    assert {rpm.name: rpm.paths for rpm in index.rpms} == {
        "cuda-crt-13-0": (),
        "cuda-cudart-13-0": (f"{TARGET}/lib/libcudart.so.13", f"{TARGET}/lib/libcudart.so.13.0.96"),
        "cuda-cudart-devel-13-0": (f"{TARGET}/include/cuda.h", f"{TARGET}/lib/libcudart.so"),
        "cuda-nvcc-13-0": ("bin/nvcc", "bin/nvcc.profile"),
        "cuda-toolkit-config-common": (),
    }
    assert FileIndex.parse(index.encode()) == index

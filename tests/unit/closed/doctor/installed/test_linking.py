from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from mirror.closed.doctor.installed.binaries import Scan, scan
from mirror.closed.doctor.installed.hostlibraries import read_libraries
from mirror.closed.doctor.installed.linking import (
    judge_glibc,
    judge_libstdcxx,
    judge_links,
    judge_machines,
    judge_missing,
    judge_shadows,
)
from mirror.closed.host.machine import read_host
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, WARNING, Finding
from tests.support.libraries import make_library

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
HOST = read_libraries({})


def levels(findings: object) -> list[tuple[str, str]]:
    assert not isinstance(findings, Finding)
    return [(finding.level, finding.row) for finding in findings]  # type: ignore[attr-defined]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def stand_in(site: Path, name: str, versions: dict[str, list[str]]) -> Path:
    """A library to link against, kept outside of the stack."""
    return make_library(site.parent / "elsewhere" / name, soname=name, versions=versions)


def test_a_sound_library_is_good_in_every_respect(site: Path) -> None:
    make_library(site / "libfine.so", source='#include <stdio.h>\nvoid f(void) { puts(""); }')
    found = list(judge_links(scan([site]), {}, read_host(), HOST, {}))
    assert {finding.level for finding in found} == {GOOD}


def test_a_library_of_another_architecture_is_a_problem(site: Path) -> None:
    path = make_library(site / "libarm.so")
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, 18, 183)
    path.write_bytes(bytes(data))
    (found,) = judge_machines(scan([site]), "x86_64")
    assert (found.level, found.row) == (PROBLEM, "23")
    assert found.what == "libarm.so are for aarch64, this host is x86_64"


def test_a_wheel_that_needs_a_newer_glibc_is_named(site: Path) -> None:
    libc = stand_in(site, "libc.so.6", {"GLIBC_2.99": ["from_the_future"]})
    path = make_library(site / "pkg/_C.so", needs=[libc], uses=["from_the_future"])
    found = list(judge_glibc(scan([site]), {path: "vllm"}, (2, 28)))
    assert [finding.what for finding in found] == ["vllm needs glibc 2.99, this host has 2.28"]
    assert levels(found) == [(PROBLEM, "35")]
    assert levels(judge_glibc(scan([site]), {}, (2, 99))) == [(GOOD, "")]
    assert levels(judge_glibc(scan([site]), {}, None)) == []


def test_a_wheel_that_needs_a_newer_libstdcxx_is_named(site: Path) -> None:
    runtime = stand_in(site, "libstdc++.so.6", {"GLIBCXX_3.4.98": ["new"], "GLIBCXX_3.4.9": ["old"]})
    path = make_library(site / "_x.so", needs=[runtime], uses=["new", "old"])
    found = list(judge_libstdcxx(scan([site]), {path: "xgrammar"}, HOST))
    assert levels(found) == [(PROBLEM, "36")]
    assert found[0].what.startswith("xgrammar needs GLIBCXX_3.4.98, ")
    ours = read_libraries({"LD_LIBRARY_PATH": str(runtime.parent)})
    assert levels(judge_libstdcxx(scan([site]), {}, ours)) == [(GOOD, "")]


def test_an_older_libstdcxx_first_on_the_path_is_what_counts(site: Path) -> None:
    new = stand_in(site, "libstdc++.so.6", {"GLIBCXX_3.4.21": ["one"], "GLIBCXX_3.4.29": ["two"]})
    make_library(site / "_x.so", needs=[new], uses=["one", "two"])
    old = make_library(
        site.parent / "old/libstdc++.so.6", soname="libstdc++.so.6", versions={"GLIBCXX_3.4.21": ["one"]}
    )
    found = list(judge_libstdcxx(scan([site]), {}, read_libraries({"LD_LIBRARY_PATH": str(old.parent)})))
    assert levels(found) == [(PROBLEM, "36")]
    assert f"{old} does not have it" in found[0].what


def test_a_host_without_a_cxx_runtime_is_told(site: Path, tmp_path: Path) -> None:
    runtime = stand_in(site, "libstdc++.so.6", {"GLIBCXX_3.4.21": ["one"]})
    make_library(site / "_x.so", needs=[runtime], uses=["one"])
    assert levels(judge_libstdcxx(scan([site]), {}, read_libraries({}, tmp_path))) == [(PROBLEM, "36")]


def test_a_library_of_another_cuda_major_is_a_problem(site: Path) -> None:
    twelve = make_library(site.parent / "elsewhere/libcudart.so.12", soname="libcudart.so.12")
    make_library(site / "nvidia/cu13/lib/libcudart.so.13", soname="libcudart.so.13")
    path = make_library(site / "vllm/_C.so", needs=[twelve])
    found = list(judge_missing(scan([site]), {path: "vllm"}, HOST))
    assert levels(found) == [(PROBLEM, "38"), (GOOD, "")]
    assert found[0].what == "vllm need libcudart.so.12, the stack has libcudart.so.13"


def test_a_plugin_for_what_a_server_seldom_has_is_a_note(site: Path) -> None:
    ffmpeg = make_library(site.parent / "elsewhere/libavcodec.so.58", soname="libavcodec.so.58")
    driver = make_library(site.parent / "elsewhere/libcuda.so.1", soname="libcuda.so.1")
    make_library(site / "libplugin.so", needs=[ffmpeg, driver])
    found = list(judge_missing(scan([site]), {}, HOST))
    assert levels(found) == [(NOTE, "38")]
    assert "libavcodec.so.58" in found[0].what
    assert "libcuda" not in found[0].what


def shadowed(site: Path, **library: str) -> Scan:
    """A stack whose torch needs the wheel's cudart."""
    ours = make_library(site / "nvidia/lib/libcudart.so.13", soname="libcudart.so.13")
    make_library(site / "torch/lib/libtorch_cuda.so", needs=[ours], **library)  # type: ignore[arg-type]
    return scan([site])


def test_the_toolkits_libraries_before_the_wheels_own_are_a_warning(site: Path, tmp_path: Path) -> None:
    make_library(tmp_path / "cuda/lib64/libcudart.so.13", soname="libcudart.so.13")
    (found,) = judge_shadows(shadowed(site, runpath="$ORIGIN"), [tmp_path / "cuda/lib64"])
    assert (found.level, found.row) == (WARNING, "41")
    assert "libcudart.so.13 stand before the wheels' own" in found.what
    assert found.cause == "the wheels' libraries look there first for libcudart.so.13"


def test_libraries_with_an_rpath_do_not_look_there_first(site: Path, tmp_path: Path) -> None:
    make_library(tmp_path / "cuda/lib64/libcudart.so.13", soname="libcudart.so.13")
    (found,) = judge_shadows(shadowed(site, rpath="$ORIGIN"), [tmp_path / "cuda/lib64"])
    assert found.cause == "programs may load both"


def test_a_directory_that_leads_to_the_wheels_own_is_no_shadow(site: Path, tmp_path: Path) -> None:
    found = shadowed(site, runpath="$ORIGIN")
    assert list(judge_shadows(found, [site / "nvidia/lib", tmp_path])) == []


def test_an_older_nccl_says_which_functions_it_lacks(site: Path, tmp_path: Path) -> None:
    new, old = ["ncclAllReduce", "ncclCommRegister", "ncclMemFree"], ["ncclAllReduce"]
    make_library(site / "nvidia/nccl/lib/libnccl.so.2", soname="libnccl.so.2", defines=new)
    make_library(tmp_path / "system/libnccl.so.2", soname="libnccl.so.2", defines=old)
    (found,) = judge_shadows(scan([site]), [tmp_path / "system"])
    assert (found.level, found.row) == (PROBLEM, "39")
    assert "its libnccl lacks ncclCommRegister, ncclMemFree" in found.what

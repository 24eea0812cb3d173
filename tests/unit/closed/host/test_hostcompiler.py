from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mirror.closed.host.hostcompiler import NONE, ceiling_of, choose, too_new, version_of


def gcc(path: Path, version: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\n[ "$1" = -dumpversion ] && echo {version}\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A PATH whose gcc is 99."""
    gcc(tmp_path / "bin/gcc", "99")
    gcc(tmp_path / "bin/g++", "99")
    return tmp_path / "bin"


@pytest.mark.parametrize(("said", "version"), [("12", 12), ("8.5.0", 8), ("14.2", 14), ("", None), ("Apple", None)])
def test_the_major_version_that_it_gives_itself(tmp_path: Path, said: str, version: int | None) -> None:
    assert version_of(gcc(tmp_path / "g++", said)) == version


def test_what_cannot_be_asked_is_left_to_nvcc(tmp_path: Path) -> None:
    assert version_of(tmp_path / "nothing") is None
    assert version_of(gcc(tmp_path / "clang++-19", "19")) is None
    assert too_new(gcc(tmp_path / "clang++-19", "19"), "13.0", 15) == ""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine")
def test_the_real_gcc_answers() -> None:
    assert (version_of(Path("/usr/bin/gcc")) or 0) > 4


def test_the_toolkits_own_header_counts_more_than_the_table(tmp_path: Path) -> None:
    assert ceiling_of(tmp_path, "12.6") == 13
    (tmp_path / "include/crt").mkdir(parents=True)
    header = tmp_path / "include/crt/host_config.h"
    header.write_text("#if defined(__GNUC__)\n\n#if __GNUC__ > 14\n\n#error -- unsupported GNU version!\n#endif\n")
    assert ceiling_of(tmp_path, "12.6") == 14
    header.write_text("nothing of it")
    assert ceiling_of(tmp_path, "12.6") == 13


def test_the_boundary_itself_fits(tmp_path: Path) -> None:
    assert too_new(gcc(tmp_path / "g++", "15"), "13.0", 15) == ""
    assert too_new(gcc(tmp_path / "g++", "16"), "13.0", 15) == (
        f"{tmp_path}/g++ is gcc 16, nvcc of CUDA 13.0 takes gcc 15 and older"
    )


def test_the_newest_that_fits_is_taken_and_believed_only_by_its_own_word(tmp_path: Path, host: Path) -> None:
    gcc(host / "g++-15", "99")  # a wrapper that is called 15
    gcc(host / "g++-14", "14.2.0")
    gcc(host / "g++-12", "12")
    choice = choose(tmp_path, "13.0", host / "g++", {"PATH": str(host)})
    assert (choice.compiler, choice.is_default) == (host / "g++-14", False)
    assert choice.flags == f"-ccbin {host}/g++-14"


def test_when_none_fits_both_numbers_and_the_way_out_are_told(tmp_path: Path, host: Path) -> None:
    choice = choose(tmp_path, "12.8", host / "g++", {"PATH": str(host)})
    assert choice.compiler is None
    assert choice.refusal.startswith(
        f"{host}/gcc is gcc 99, nvcc of CUDA 12.8 takes gcc 14 and older; install an older one (g++-14, gcc-toolset-14) and "
        "export NVCC_PREPEND_FLAGS='-ccbin /its/path/g++'; without one, what is compiled already works here"
    )


@pytest.mark.parametrize("name", ["NVCC_CCBIN", "NVCC_PREPEND_FLAGS", "directory"])
def test_a_compiler_that_a_person_names_is_used(tmp_path: Path, host: Path, name: str) -> None:
    named = gcc(tmp_path / "own/g++", "13")
    variables = {
        "NVCC_CCBIN": {"NVCC_CCBIN": str(named)},
        "NVCC_PREPEND_FLAGS": {"NVCC_PREPEND_FLAGS": f"-O1 -ccbin={named} -g", "NVCC_CCBIN": "/wrong"},
        "directory": {"NVCC_CCBIN": str(named.parent)},
    }[name]
    choice = choose(tmp_path, "13.0", None, {"PATH": str(host), **variables})
    assert (choice.compiler, choice.refusal, choice.flags) == (named, "", "")


def test_and_it_is_never_replaced(tmp_path: Path, host: Path) -> None:
    gcc(host / "g++-14", "14")
    choice = choose(tmp_path, "13.0", host / "g++", {"PATH": str(host), "NVCC_CCBIN": "g++"})
    assert choice.compiler is None
    assert choice.refusal.startswith(f"{host}/g++ is gcc 99, nvcc of CUDA 13.0 takes gcc 15 and older; name another")


def test_a_gcc_toolset_that_is_not_on_the_path_is_found(tmp_path: Path, host: Path) -> None:
    toolset = tmp_path / "rh/gcc-toolset-13/root/usr/bin"
    toolset.mkdir(parents=True)
    gcc(toolset / "g++", "13")
    choice = choose(tmp_path, "13.0", host / "g++", {"PATH": str(host)}, toolsets=tmp_path / "rh")
    assert choice.compiler == toolset / "g++"


def test_no_compiler_at_all(tmp_path: Path) -> None:
    assert choose(tmp_path, "13.0", None, {"PATH": str(tmp_path)}).refusal == NONE

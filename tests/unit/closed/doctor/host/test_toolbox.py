from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mirror.closed.doctor.host.toolbox import (
    judge_compilers,
    judge_headers,
    judge_ninja,
    read_toolbox,
)
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, WARNING, Finding

GCC = "gcc (GCC) 11.4.1 20231218 (Red Hat 11.4.1-3)"
NEW = "gcc (Debian 16.1.0-2) 16.1.0"
OLD = "gcc (GCC) 8.5.0 20210514 (Red Hat 8.5.0-20)"
CLANG = "Ubuntu clang version 14.0.0-1ubuntu1.1"
ALL = ("gcc", "c++", "g++", "cc")


class Tools:
    """Programs on a PATH of a test's own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.variables = {"PATH": str(root)}

    def put(self, words: str, *names: str) -> None:
        for name in names:
            (self.root / name).write_text(f"#!/bin/sh\necho '{words}'\n")
            (self.root / name).chmod(0o755)

    def told(self, release: str = "13.0", ceiling: int | None = 15, uses: tuple[str, ...] = ALL) -> list[Finding]:
        return list(judge_compilers(read_toolbox(self.variables), release, ceiling, uses))


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_asks_this_machines_compiler() -> None:
    found = read_toolbox(os.environ).compilers["gcc"]
    assert found.kind == "gcc"
    assert found.version >= (4, 0)


@pytest.mark.parametrize(
    ("words", "kind", "version"),
    [(GCC, "gcc", (11, 4)), (NEW, "gcc", (16, 1)), (CLANG, "clang", (14, 0)), ("hello", "", ())],
)
def test_reads_what_compilers_say_of_themselves(tools: Tools, words: str, kind: str, version: tuple[int, ...]) -> None:
    tools.put(words, "gcc")
    found = read_toolbox(tools.variables).compilers["gcc"]
    assert (found.kind, found.version) == (kind, version)


def test_a_compiler_that_fits_is_told_once(tools: Tools) -> None:
    tools.put(GCC, "gcc", "g++", "c++")
    assert [finding.what for finding in tools.told()] == [
        f"gcc 11.4 ({tools.root}/gcc); nvcc of CUDA 13.0 takes 9 to 15"
    ]


def test_a_compiler_that_is_too_new_names_the_ceiling(tools: Tools) -> None:
    tools.put(NEW, "gcc", "g++", "c++")
    problems = [finding for finding in tools.told() if finding.level == PROBLEM]
    assert [finding.row for finding in problems] == ["10"]
    assert problems[0].what == "gcc 16.1 is too new: nvcc of CUDA 13.0 takes gcc 15 and older"


def test_the_system_compiler_of_rhel_8_is_too_old(tools: Tools) -> None:
    tools.put(OLD, "gcc", "g++", "c++")
    assert {(finding.level, finding.row) for finding in tools.told()} == {(PROBLEM, "65")}
    assert "8.5 is too old for nvcc: C++17 needs gcc 9 or newer" in tools.told()[0].what


def test_an_older_compiler_in_nvcc_ccbin_is_what_nvcc_takes(tools: Tools) -> None:
    tools.put(NEW, "gcc", "g++", "c++")
    tools.put(GCC, "gcc-11")
    tools.variables["NVCC_CCBIN"] = str(tools.root / "gcc-11")
    assert [finding for finding in tools.told() if finding.row == "10"] == []
    del tools.variables["NVCC_CCBIN"]
    tools.variables["NVCC_PREPEND_FLAGS"] = f"-O2 -ccbin {tools.root}/gcc-11"
    assert [finding for finding in tools.told() if finding.row == "10"] == []
    del tools.variables["NVCC_PREPEND_FLAGS"]
    other = tools.root / "toolset"
    other.mkdir()
    Tools(other).put(OLD, "gcc")
    tools.variables["NVCC_CCBIN"] = str(other)
    assert read_toolbox(tools.variables).compilers["gcc"].version == (8, 5)


def test_without_a_compiler_each_user_of_one_is_named(tools: Tools) -> None:
    found = tools.told()
    assert {(finding.level, finding.row) for finding in found} == {(PROBLEM, "9"), (PROBLEM, "28")}
    assert "Triton needs a host compiler, and gcc or clang was not found" in {finding.what for finding in found}


def test_a_stack_that_compiles_nothing_needs_none(tools: Tools) -> None:
    assert tools.told(uses=("cc",)) != []
    assert {finding.level for finding in tools.told(uses=())} == {WARNING}


def test_clang_will_do_for_triton(tools: Tools) -> None:
    tools.put(CLANG, "clang")
    found = read_toolbox(tools.variables)
    assert str(found.compilers["cc"]) == "clang 14.0"
    assert "gcc" in found.missing


def test_cc_and_cxx_win_and_are_named_when_they_are_not_there(tools: Tools) -> None:
    tools.put(GCC, "gcc", "g++", "c++")
    tools.variables.update(CC="/gone/gcc -m64", CXX=str(tools.root / "g++"))
    found = read_toolbox(tools.variables)
    assert found.missing == {"cc": "CC=/gone/gcc -m64"}
    assert found.compilers["c++"].path.endswith("/g++")


def test_a_compiler_that_fails_is_a_problem(tools: Tools) -> None:
    tools.put("x'; exit 1; echo '", "gcc", "g++", "c++")
    assert {(finding.level, finding.row) for finding in tools.told()} == {(PROBLEM, "15")}


def test_headers_of_python() -> None:
    assert judge_headers("/usr/bin/python3.11", True, "3.11.7").level == GOOD
    found = judge_headers("/usr/bin/python3.11", False, "3.11.7")
    assert (found.level, found.row) == (PROBLEM, "27")


def test_ninja_must_be_a_program(tools: Tools, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    assert [(f.level, f.row) for f in judge_ninja(venv, tools.variables)] == [(PROBLEM, "29")]
    tools.put("1.11", "ninja")
    assert [f.level for f in judge_ninja(venv, tools.variables)] == [WARNING]
    assert [f.level for f in judge_ninja(None, tools.variables)] == [NOTE]
    (venv / "bin/ninja").write_text("")
    (venv / "bin/ninja").chmod(0o755)
    assert [f.level for f in judge_ninja(venv, tools.variables)] == [GOOD]

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.closed.doctor.facts import Facts, read_facts
from mirror.closed.doctor.host.nvidia import Gpu, Nvidia
from mirror.closed.doctor.stack import judge_stack
from mirror.closed.prefix.receipt import Receipt
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, WARNING, Finding
from mirror.core.names import Sha256Hex
from tests.support.libraries import make_library
from tests.support.stacks import Stack, torch_version

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
VARIABLES = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A small stack in which all is well: torch with a kernel for Hopper, and a toolkit."""
    stack = Stack(tmp_path)
    stack.toolkit()
    stack.project("torch", "2.11.0", files={**torch_version(), "torch/lib/libtorch_cuda.so": ""})
    make_library(stack.site / "torch/lib/libtorch_cuda.so", gpu_code=["sm_80", "sm_90"])
    return stack


def facts(stack: Stack, driver: str = "", *models: str) -> Facts:
    found = read_facts(stack.environment(), VARIABLES)
    return replace(found, nvidia=Nvidia(driver, tuple(Gpu(model, "8.0") for model in models)))


def bad(looked: Facts) -> list[Finding]:
    return [finding for finding in judge_stack(looked) if finding.level != GOOD]


def test_a_sound_stack_has_nothing_but_good(stack: Stack) -> None:
    assert bad(facts(stack)) == []
    subjects = {finding.subject for finding in judge_stack(facts(stack))}
    assert {"toolkit", "torch", "caches", "architecture", "glibc", "libraries", "GPU code"} <= subjects


def test_without_a_stack_there_is_nothing_to_judge() -> None:
    assert list(judge_stack(read_facts(None, VARIABLES))) == []


def test_a_driver_is_held_against_the_toolkit_and_torch(stack: Stack) -> None:
    found = [finding for finding in bad(facts(stack, "535.104.05")) if finding.row == "46"]
    assert [finding.what.partition(" is of ")[0] for finding in found] == ["the toolkit", "torch"]


def test_a_gpu_that_the_stack_is_not_for_is_a_warning(stack: Stack) -> None:
    found = bad(facts(stack, "580.65.06", "NVIDIA A100-SXM4-80GB"))
    assert [(finding.level, finding.row) for finding in found] == [(WARNING, "47")]
    assert "the stack is for sm_90a, this host has 1 x NVIDIA A100-SXM4-80GB (sm_80)" in found[0].what


def test_a_wheel_without_code_for_the_target_is_a_problem(stack: Stack) -> None:
    stack.project("oldext", "1.0", files={"oldext/_C.so": ""})
    make_library(stack.site / "oldext/_C.so", gpu_code=["sm_80"])
    (found,) = bad(facts(stack))
    assert (found.level, found.row) == (PROBLEM, "47")
    assert found.what.startswith("oldext has machine code for sm_80")


def test_the_toolkits_own_libraries_are_not_asked_for_gpu_code(stack: Stack) -> None:
    (stack.cuda / "lib64/libcublas.so").unlink()
    make_library(stack.cuda / "lib64/libcublas.so.13", soname="libcublas.so.13", gpu_code=["sm_75"])
    (stack.cuda / "lib64/libcublas.so").symlink_to("libcublas.so.13")
    assert bad(facts(stack)) == []


def test_a_stack_that_was_moved_says_so(stack: Stack) -> None:
    receipt = Receipt("demo", 5, Sha256Hex("ab" * 32), "/old/gens/5-ab", 1, "/usr/bin/python3", "3.11.7", "host", "uv", (), (),
                      "0.1")  # fmt: skip
    found = [finding for finding in bad(replace(facts(stack), receipt=receipt)) if finding.subject == "place"]
    assert [finding.level for finding in found] == [PROBLEM]
    assert found[0].what == f"the stack was installed in /old/gens/5-ab, and is now in {stack.root}"


def test_a_kernel_cache_of_another_toolkit_is_found(stack: Stack, tmp_path: Path) -> None:
    operation = tmp_path / "home/.cache/flashinfer/0.6.4/90a/cached_ops/norm"
    operation.mkdir(parents=True)
    (operation / "build.ninja").write_text("cuda_home = /usr/local/cuda-12.6\n")
    looked = replace(facts(stack), variables={**VARIABLES, "HOME": str(tmp_path / "home")})
    assert [finding.row for finding in bad(looked)] == ["57"]


def test_a_library_that_was_cut_is_a_warning(stack: Stack) -> None:
    path = stack.site / "torch/lib/libtorch_cuda.so"
    path.write_bytes(path.read_bytes()[:500])
    assert [finding.level for finding in bad(facts(stack))] == [WARNING]


def test_an_old_ninja_cache_directory_of_nobody_is_no_fault(stack: Stack, tmp_path: Path) -> None:
    looked = replace(facts(stack), variables={**VARIABLES, "HOME": str(tmp_path)})
    assert [finding for finding in bad(looked) if finding.level != NOTE] == []

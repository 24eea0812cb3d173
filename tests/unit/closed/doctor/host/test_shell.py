from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirror.closed.doctor.host.shell import is_sourced, judge_shell
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, WARNING, Finding
from tests.support.stacks import NVCC, Stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    stack = Stack(tmp_path)
    stack.toolkit()
    return stack


def sourced(stack: Stack, **changes: str) -> dict[str, str]:
    """Variables of a shell that has sourced env.sh, and then changed some."""
    return {**stack.environment().variables({"PATH": "/usr/bin:/bin"}, Path("/caches")), **changes}


def told(variables: dict[str, str], stack: Stack | None) -> dict[str, Finding]:
    return {finding.subject: finding for finding in judge_shell(variables, stack.environment() if stack else None)}


def test_a_shell_that_has_sourced_env_sh_is_good(stack: Stack) -> None:
    assert is_sourced(sourced(stack), stack.environment())
    found = told(sourced(stack), stack)
    assert {finding.level for finding in found.values()} == {GOOD}
    assert "env.sh" in found


def test_a_shell_that_has_not_is_told_how(stack: Stack) -> None:
    found = told({"PATH": "/usr/bin"}, stack)["env.sh"]
    assert found.level == NOTE
    assert found.fix.startswith(f". {stack.root}/env.sh")


def test_a_shell_with_another_generation_is_warned(stack: Stack) -> None:
    found = told(sourced(stack, MIRROR_GENERATION="/old/gens/1-abc"), stack)["env.sh"]
    assert found.level == WARNING
    assert "another generation, /old/gens/1-abc" in found.what
    assert found.proof == "echo $MIRROR_GENERATION"


def test_a_cuda_home_that_changed_afterwards_is_named(stack: Stack) -> None:
    found = told(sourced(stack, CUDA_HOME="/usr/local/cuda"), stack)["env.sh"]
    assert (found.level, found.row) == (WARNING, "57")
    assert found.what.startswith("CUDA_HOME changed since env.sh was sourced: CUDA_HOME is '/usr/local/cuda'")


def test_another_nvcc_first_on_path_is_a_problem(stack: Stack, tmp_path: Path) -> None:
    other = tmp_path / "old/bin/nvcc"
    other.parent.mkdir(parents=True)
    other.write_text(NVCC)
    other.chmod(0o755)
    path = sourced(stack)["PATH"]
    found = told(sourced(stack, PATH=f"{other.parent}:{path}"), stack)["nvcc"]
    assert (found.level, found.row) == (PROBLEM, "11")
    assert found.what == f"PATH finds {other}, the stack's is {stack.cuda}/bin/nvcc"
    assert "nvcc" not in told({"PATH": f"{other.parent}"}, stack)  # env.sh would put its own first


def test_a_second_nvcc_by_variable_is_a_problem(stack: Stack) -> None:
    found = told(sourced(stack, FLASHINFER_NVCC="/usr/local/cuda/bin/nvcc"), stack)["nvcc"]
    assert (found.level, found.row) == (PROBLEM, "12")


def test_unsupported_compilers_by_flag_are_a_warning(stack: Stack) -> None:
    found = told(sourced(stack, NVCC_PREPEND_FLAGS="-allow-unsupported-compiler"), stack)["nvcc"]
    assert (found.level, found.row) == (WARNING, "10")


def test_without_a_stack_a_broken_cuda_home_is_told(tmp_path: Path) -> None:
    found = told({"CUDA_HOME": str(tmp_path), "PATH": ""}, None)
    assert (found["CUDA_HOME"].level, found["CUDA_HOME"].row) == (WARNING, "25")
    assert told({"PATH": str(tmp_path)}, None) == {}


@pytest.mark.parametrize("value", ["9.0,8.0", "sm_90", "9.0f", "all"])
def test_lists_that_torch_does_not_understand_are_problems(value: str) -> None:
    assert told({"TORCH_CUDA_ARCH_LIST": value}, None)["TORCH_CUDA_ARCH_LIST"].row == "33"


@pytest.mark.parametrize("value", ["9.0", "9.0a", "8.0;9.0+PTX", "8.0 9.0", "Hopper", "Kepler+Tesla", "8.0;8.6;9.0a;"])
def test_lists_that_torch_understands_are_not(value: str) -> None:
    assert told({"TORCH_CUDA_ARCH_LIST": value}, None) == {}


@pytest.mark.parametrize(("value", "level"), [("9.0,10.0", PROBLEM), ("9.0", WARNING), ("9.0a", ""), ("8.0 9.0a", "")])
def test_flashinfers_list_is_taken_as_it_is(value: str, level: str) -> None:
    found = told({"FLASHINFER_CUDA_ARCH_LIST": value}, None).get("FLASHINFER_CUDA_ARCH_LIST")
    assert (found.level if found else "") == level


@pytest.mark.parametrize(("value", "told_of"), [("", True), ("-1", True), ("0,1", False)])
def test_a_shell_that_hides_the_gpus_is_told(value: str, told_of: bool) -> None:
    assert ("CUDA_VISIBLE_DEVICES" in told({"CUDA_VISIBLE_DEVICES": value}, None)) == told_of


def test_switches_that_change_what_a_stack_does_are_notes() -> None:
    found = told({"FLASHINFER_DISABLE_JIT": "1", "FLASHINFER_DISABLE_VERSION_CHECK": "0"}, None)
    assert [(finding.level, finding.row) for finding in found.values()] == [(NOTE, "56")]


def test_the_hosts_own_nvcc_is_a_note_with_its_reason_and_the_next_step(tmp_path: Path) -> None:
    nvcc = tmp_path / "bin/nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text(NVCC)
    nvcc.chmod(0o755)
    found = told({"PATH": str(nvcc.parent)}, None)["nvcc"]
    assert (found.level, found.what) == (NOTE, f"PATH finds {nvcc}")
    assert found.cause == "a toolkit is installed on this host; no toolkit of a stack is in use here"
    assert found.fix.startswith("nothing: a stack's env.sh puts its own first.")


def test_judges_this_shell_without_an_exception(stack: Stack) -> None:
    assert all(finding.what for finding in judge_shell(os.environ, stack.environment()))

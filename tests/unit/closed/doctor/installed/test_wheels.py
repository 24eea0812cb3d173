from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mirror.closed.doctor.installed.wheels import Installed, judge_installed, read_installed
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, WARNING, Finding
from tests.support.stacks import Stack, torch_version

HOUSE = Path(__file__).parents[5]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    stack = Stack(tmp_path)
    stack.project("torch", "2.11.0", files=torch_version())
    return stack


def told(stack: Stack, release: str = "13.0", exports_cubin_dir: bool = False) -> list[Finding]:
    return list(judge_installed(read_installed(stack.venv), release, exports_cubin_dir))


def bad(stack: Stack, release: str = "13.0") -> list[tuple[str, str]]:
    return [(finding.level, finding.row) for finding in told(stack, release) if finding.level != GOOD]


def test_reads_projects_and_torchs_own_versions(stack: Stack) -> None:
    stack.project("Flashinfer_Python", "0.6.13", files={"flashinfer/__init__.py": "x = 1\n", "flashinfer/a.so": ""})
    installed = read_installed(stack.venv)
    assert installed.site == stack.site
    assert installed.version("flashinfer-python") == "0.6.13"
    assert (installed.version("torch"), installed.torch_cuda) == ("2.11.0+cu130", "13.0")
    assert installed.version("missing") == ""
    assert installed.owners() == {"flashinfer/a.so": "flashinfer-python"}


def test_an_empty_venv_has_nothing_and_nothing_to_judge(tmp_path: Path) -> None:
    installed = read_installed(tmp_path)
    assert installed.projects == {}
    assert list(judge_installed(installed, "13.0")) == []
    assert list(judge_installed(Installed(tmp_path), "")) == []


def test_broken_metadata_is_passed_over(stack: Stack) -> None:
    (stack.site / "bad-1.dist-info").mkdir()
    (stack.site / "worse-1.dist-info").mkdir()
    (stack.site / "worse-1.dist-info/METADATA").write_bytes(b"\xff\xfe\x00Name")
    assert set(read_installed(stack.venv).projects) == {"torch"}


def test_torch_and_the_toolkit_must_be_of_one_major_release(stack: Stack) -> None:
    assert bad(stack, "13.2") == []
    (found,) = [finding for finding in told(stack, "12.8") if finding.level != GOOD]
    assert (found.level, found.row) == (PROBLEM, "26")
    assert found.what == "torch 2.11.0+cu130 was built for CUDA 13.0, the toolkit is CUDA 12.8"


def test_a_torch_without_cuda_is_a_problem(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.project("torch", "2.11.0", files=torch_version("2.11.0+cpu", "None"))
    assert bad(stack) == [(PROBLEM, "26")]


@pytest.mark.parametrize(
    ("requirement", "rows"),
    [
        ("torch==2.10.0", ["40"]),
        ("torch (==2.10.0)", ["40"]),
        ("torch==2.11.0+cu130", []),
        ("torch==2.11", []),
        ("torch>=2.4", []),
        ("torch==2.10.0; extra == 'test'", []),
        ("torchvision==0.26.0", []),
    ],
)
def test_what_was_built_for_another_torch_is_a_problem(stack: Stack, requirement: str, rows: list[str]) -> None:
    stack.project("vllm", "0.25.1", requires=["numpy", requirement])
    assert bad(stack) == [(PROBLEM, row) for row in rows]


@pytest.mark.parametrize(
    ("projects", "expected"),
    [
        ({"flashinfer-cubin": "0.6.13", "flashinfer-jit-cache": "0.6.13+cu130"}, []),
        ({"flashinfer-cubin": "0.6.12"}, [(PROBLEM, "54")]),
        ({"flashinfer-jit-cache": "0.6.130+cu130"}, [(PROBLEM, "54")]),  # which FlashInfer's own check lets pass
        ({"flashinfer-jit-cache": "0.6.13+cu128"}, [(PROBLEM, "55")]),
        ({"flashinfer-jit-cache": "0.6.13+cu132"}, [(WARNING, "55")]),
        ({"flashinfer-jit-cache": "0.6.13"}, []),
        ({}, []),
    ],
)
def test_flashinfers_packages_must_be_in_step(
    stack: Stack, projects: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    stack.project("flashinfer-python", "0.6.13")
    for name, version in projects.items():
        stack.project(name, version)
    assert bad(stack) == expected


def test_an_old_flashinfer_is_a_note(stack: Stack) -> None:
    stack.project("flashinfer-python", "0.2.5")
    assert bad(stack) == [(NOTE, "61")]


def test_cubins_without_their_headers_are_a_warning(stack: Stack) -> None:
    stack.project("flashinfer-python", "0.6.7")
    stack.project("flashinfer-cubin", "0.6.7", files={"flashinfer_cubin/cubins/a/b.cubin": "x"})
    assert bad(stack) == [(WARNING, "60")]
    (stack.site / "flashinfer_cubin/cubins/a/BatchedGemmEnums.h").touch()
    assert bad(stack) == []


def test_cubins_that_cannot_be_written_are_a_warning(stack: Stack) -> None:
    stack.project("flashinfer-python", "0.6.13")
    stack.project("flashinfer-cubin", "0.6.13", files={"flashinfer_cubin/cubins/a": "x"})
    assert bad(stack) == []
    look = (
        "import sys; from pathlib import Path; from mirror.closed.doctor.installed.wheels import *\n"
        "for f in judge_installed(read_installed(Path(sys.argv[1])), '13.0'): print(f.level, f.row, f.what)"
    )
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mount, str(stack.site / "flashinfer_cubin/cubins")]
    command += [sys.executable, "-c", look, str(stack.venv)]
    finished = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=60, check=False)
    if finished.returncode and "mount" in finished.stderr:
        pytest.skip(f"no mounts here: {finished.stderr.strip()}")
    assert f"{WARNING} 44b you may not write to {stack.site}/flashinfer_cubin/cubins" in finished.stdout


def test_libraries_of_two_cuda_majors_are_a_warning(stack: Stack) -> None:
    stack.project("nvidia-cudnn-cu12", "9.1")
    assert bad(stack) == []
    stack.project("nvidia-nccl-cu13", "2.28")
    assert bad(stack) == [(WARNING, "38")]

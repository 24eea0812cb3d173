from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mirror.closed.doctor.installed.binaries import Binary, Scan
from mirror.closed.doctor.installed.gpucode import judge_code, judge_unread
from mirror.core.binaries.elf import Elf
from mirror.core.binaries.fatbin import Image
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, WARNING, Finding

SITE = Path("/site")


def told(projects: Mapping[str, str], gpu: str = "sm_90a", driver: str = "", release: str = "13.0") -> list[Finding]:
    """What is told of libraries named PROJECT/NUMBER that hold code for some architectures."""
    binaries, owners = [], {}
    for place, architectures in projects.items():
        path = SITE / f"{place}.so"
        binaries.append(Binary(path, True, Elf("x86_64"), {Image(arch): 1 for arch in architectures.split()}))
        owners[path] = place.partition("/")[0]
    return list(judge_code(Scan(tuple(binaries)), owners, [gpu], driver, release))


def test_a_project_with_machine_code_is_good() -> None:
    (found,) = told({"torch/a": "sm_80 sm_90", "vllm/b": "sm_90a", "vllm/c": "sm_100f"})
    assert (found.level, found.what) == (GOOD, "for sm_90a there is machine code in torch, vllm")


def test_a_project_for_other_gpus_is_a_problem() -> None:
    (found,) = told({"vllm/a": "sm_80 sm_86", "vllm/b": "sm_100f"})
    assert (found.level, found.row) == (PROBLEM, "47")
    assert found.what == "vllm has machine code for sm_100f, sm_80, sm_86, and none that runs on sm_90a"


def test_nvidias_own_choose_by_themselves() -> None:
    (found,) = told({"nvidia-cufft/a": "sm_75"})
    assert (found.level, found.row) == (NOTE, "")


@pytest.mark.parametrize(
    ("driver", "level"), [("", NOTE), ("580.65.06", NOTE), ("580.50", PROBLEM), ("535.1", PROBLEM)]
)
def test_ptx_alone_needs_a_driver_as_new_as_itself(driver: str, level: str) -> None:
    (found,) = told({"ext/a": "sm_80 compute_80"}, driver=driver)
    assert (found.level, found.row) == (level, "48")
    assert "on sm_90a the driver compiles its PTX" in found.what
    assert level == NOTE or f"needs driver 580.65.06, this host has {driver}" in found.what


def test_each_gpu_is_judged() -> None:
    assert [finding.level for finding in told({"torch/a": "sm_90"}, gpu="sm_120")] == [PROBLEM]
    assert told({}) == []


def test_libraries_that_are_not_sound_are_warnings() -> None:
    broken = Binary(SITE / "x.so", True, None, problem="x.so is no sound ELF file: cut")
    (found,) = judge_unread(Scan((broken, Binary(SITE / "y.so", True, Elf("x86_64")))))
    assert (found.level, found.what) == (WARNING, "x.so is no sound ELF file: cut")

from __future__ import annotations

import pytest

from mirror.closed.doctor.host.driver import judge_devices, judge_driver, what_it_allows
from mirror.closed.doctor.host.nvidia import Gpu, Nvidia
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, WARNING, Finding

NODES = ("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl")
H100 = Gpu("NVIDIA H100 80GB HBM3", "9.0")


def told(**changes: object) -> list[Finding]:
    facts = {"driver": "580.65.06", "gpus": (H100,), "boards": 1, "nodes": NODES, **changes}
    return list(judge_devices(Nvidia(**facts)))  # type: ignore[arg-type]


def test_a_machine_that_can_be_used_is_good() -> None:
    (found,) = told()
    assert (found.level, found.what) == (GOOD, "1 GPU can be opened: 1 x NVIDIA H100 80GB HBM3 (sm_90)")


def test_a_machine_without_gpu_is_only_a_note() -> None:
    (found,) = told(driver="", gpus=(), boards=0, nodes=())
    assert found.level == NOTE
    assert "building for one works" in found.what


def test_a_gpu_without_a_driver_is_a_problem() -> None:
    (found,) = told(driver="", gpus=(), boards=8, nodes=())
    assert (found.level, found.row) == (PROBLEM, "53")
    assert found.what == "8 NVIDIA devices are on the PCI bus, and no NVIDIA driver is loaded"


def test_missing_nodes_are_a_problem() -> None:
    (found,) = told(nodes=())
    assert (found.level, found.row) == (PROBLEM, "53")
    assert "/dev holds no nvidia0" in found.what


def test_nodes_of_others_are_a_problem() -> None:
    (found,) = told(closed_nodes=("/dev/nvidia0 (mode 0660, user 0, group 44)",))
    assert (found.level, found.what) == (PROBLEM, "you may not open /dev/nvidia0 (mode 0660, user 0, group 44)")


def test_a_missing_nvidia_uvm_is_a_problem() -> None:
    levels = {finding.level: finding.what for finding in told(nodes=("/dev/nvidia0", "/dev/nvidiactl"))}
    assert levels[PROBLEM] == "/dev/nvidia-uvm is missing, and every CUDA program needs it"


@pytest.mark.parametrize(("seen", "level"), [(False, WARNING), (True, GOOD)])
def test_switches_want_a_fabric_manager(seen: bool, level: str) -> None:
    found = [finding for finding in told(switches=4, has_fabric_manager=seen) if finding.subject == "fabric manager"]
    assert [finding.level for finding in found] == [level]
    assert seen or found[0].row == "52"


def test_mig_and_excluded_gpus_are_told() -> None:
    found = told(mig_instances=14, gpus=(H100, Gpu("NVIDIA H100 80GB HBM3", "9.0", True)))
    assert [(finding.level, finding.subject) for finding in found[1:]] == [(WARNING, "GPUs"), (NOTE, "MIG")]
    assert found[1].what == "1 of 2 GPUs are excluded by the driver"


@pytest.mark.parametrize(
    ("driver", "release", "level", "row"),
    [
        ("535.104.05", "13.0", PROBLEM, "46"),
        ("525.60.13", "12.8", NOTE, "48"),
        ("525.60.12", "12.8", PROBLEM, "46"),
        ("570.26", "12.8", GOOD, ""),
        ("580.159.04", "13.0", GOOD, ""),
        ("580.159.04", "12.8", GOOD, ""),
    ],
)
def test_a_driver_is_held_against_a_release(driver: str, release: str, level: str, row: str) -> None:
    found = judge_driver(driver, release, "the toolkit")
    assert (found.level, found.row) == (level, row)
    assert driver in found.what
    assert release in found.what


def test_a_driver_that_is_too_old_names_both_sides() -> None:
    found = judge_driver("535.104.05", "13.0", "torch")
    assert found.what == "torch is of CUDA 13.0 and needs driver 580 or newer, this host has 535.104.05"


def test_says_which_cuda_a_driver_allows() -> None:
    assert what_it_allows("580.159.04") == "allows CUDA 13.0 and older"
    assert what_it_allows("418.40") == "comes from before the first CUDA release that mirror knows"

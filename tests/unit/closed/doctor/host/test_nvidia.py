from __future__ import annotations

from pathlib import Path

import pytest

from mirror.closed.doctor.host.nvidia import Gpu, Nvidia, read_nvidia
from mirror.core.cuda.gpus import capability_of

VERSION = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (x)\nGCC version: 15\n"
INFORMATION = """\
Model: \t\t NVIDIA H200
IRQ:   \t\t 41
GPU UUID: \t GPU-39f82936-603a-ee4f-ceb1-14ac504a07be
Bus Location: \t 0000:00:06.0
GPU Excluded:\t No
"""
"""As an H200's driver wrote it."""


class Machine:
    """Trees as the kernel shows them."""

    def __init__(self, root: Path) -> None:
        self.proc, self.dev, self.sys, self.run = (root / name for name in ("proc", "dev", "sys", "run"))

    def put(self, tree: Path, path: str, text: str = "") -> None:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)

    def read(self) -> Nvidia:
        return read_nvidia(self.proc, self.dev, self.sys, self.run)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_without_any_of_it_has_nothing(machine: Machine) -> None:
    assert machine.read() == Nvidia()
    assert machine.read().summary() == "none"


def test_reads_an_h200_machine(machine: Machine) -> None:
    machine.put(machine.proc, "driver/nvidia/version", VERSION)
    for bus in ("0000:00:06.0", "0000:00:07.0"):
        machine.put(machine.proc, f"driver/nvidia/gpus/{bus}/information", INFORMATION)
        machine.put(machine.sys, f"bus/pci/devices/{bus}/vendor", "0x10de\n")
        machine.put(machine.sys, f"bus/pci/devices/{bus}/class", "0x030200\n")
    for node in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "null"):
        machine.put(machine.dev, node)
    found = machine.read()
    assert found.driver == "580.159.04"
    assert found.gpus == (Gpu("NVIDIA H200", "9.0"),) * 2
    assert found.gpus[0].arch == "sm_90"
    assert (found.boards, found.gpu_nodes, found.closed_nodes, found.mig_instances, found.switches) == (2, 2, (), 0, 0)
    assert [Path(node).name for node in found.nodes] == ["nvidia-uvm", "nvidia0", "nvidia1", "nvidiactl"]
    assert found.summary() == "2 x NVIDIA H200 (sm_90)"


def test_other_devices_of_nvidias_are_no_gpus(machine: Machine) -> None:
    for bus, vendor, kind in (("0", "0x10de", "0x040300"), ("1", "0x10de", "0x068000"), ("2", "0x8086", "0x030000")):
        machine.put(machine.sys, f"bus/pci/devices/{bus}/vendor", f"{vendor}\n")
        machine.put(machine.sys, f"bus/pci/devices/{bus}/class", f"{kind}\n")
    assert machine.read().boards == 0


def test_counts_mig_instances_and_switches(machine: Machine) -> None:
    for instance in ("gpu0/mig/gi1", "gpu0/mig/gi2", "gpu1/mig/gi7"):
        machine.put(machine.proc, f"driver/nvidia/capabilities/{instance}/access")
    for bus in ("0000:01:00.0", "0000:02:00.0"):
        machine.put(machine.proc, f"driver/nvidia-nvswitch/devices/{bus}")
    assert (machine.read().mig_instances, machine.read().switches) == (3, 2)


def test_switches_are_also_known_by_their_nodes(machine: Machine) -> None:
    for name in ("nvidia-nvswitch0", "nvidia-nvswitch1", "nvidia-nvswitchctl"):
        machine.put(machine.dev, name)
    assert machine.read().switches == 2


def test_sees_a_fabric_manager_by_its_process_or_its_directory(machine: Machine, tmp_path: Path) -> None:
    machine.put(machine.proc, "4242/comm", "bash\n")
    assert not machine.read().has_fabric_manager
    machine.put(machine.proc, "4243/comm", "nv-fabricmanage\n")
    assert machine.read().has_fabric_manager
    other = Machine(tmp_path / "other")
    other.put(other.run, "nvidia-fabricmanager/socket")
    assert other.read().has_fabric_manager


def test_an_excluded_gpu_and_an_unknown_model_are_told(machine: Machine) -> None:
    machine.put(machine.proc, "driver/nvidia/gpus/0/information", "Model: \t\t NVIDIA Q1\nGPU Excluded:\t Yes\n")
    machine.put(machine.proc, "driver/nvidia/gpus/1/information", "")
    assert machine.read().gpus == (Gpu("NVIDIA Q1", "", True), Gpu("unknown model"))
    assert machine.read().summary() == "1 x NVIDIA Q1 (?), 1 x unknown model (?)"


@pytest.mark.parametrize(
    ("model", "capability"),
    [
        ("NVIDIA H100 80GB HBM3", "9.0"),
        ("NVIDIA GH200 480GB", "9.0"),
        ("NVIDIA H20", "9.0"),
        ("NVIDIA B200", "10.0"),
        ("NVIDIA GB300", "10.3"),
        ("NVIDIA A100-SXM4-80GB", "8.0"),
        ("NVIDIA A10", "8.6"),
        ("NVIDIA L40S", "8.9"),
        ("Tesla T4", "7.5"),
        ("NVIDIA GeForce RTX 4090", "8.9"),
        ("NVIDIA GeForce RTX 5090", "12.0"),
        ("NVIDIA X1", ""),
    ],
)
def test_knows_models_by_their_names(model: str, capability: str) -> None:
    assert capability_of(model) == capability

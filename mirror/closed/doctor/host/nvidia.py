"""The GPUs, their driver and its devices, from what the kernel says of them.

It holds the facts. ``mirror.closed.doctor.host.driver`` judges them; ``mirror.closed.doctor.host.driverapi`` asks the driver
itself.

Rules: files of ``/proc``, ``/sys`` and ``/dev`` are read and nothing is started, for a sick GPU can hang whoever opens it; a
fact that cannot be read is empty; compute capabilities come from the model's name (CUDA.md A12) until the driver tells them.

Example::

    nvidia = read_nvidia()
    nvidia.driver, nvidia.gpus[0].model         # '580.65.06', 'NVIDIA H100 80GB HBM3'
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.host.gpus import describe_gpus
from mirror.closed.host.machine import read_host
from mirror.core.cuda.gpus import capability_of
from mirror.core.names import whole_number
from mirror.core.system.durable import text_of

_NODE = re.compile(r"nvidia\d+")


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        model: as the driver names it.
        capability: ``"9.0"``; empty when the model is not known here.
        is_excluded: taken out of service by the administrator or the driver.
    """

    model: str
    capability: str = ""
    is_excluded: bool = False

    @property
    def arch(self) -> str:
        """As nvcc spells it, ``"sm_90"``; empty when not known."""
        return f"sm_{self.capability.replace('.', '')}" if self.capability else ""


@dataclass(frozen=True)
class Nvidia:
    """What the kernel knows.

    Attributes:
        driver: version of the loaded kernel module; empty when none is loaded.
        gpus: in the order of their bus addresses.
        boards: NVIDIA display or compute devices on the PCI bus, driver or not.
        nodes: ``/dev/nvidia0`` and so on, and ``nvidiactl``, ``nvidia-uvm``.
        closed_nodes: those that this user may not open, with their modes: ``"/dev/nvidia0 (mode 0660, group 44)"``.
        mig_instances: how many slices GPUs are cut into; 0 without MIG.
        switches: NVSwitch devices.
        has_fabric_manager: whether a fabric manager was seen running.
    """

    driver: str = ""
    gpus: tuple[Gpu, ...] = ()
    boards: int = 0
    nodes: tuple[str, ...] = ()
    closed_nodes: tuple[str, ...] = ()
    mig_instances: int = 0
    switches: int = 0
    has_fabric_manager: bool = False

    @property
    def gpu_nodes(self) -> int:
        return sum(_NODE.fullmatch(Path(node).name) is not None for node in self.nodes)

    def summary(self) -> str:
        """``"8 x NVIDIA H100 80GB HBM3 (sm_90)"``."""
        counts = Counter((gpu.model, gpu.arch) for gpu in self.gpus)
        return ", ".join(f"{count} x {model} ({arch or '?'})" for (model, arch), count in counts.items()) or "none"


def read_nvidia(
    proc: Path = Path("/proc"), dev: Path = Path("/dev"), sys: Path = Path("/sys"), run: Path = Path("/run")
) -> Nvidia:
    """Look at this machine; the arguments are where the kernel's trees are."""
    nodes = tuple(
        node for node in _listed(dev) if _NODE.fullmatch(node.name) or node.name in ("nvidiactl", "nvidia-uvm")
    )
    return Nvidia(
        driver=read_host(proc, dev).driver,
        gpus=tuple(map(_gpu, describe_gpus(proc))),
        boards=sum(_is_board(device) for device in _listed(sys / "bus/pci/devices")),
        nodes=tuple(map(str, nodes)),
        closed_nodes=tuple(_mode(node) for node in nodes if not os.access(node, os.R_OK | os.W_OK)),
        mig_instances=len(list(_globbed(proc / "driver/nvidia/capabilities", "gpu*/mig/gi*"))),
        switches=len(_listed(proc / "driver/nvidia-nvswitch/devices"))
        or len(list(_globbed(dev, "nvidia-nvswitch[0-9]*"))),
        has_fabric_manager=_has_fabric_manager(proc, run),
    )


def _listed(place: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(place.iterdir())
    return []


def _globbed(place: Path, pattern: str) -> Iterator[Path]:
    with suppress(OSError):
        yield from place.glob(pattern)


def _gpu(facts: Mapping[str, str]) -> Gpu:
    model = facts.get("Model") or "unknown model"
    return Gpu(model, capability_of(model), facts.get("GPU Excluded") == "Yes")


def _is_board(device: Path) -> bool:
    """NVIDIA's vendor number, and the PCI class of a display or 3D controller (not its audio or its bridges)."""
    return text_of(device / "vendor").strip() == "0x10de" and text_of(device / "class").startswith("0x03")


def _mode(node: Path) -> str:
    try:
        facts = node.stat()
    except OSError:
        return str(node)
    return f"{node} (mode {stat.S_IMODE(facts.st_mode):04o}, user {facts.st_uid}, group {facts.st_gid})"


def _has_fabric_manager(proc: Path, run: Path) -> bool:
    # The kernel keeps 15 letters of a program's name. Inside a container the daemon is on the other side, and only its
    # directory may be mounted.
    processes = (place for place in _listed(proc) if whole_number(place.name) is not None)
    return any(text_of(place / "comm").startswith("nv-fabricmanage") for place in processes) or bool(
        _listed(run / "nvidia-fabricmanager")
    )

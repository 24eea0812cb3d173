"""The GPUs, their devices and their driver, judged: can this user get at them, and is the driver new enough.

Facts come from ``mirror.closed.doctor.host.nvidia``, what a CUDA release asks of a driver from ``mirror.core.cuda.releases``.

Rule: a machine without GPU and driver is a fine place to build on, and only a note; one with a GPU that cannot be used is a
problem.

Example::

    judge_driver("535.104.05", "13.0", "the toolkit").level     # 'problem'
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mirror.closed.doctor.host.nvidia import Nvidia
from mirror.core.cuda.releases import driver_floor, native_driver, newest_release, version_tuple
from mirror.core.logs.finding import About, Finding
from mirror.core.words import counted

_MODULE = "/proc/driver/nvidia"


def judge_devices(nvidia: Nvidia) -> Iterable[Finding]:
    """Whether this user can get at the GPUs that are there."""
    if not nvidia.driver:
        yield _no_driver(nvidia)
        return
    if not nvidia.gpu_nodes:
        yield About("GPU devices").problem(
            f"driver {nvidia.driver} is loaded, and /dev holds no nvidia0 for its GPUs",
            cause="the device nodes were not made, or this container was started without them",
            proof="ls -l /dev/nvidia*",
            fix="ask the administrator to run 'nvidia-modprobe -c 0 -u', or start the container with its GPUs",
            row="53",
        )
    elif nvidia.closed_nodes:
        yield About("GPU devices").problem(
            f"you may not open {', '.join(nvidia.closed_nodes)}",
            cause="the nodes belong to a group that this user is not in",
            proof="ls -l /dev/nvidia*; id",
            fix="ask to be added to that group, or for NVreg_DeviceFileMode=0666",
            row="53",
        )
    else:
        yield About("GPU devices").good(f"{counted(nvidia.gpu_nodes, 'GPU')} can be opened: {nvidia.summary()}")
    if nvidia.gpu_nodes and "nvidia-uvm" not in {Path(node).name for node in nvidia.nodes}:
        yield About("GPU devices").problem(
            "/dev/nvidia-uvm is missing, and every CUDA program needs it",
            cause="the module nvidia_uvm is not loaded",
            proof="ls -l /dev/nvidia-uvm",
            fix="ask the administrator to run 'nvidia-modprobe -u -c 0'",
            row="53",
        )
    yield from _oddities(nvidia)


def _no_driver(nvidia: Nvidia) -> Finding:
    proof = f"{_MODULE}/version"
    if nvidia.boards:
        return About("driver").problem(
            f"{nvidia.boards} NVIDIA devices are on the PCI bus, and no NVIDIA driver is loaded",
            cause="the kernel module is not installed, or failed to load after a kernel update",
            proof=proof,
            fix="ask the administrator for NVIDIA's driver: it is the one part that needs root",
            row="53",
        )
    return About("driver").note(
        "no NVIDIA driver and no NVIDIA GPU: nothing can run on a GPU here, building for one works",
        cause="it is no GPU server, or its GPUs were not given to this container or virtual machine",
        proof=proof,
        fix="to serve, use a host with GPUs, or have them given to this one; to build, nothing",
    )


def _oddities(nvidia: Nvidia) -> Iterable[Finding]:
    excluded = [gpu.model for gpu in nvidia.gpus if gpu.is_excluded]
    if excluded:
        yield About("GPUs").warning(
            f"{len(excluded)} of {len(nvidia.gpus)} GPUs are excluded by the driver",
            cause="the administrator excluded them, or they failed",
            proof=f"{_MODULE}/gpus/*/information",
            fix="ask the administrator; start servers with fewer GPUs until then",
        )
    if nvidia.mig_instances:
        yield About("MIG").note(
            f"GPUs are cut into {nvidia.mig_instances} MIG instances: a process sees one of them only",
            cause="the administrator divided them, so that several users can share one",
            proof=f"{_MODULE}/capabilities",
            fix="tensor parallelism needs whole GPUs: ask for MIG to be turned off",
        )
    if nvidia.switches and not nvidia.has_fabric_manager:
        yield About("fabric manager").warning(
            f"the machine has {nvidia.switches} NVSwitches, and no fabric manager was seen running",
            cause="nvidia-fabricmanager is not started, or runs outside of this container",
            proof="/proc/*/comm, /run",
            fix="if CUDA answers 802, ask the administrator to start nvidia-fabricmanager of the driver's own version",
            row="52",
        )
    elif nvidia.switches:
        yield About("fabric manager").good(f"it runs, for {nvidia.switches} NVSwitches")


def what_it_allows(driver: str) -> str:
    """Which CUDA a driver supports by itself, to follow its version in a sentence."""
    newest = newest_release(driver)
    return f"allows CUDA {newest} and older" if newest else "comes from before the first CUDA release that mirror knows"


def judge_driver(driver: str, release: str, what: str) -> Finding:
    """A loaded driver against the CUDA release of a toolkit or of torch.

    Args:
        driver: its version.
        release: ``"13.0"``.
        what: what is of that release, ``"the toolkit"``.
    """
    floor, native, allows = driver_floor(release), native_driver(release), what_it_allows(driver)
    proof = f"{_MODULE}/version"
    if floor and version_tuple(driver) < version_tuple(floor):
        return About("driver").problem(
            f"{what} is of CUDA {release} and needs driver {floor} or newer, this host has {driver}",
            cause=f"the driver {allows}, and its major release is behind",
            proof=proof,
            fix=f"ask for driver {floor} or newer, lock the stack for an older CUDA, or use cuda-compat",
            row="46",
        )
    if native and version_tuple(driver) < version_tuple(native):
        return About("driver").note(
            f"driver {driver} {allows}; {what} of CUDA {release} runs by minor version compatibility",
            cause=f"PTX of CUDA {release} cannot be loaded below driver {native}, machine code can",
            proof=proof,
            fix=f"driver {native} takes that limit away",
            row="48",
        )
    return About("driver").good(f"driver {driver} {allows}; {what} is of CUDA {release}")

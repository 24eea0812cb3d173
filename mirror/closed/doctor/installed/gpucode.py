"""For which GPUs the wheels' libraries hold code, against the GPUs that are there and the one that the stack is for.

Rules: a library may well be for other GPUs only (vLLM carries one for Blackwell), so a project is judged by all its libraries
together; NVIDIA's own choose kernels by themselves and carry code in other forms, and are never held against the stack; a
project that can be served by PTX alone is compiled by the driver at its first start, if the driver is new enough.

Example::

    for finding in judge_code(scan, owners, ["sm_90"], driver="580.65.06", release="13.0"): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mirror.closed.doctor.installed.binaries import Binary, Scan
from mirror.core.binaries.fatbin import Image
from mirror.core.cuda.releases import native_driver, version_tuple
from mirror.core.logs.finding import NOTE, PROBLEM, About, Finding

_CHOOSERS = ("nvidia-", "pynvvideocodec", "torchcodec")


def judge_code(
    scan: Scan, owner_of: Mapping[Path, str], gpus: Iterable[str], driver: str, release: str
) -> Iterable[Finding]:
    """Whether there is code for each GPU.

    Args:
        scan: the generation's libraries.
        owner_of: file -> project.
        gpus: architectures that matter: the target's, and those of the GPUs that are there.
        driver: the loaded driver's version; empty when there is none.
        release: the CUDA release that torch was built with, whose PTX it is.
    """
    by_project: dict[str, list[Binary]] = {}
    for binary in scan.libraries:
        if binary.images:
            by_project.setdefault(owner_of.get(binary.path, binary.path.parent.name), []).append(binary)
    for gpu in gpus:
        served, choosing = [], []
        for project, binaries in sorted(by_project.items()):
            images = {image for binary in binaries for image in binary.images}
            if any(image.serves(gpu) and not image.is_ptx for image in images):
                served.append(project)
            elif project.startswith(_CHOOSERS):
                choosing.append(project)
            else:
                yield _judge_project(project, binaries, gpu, driver, release)
        if served:
            yield About("GPU code").good(f"for {gpu} there is machine code in {', '.join(served)}")
        if choosing:
            what = f"{', '.join(choosing)} hold no machine code for {gpu}; they bring it in other forms, or pick other kernels"
            yield About("GPU code").note(
                what,
                cause="they hold kernels for other GPUs, and compile or load what this one needs when they start",
                proof=".nv_fatbin",
                fix="nothing, unless a server says that no kernel is there for its GPU: then 'mirror doctor --log' explains it",
            )


def _judge_project(project: str, binaries: list[Binary], gpu: str, driver: str, release: str) -> Finding:
    """A project without machine code for the GPU."""
    images = {image for binary in binaries for image in binary.images}
    serving = [image for image in images if image.serves(gpu)]
    proof = f".nv_fatbin of {', '.join(sorted(binary.path.name for binary in binaries)[:3])}"
    what = f"{project} has machine code for {_listed(images)}"
    if not serving:
        return About("GPU code").problem(
            f"{what}, and none that runs on {gpu}",
            cause="the wheel was built for other GPUs",
            proof=proof,
            fix=f"take a wheel that was built for {gpu}, or let mirror build it from source ([build] in NAME.toml)",
            row="47",
        )
    native = native_driver(release)
    too_old = bool(driver and native and version_tuple(driver) < version_tuple(native))
    return About("GPU code").at(
        PROBLEM if too_old else NOTE,
        f"{what}; on {gpu} the driver compiles its PTX"
        + (
            f", and PTX of CUDA {release} needs driver {native}, this host has {driver}"
            if too_old
            else " at the first start"
        ),
        cause="the wheel was built for other GPUs, with PTX for those to come",
        proof=proof,
        fix=f"driver {native}, or a wheel that was built for {gpu}"
        if too_old
        else f"nothing; a wheel that was built for {gpu} starts sooner",
        row="48",
    )


def judge_unread(scan: Scan) -> Iterable[Finding]:
    """Files that are named like libraries and are not sound."""
    for binary in scan.binaries:
        if binary.problem:
            yield About("libraries").warning(
                binary.problem,
                cause="the file was cut short or altered after the installation",
                proof=str(binary.path),
                fix="install the bundle again: 'mirror install' puts a new generation beside this one",
            )


def _listed(images: Iterable[Image]) -> str:
    archs = sorted({image.arch for image in images if not image.is_ptx})
    return ", ".join(archs) or "no GPU"

"""What a CUDA release allows: GPUs, drivers, host compilers, and the component versions that make it up.

Facts from CUDA.md A8, A10, A11 and A12, each as a function of the release. What a machine has is read elsewhere.

Rule: for a release, a component or a GPU that the tables do not hold, the answer is None or empty: not known, not refused.

Example::

    >>> gcc_ceiling("12.8"), driver_floor("13.0"), first_release("sm_90a")
    (14, '580', '12.0')
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mirror.core.components import release_pair

_GCC = (("12.0", 12), ("12.4", 13), ("12.8", 14), ("13.0", 15), ("13.4", 16))
"""First release -> newest major version of gcc that its ``crt/host_config.h`` takes (CUDA.md A10)."""

_FLOORS = {"11": "450.80.02", "12": "525.60.13", "13": "580"}
"""Major release -> oldest driver by minor version compatibility (CUDA.md A11)."""

_NATIVE = {"12.4": "550.54.14", "12.6": "560.28.03", "12.8": "570.26", "12.9": "575.51.03", "13.0": "580.65.06",
           "13.1": "590.44.01"}  # fmt: skip
"""Release -> the driver that it was shipped with (CUDA.md A11)."""

_GPUS = {"75": "10.0", "80": "11.0", "86": "11.1", "87": "11.4", "89": "11.8", "90": "11.8", "90a": "12.0", "100": "12.8",
         "100a": "12.8", "103": "12.9", "103a": "12.9", "107": "13.4", "110": "13.0", "120": "12.8", "120a": "12.8",
         "121": "12.9", "121a": "12.9"}  # fmt: skip
"""Compute capability -> first toolkit release (CUDA.md A12)."""

_PARTS = ("nvcc", "cudart", "cccl", "nvrtc", "cublas", "cusparse", "cusolver", "curand")
VERSIONS: Mapping[str, Mapping[str, str]] = {
    release: dict(zip(_PARTS, versions.split()))
    for release, versions in {
        "12.4.1": "12.4.131 12.4.127 12.4.127 12.4.127 12.4.5.8 12.3.1.170 11.6.1.9 10.3.5.147",
        "12.6.3": "12.6.85 12.6.77 12.6.77 12.6.85 12.6.4.1 12.5.4.2 11.7.1.2 10.3.7.77",
        "12.8.1": "12.8.93 12.8.90 12.8.90 12.8.93 12.8.4.1 12.5.8.93 11.7.3.90 10.3.9.90",
        "12.8.2": "12.8.93 12.8.90 12.8.90 12.8.93 12.8.5.5 12.5.8.93 11.7.3.90 10.3.9.90",
        "12.9.1": "12.9.86 12.9.79 12.9.27 12.9.86 12.9.1.4 12.5.10.65 11.7.5.82 10.3.10.19",
        "13.0.2": "13.0.88 13.0.96 13.0.85 13.0.88 13.1.0.3 12.6.3.3 12.0.4.66 10.4.0.35",
    }.items()
}
"""Patch release -> component -> version (CUDA.md A8)."""


def gcc_ceiling(release: str) -> int | None:
    """The newest major version of gcc that nvcc of this release works with."""
    fitting = [newest for first, newest in _GCC if release_pair(first) <= release_pair(release)]
    return fitting[-1] if fitting else None


def driver_floor(release: str) -> str:
    """The oldest driver on which programs of this release start, ``"525.60.13"``; empty when not known."""
    return _FLOORS.get(release.partition(".")[0], "")


def native_driver(release: str) -> str:
    """The driver that the release was shipped with: below it, PTX of this release cannot be loaded; empty when not known."""
    return _NATIVE.get(release, "")


def newest_release(driver: str) -> str:
    """The newest CUDA release that a driver of this version supports natively, ``"12.9"``; empty when older than all known."""
    fitting = [release for release, native in _NATIVE.items() if version_tuple(native) <= version_tuple(driver)]
    return max(fitting, key=release_pair, default="")


def first_release(gpu: str) -> str:
    """The first toolkit that compiles for a GPU (``"sm_90a"``), ``"12.0"``; empty when not known."""
    return _GPUS.get(gpu[3:] if gpu.startswith("sm_") else gpu, "")


def version_tuple(version: str) -> tuple[int, ...]:
    """``"570.124.06"`` as numbers that compare."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def fitting_releases(versions: Mapping[str, str]) -> tuple[str, ...]:
    """The patch releases, of those known, that hold exactly these components.

    Args:
        versions: component (``"nvcc"``, ``"cudart"``, ...) -> version; components that the table lacks are ignored.
    """
    known = {part: version for part, version in versions.items() if part in _PARTS}
    return tuple(release for release, table in VERSIONS.items() if known.items() <= table.items())


def known_patches(release: str) -> Iterable[str]:
    """The patch releases of a release that the table holds: ``("12.8.1", "12.8.2")`` for ``"12.8"``."""
    return tuple(patch for patch in VERSIONS if patch.rpartition(".")[0] == release)

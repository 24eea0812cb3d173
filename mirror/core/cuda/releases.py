"""What a CUDA release allows: drivers, host compilers, and the component versions that make it up.

Facts from CUDA.md A8, A10 and A11, each as a function of the release; ``mirror.core.cuda.gpus`` has what each compiles for.
What a machine has is read elsewhere.

Rule: for a release or a component that the tables do not hold, the answer is None or empty: not known, not refused.

Example::

    >>> gcc_ceiling("12.8"), driver_floor("13.0"), native_driver("12.8")
    (14, '580', '570.26')
"""

from __future__ import annotations

from collections.abc import Mapping

from mirror.core.cuda.components import release_pair
from mirror.core.names import dotted_numbers

_GCC = (("12.0", 12), ("12.4", 13), ("12.8", 14), ("13.0", 15), ("13.4", 16))
"""First release -> newest major version of gcc that its ``crt/host_config.h`` takes (CUDA.md A10)."""

GCC_FLOOR = 9
"""The oldest gcc that C++17 kernels work with in practice (CUDA.md A10)."""

_FLOORS = {"11": "450.80.02", "12": "525.60.13", "13": "580"}
"""Major release -> oldest driver by minor version compatibility (CUDA.md A11)."""

_NATIVE = {"12.4": "550.54.14", "12.6": "560.28.03", "12.8": "570.26", "12.9": "575.51.03", "13.0": "580.65.06",
           "13.1": "590.44.01"}  # fmt: skip
"""Release -> the driver that it was shipped with (CUDA.md A11)."""

PARTS = ("nvcc", "cudart", "cccl", "nvrtc", "cublas", "cusparse", "cusolver", "curand")
"""The components of ``VERSIONS``, by role. Parts of one component (``crt`` of nvcc, ``X-devel`` of X) have its version."""

VERSIONS: Mapping[str, Mapping[str, str]] = {
    release: dict(zip(PARTS, versions.split()))
    for release, versions in {
        "12.4.0": "12.4.99 12.4.99 12.4.99 12.4.99 12.4.2.65 12.3.0.142 11.6.0.99 10.3.5.119",
        "12.4.1": "12.4.131 12.4.127 12.4.127 12.4.127 12.4.5.8 12.3.1.170 11.6.1.9 10.3.5.147",
        "12.5.0": "12.5.40 12.5.39 12.5.39 12.5.40 12.5.2.13 12.4.1.24 11.6.2.40 10.3.6.39",
        "12.5.1": "12.5.82 12.5.82 12.5.39 12.5.82 12.5.3.2 12.5.1.3 11.6.3.83 10.3.6.82",
        "12.6.0": "12.6.20 12.6.37 12.6.37 12.6.20 12.6.0.22 12.5.2.23 11.6.4.38 10.3.7.37",
        "12.6.1": "12.6.68 12.6.68 12.6.37 12.6.68 12.6.1.4 12.5.3.3 11.6.4.69 10.3.7.68",
        "12.6.2": "12.6.77 12.6.77 12.6.77 12.6.77 12.6.3.3 12.5.4.2 11.7.1.2 10.3.7.77",
        "12.6.3": "12.6.85 12.6.77 12.6.77 12.6.85 12.6.4.1 12.5.4.2 11.7.1.2 10.3.7.77",
        "12.8.0": "12.8.61 12.8.57 12.8.55 12.8.61 12.8.3.14 12.5.7.53 11.7.2.55 10.3.9.55",
        "12.8.1": "12.8.93 12.8.90 12.8.90 12.8.93 12.8.4.1 12.5.8.93 11.7.3.90 10.3.9.90",
        "12.8.2": "12.8.93 12.8.90 12.8.90 12.8.93 12.8.5.5 12.5.8.93 11.7.3.90 10.3.9.90",
        "12.9.0": "12.9.41 12.9.37 12.9.27 12.9.41 12.9.0.13 12.5.9.5 11.7.4.40 10.3.10.19",
        "12.9.1": "12.9.86 12.9.79 12.9.27 12.9.86 12.9.1.4 12.5.10.65 11.7.5.82 10.3.10.19",
        "12.9.2": "12.9.86 12.9.79 12.9.27 12.9.86 12.9.2.10 12.5.10.65 11.7.5.82 10.3.10.19",
        "13.0.0": "13.0.48 13.0.48 13.0.50 13.0.48 13.0.0.19 12.6.2.49 12.0.3.29 10.4.0.35",
        "13.0.1": "13.0.88 13.0.88 13.0.85 13.0.88 13.0.2.14 12.6.3.3 12.0.4.66 10.4.0.35",
        "13.0.2": "13.0.88 13.0.96 13.0.85 13.0.88 13.1.0.3 12.6.3.3 12.0.4.66 10.4.0.35",
        "13.0.3": "13.0.88 13.0.96 13.0.85 13.0.88 13.1.1.3 12.6.3.3 12.0.4.66 10.4.0.35",
        "13.1.0": "13.1.80 13.1.80 13.1.78 13.1.80 13.2.0.9 12.7.2.19 12.0.7.41 10.4.1.34",
        "13.1.1": "13.1.115 13.1.80 13.1.115 13.1.115 13.2.1.1 12.7.3.1 12.0.9.81 10.4.1.81",
        "13.1.2": "13.1.115 13.1.80 13.1.115 13.1.115 13.2.2.2 12.7.3.1 12.0.9.81 10.4.1.81",
        "13.2.0": "13.2.51 13.2.51 13.2.27 13.2.51 13.3.0.5 12.7.9.17 12.1.0.51 10.4.2.51",
        "13.2.1": "13.2.78 13.2.75 13.2.75 13.2.78 13.4.0.1 12.7.10.1 12.2.0.1 10.4.2.55",
        "13.2.2": "13.2.86 13.2.86 13.2.86 13.2.86 13.4.1.3 12.7.10.12 12.2.0.11 10.4.2.66",
        "13.3.0": "13.3.33 13.3.29 13.3.3.3.1 13.3.33 13.5.1.27 12.8.1.7 12.2.2.18 10.4.3.29",
        "13.3.1": "13.3.73 13.3.29 13.3.3.4.1 13.3.33 13.6.0.2 12.8.2.51 12.2.6.9 10.4.3.29",
        "13.4.1": "13.4.59 13.4.49 13.3.4.2.1 13.4.59 13.7.0.27 12.8.6.49 12.3.2.15 10.4.4.49",
        "13.4.2": "13.4.92 13.4.92 13.3.4.3.1 13.4.92 13.8.0.4 12.8.6.72 12.3.4.7 10.4.4.72",
        "13.4.3": "13.4.92 13.4.92 13.3.4.3.1 13.4.92 13.8.0.4 12.8.6.72 12.3.5.3 10.4.4.72",
    }.items()
}
"""Patch release -> component -> version, oldest first: CUDA.md A8, and the other pins of the same ``cuda-toolkit`` metapackage
on the index, from 12.4.0 to 13.4.3. Published lists of RPMs (12.8.2, 12.9.2, 13.0.0, 13.0.1, 13.1.1, 13.3.1, 13.4.1) say the
same. For 12.5.1 the metapackage repeats 12.5.0, so its row is the packages'. There is no 12.7, of 13.4.0 only a candidate."""

RELEASES = ("11.8", "12.0", "12.1", "12.2", "12.3", *dict.fromkeys(patch.rpartition(".")[0] for patch in VERSIONS))
"""Every release since 11.8, oldest first; of those before 12.4 the parts are not known here."""


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


def version_tuple(version: str) -> tuple[int, ...]:
    """``"570.124.06"`` as numbers that compare."""
    return dotted_numbers(version)


def known_patches(release: str) -> tuple[str, ...]:
    """The patch releases of a release that the table holds, oldest first: ``("12.9.0", "12.9.1", "12.9.2")`` for ``"12.9"``."""
    return tuple(patch for patch in VERSIONS if patch.rpartition(".")[0] == release)

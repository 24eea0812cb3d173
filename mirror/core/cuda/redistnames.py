"""What NVIDIA calls a toolkit component in ``redistrib_X.Y.Z.json``, beside what its RPM packages are called.

``mirror.core.cuda.components`` holds roles and RPM names. An archive holds what several RPMs hold: runtime and devel together,
the driver's stub with the runtime, and before 13.0 the whole compiler in ``cuda_nvcc`` (CUDA.md A9; the manifests from 12.6.3
to 13.4.2 were compared, and a listing of 12.6.3's archives: ``libcuda.so`` and ``libculibos.a`` lie in ``cuda_cudart``).

Rule: where a role is not in the table, there is none; nothing is guessed.

Example::

    >>> redist_name("nvvm", "12.6"), redist_name("nvvm", "13.0"), redist_name("driver-devel", "13.0")
    ('cuda_nvcc', 'libnvvm', 'cuda_cudart')
"""

from __future__ import annotations

from collections.abc import Mapping

from mirror.core.cuda.components import package_name, release_pair, role_of

PLATFORMS = {"x86_64": "linux-x86_64", "aarch64": "linux-sbsa"}
"""The target's architecture -> NVIDIA's name of the platform."""

_ALWAYS = (0, 0)
_NAMES: Mapping[str, tuple[tuple[tuple[int, int], str], ...]] = {
    "nvcc": ((_ALWAYS, "cuda_nvcc"),),
    "crt": ((_ALWAYS, "cuda_nvcc"), ((13, 0), "cuda_crt")),
    "nvvm": ((_ALWAYS, "cuda_nvcc"), ((13, 0), "libnvvm")),
    "nvptxcompiler": ((_ALWAYS, "cuda_nvcc"), ((13, 0), "libnvptxcompiler")),
    "culibos-devel": ((_ALWAYS, "cuda_cudart"), ((13, 0), "cuda_culibos")),
    "cccl": ((_ALWAYS, "cuda_cccl"), ((13, 3), "cccl")),
    **dict.fromkeys(("cudart", "cudart-devel", "driver-devel"), ((_ALWAYS, "cuda_cudart"),)),
    **dict.fromkeys(("nvrtc", "nvrtc-devel"), ((_ALWAYS, "cuda_nvrtc"),)),
    **{role: ((_ALWAYS, f"cuda_{role}"),) for role in ("cuobjdump", "nvdisasm", "nvprune", "cuxxfilt", "cupti", "nvtx")},
    "profiler-api": ((_ALWAYS, "cuda_profiler_api"),),
    "nvml-devel": ((_ALWAYS, "cuda_nvml_dev"),),
    "sanitizer": ((_ALWAYS, "cuda_sanitizer_api"),),
    **{role: ((_ALWAYS, f"lib{component}"),) for component in (
        "cublas", "cusparse", "cusolver", "curand", "cufft", "nvjitlink", "nvfatbin", "cufile", "npp", "nvjpeg",
    ) for role in (component, f"{component}-devel")},
}  # fmt: skip
"""Role -> (first release, key in the JSON), oldest first. ``compat`` is a driver's part and not among them."""


def redist_name(role: str, release: str) -> str:
    """The key of the component that holds a role's files in a release, ``"libnvvm"``; empty when there is none."""
    names = [name for first, name in _NAMES.get(role, ()) if first <= release_pair(release)]
    return names[-1] if names else ""


def redist_name_of(package: str, release: str) -> str:
    """The key of the component that holds what an RPM package holds: ``"cuda_cudart"`` for ``cuda-driver-devel-12-6``."""
    return redist_name(role_of(package), release)


def asked_for_by(package: str) -> tuple[str, str]:
    """The table and the key of NAME.toml that name a package: RPMs end in ``-X-Y``, NVIDIA's components have no dash."""
    return ("[rpms]", "packages") if "-" in package else ("[redist]", "components")


def rpm_names(component: str, release: str) -> tuple[str, ...]:
    """The RPM packages whose files a component holds: ``("cuda-cudart-12-6", ...)`` for ``"cuda_cudart"``, sorted."""
    roles = (role for role in _NAMES if redist_name(role, release) == component)
    return tuple(sorted(name for role in roles if (name := package_name(role, release))))

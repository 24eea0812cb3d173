"""The components of a CUDA toolkit: what NVIDIA's packages are called in each release, what each is known to bring.

A component is named here by its role, ``"nvvm"``, which stays while the package's name changes from release to release (CUDA.md
A2). ``mirror.connected.toolchain.closure`` knows which packages a repository offers, and an RPM's header what it holds; this
table is for the time before there is an RPM (a stack's wishes) and after it is missing (a compiler's error).

Rule: where a file is not in the table, it is said to be unknown, never guessed.

Example::

    >>> package_name("nvvm", "12.8"), package_name("nvvm", "13.0")
    ('cuda-nvvm-12-8', 'libnvvm-13-0')
    >>> bringer("nv/target", "13.3")
    'cccl-13-3'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mirror.core.names import whole_number
from mirror.core.words import meant

_ALWAYS = (0, 0)
_NAMES: Mapping[str, tuple[tuple[tuple[int, int], str], ...]] = {
    "nvvm": ((_ALWAYS, "cuda-nvvm"), ((13, 0), "libnvvm")),
    "nvptxcompiler": (((13, 0), "libnvptxcompiler"),),
    "culibos-devel": (((13, 0), "cuda-culibos-devel"),),
    "cccl": ((_ALWAYS, "cuda-cccl"), ((13, 3), "cccl")),
    **{role: ((_ALWAYS, f"cuda-{role}"),) for role in (
        "nvcc", "crt", "cudart", "cudart-devel", "driver-devel", "nvrtc", "nvrtc-devel", "profiler-api", "nvtx",
        "nvml-devel", "cupti", "cuobjdump", "nvdisasm", "nvprune", "cuxxfilt", "sanitizer", "compat",
    )},
    **{role: ((_ALWAYS, f"lib{role}"),) for component in (
        "cublas", "cusparse", "cusolver", "curand", "cufft", "nvjitlink", "nvfatbin", "cufile", "npp", "nvjpeg",
    ) for role in (component, f"{component}-devel")},
}  # fmt: skip
"""Role -> (first release, stem of the package's name), oldest first; a role without a fitting line does not exist there."""

_COMPILER = ("nvcc", "crt", "nvvm", "nvptxcompiler", "cudart", "cudart-devel", "cccl")
_JIT = (*_COMPILER, "driver-devel", "cublas", "cublas-devel", "nvrtc", "nvrtc-devel", "curand", "curand-devel")
SETS: Mapping[str, tuple[str, ...]] = {
    "nvcc": _COMPILER,
    "flashinfer-jit": _JIT,
    "vllm-source": (
        *_JIT, "cusparse", "cusparse-devel", "cusolver", "cusolver-devel", "nvjitlink", "nvjitlink-devel", "profiler-api",
        "nvtx",
    ),
}  # fmt: skip
"""What each consumer cannot work without, by role (CUDA.md A7). Triton and torch's inductor need none of it."""

_COMPILER_ROOTS = ("nvcc", "cudart-devel")
_JIT_ROOTS = (*_COMPILER_ROOTS, "driver-devel", "cublas-devel", "nvrtc-devel", "curand-devel")
ROOTS: Mapping[str, tuple[str, ...]] = {
    "nvcc": _COMPILER_ROOTS,
    "flashinfer-jit": _JIT_ROOTS,
    "vllm-source": (*_JIT_ROOTS, "cusparse-devel", "cusolver-devel", "nvjitlink-devel", "profiler-api", "nvtx"),
}
"""The part of each set that no other part of it asks for by its own Requires (CUDA.md A3): what a lock says is wanted."""

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "flashinfer-jit": ("cuobjdump", "culibos-devel"),
    "vllm-source": ("cuobjdump", "culibos-devel"),
}
"""What goes with a set where there is one: the lister of compiled GPUs, and what static CUDA libraries link (CUDA.md A7)."""

_FILES: Mapping[str, str] = {
    "bin/nvcc": "nvcc", "bin/nvcc.profile": "nvcc", "bin/cudafe++": "nvcc", "bin/ptxas": "nvcc", "bin/fatbinary": "nvcc",
    "bin/bin2c": "nvcc", "bin/nvlink": "nvcc", "nvvm/bin/cicc": "nvvm", "nvvm/libdevice/libdevice.10.bc": "nvvm",
    "nvvm/lib64/libnvvm.so": "nvvm", "bin/cuobjdump": "cuobjdump", "bin/nvdisasm": "nvdisasm", "bin/cu++filt": "cuxxfilt",
    "include/nv/target": "cccl", "include/cub/": "cccl", "include/thrust/": "cccl", "include/cuda/": "cccl",
    "include/cccl/": "cccl", "include/crt/": "crt", "include/cuda.h": "cudart-devel",
    "include/cuda_runtime.h": "cudart-devel", "include/cuda_runtime_api.h": "cudart-devel",
    "include/cuda_fp16.h": "cudart-devel", "include/cuda_bf16.h": "cudart-devel", "include/cuda_fp8.h": "cudart-devel",
    "include/cuda_fp6.h": "cudart-devel", "include/cuda_fp4.h": "cudart-devel", "include/cooperative_groups.h": "cudart-devel",
    "include/cooperative_groups/": "cudart-devel", "include/mma.h": "cudart-devel", "include/cudaTypedefs.h": "cudart-devel",
    "include/cuda_profiler_api.h": "profiler-api", "include/cuda_pipeline.h": "cudart-devel",
    "include/nvrtc.h": "nvrtc-devel", "include/curand_kernel.h": "curand-devel", "include/curand.h": "curand-devel",
    "include/cublas_v2.h": "cublas-devel", "include/cublasLt.h": "cublas-devel", "include/cublas.h": "cublas-devel",
    "include/cusparse.h": "cusparse-devel", "include/cusolverDn.h": "cusolver-devel", "include/nvJitLink.h": "nvjitlink-devel",
    "include/nvml.h": "nvml-devel", "include/nvtx3/": "nvtx", "include/cupti.h": "cupti", "include/cufft.h": "cufft-devel",
    "lib/libcudart.so": "cudart-devel", "lib/libcudart_static.a": "cudart-devel", "lib/libcudadevrt.a": "cudart-devel",
    "lib/stubs/libcuda.so": "driver-devel", "lib/libcudart.so.": "cudart",
    **{f"lib/lib{name}.so": f"{component}-devel" for component, names in {
        "cublas": ("cublas", "cublasLt"), "cusparse": ("cusparse",), "cusolver": ("cusolver",), "curand": ("curand",),
        "nvrtc": ("nvrtc", "nvrtc-builtins"), "nvjitlink": ("nvJitLink",), "cufft": ("cufft",),
    }.items() for name in names},
    **{f"lib/lib{name}.so.": component for component, names in {
        "cublas": ("cublas", "cublasLt"), "cusparse": ("cusparse",), "cusolver": ("cusolver",), "curand": ("curand",),
        "nvrtc": ("nvrtc", "nvrtc-builtins"), "nvjitlink": ("nvJitLink",), "cufft": ("cufft",),
    }.items() for name in names},
}  # fmt: skip
"""File -> role (CUDA.md A6), paths below the CUDA home; a key that ends with "/" or "." stands for all that begins so."""


def release_pair(release: str) -> tuple[int, int]:
    """``"13.0"`` as numbers."""
    major, _, minor = release.partition(".")
    return int(major), int(minor)


def package_name(role: str, release: str) -> str:
    """What the component's package is called in a release, ``"libnvvm-13-0"``; empty when that release has none."""
    pair = release_pair(release)
    stems = [stem for first, stem in _NAMES.get(role, ()) if first <= pair]
    return f"{stems[-1]}-{pair[0]}-{pair[1]}" if stems else ""


def role_of(package: str) -> str:
    """The role of a package, whatever its release: ``"cccl"`` for ``cuda-cccl-12-8`` and ``cccl-13-3``; empty when unknown."""
    stem, _, minor = package.rpartition("-")
    stem, _, major = stem.rpartition("-")
    if whole_number(minor) is None or whole_number(major) is None:
        stem = package
    return next((role for role, names in _NAMES.items() if stem in {name for _, name in names}), "")


@dataclass(frozen=True)
class Component:
    """What a word in a stack's ``components`` stands for in one release, as package names.

    Attributes:
        roots: to be wanted by name.
        needed: to be in what the roots bring; without one of them the component does not work.
        extras: to be taken where the repository has them.
    """

    roots: tuple[str, ...]
    needed: tuple[str, ...]
    extras: tuple[str, ...] = ()


def component(name: str, release: str) -> Component:
    """Resolve a set (``"flashinfer-jit"``) or a single role (``"cuobjdump"``, ``"cufft-devel"``).

    ``nvcc`` is the set: a compiler alone compiles nothing. A ``-devel`` needs the libraries that its links lead to.

    Raises:
        ValueError: for a word that the release has nothing for, with what there is.
    """
    if name in SETS:
        listed = (ROOTS[name], SETS[name], EXTRAS.get(name, ()))
        return Component(*(_packages(roles, release) for roles in listed))
    root = package_name(name, release)
    if not root:
        roles = [role for role in sorted(_NAMES) if role not in SETS and package_name(role, release)]
        raise ValueError(
            f"CUDA {release} has no component {name[:80]!r}; {_meant(name[:80], (*SETS, *roles))}"
            f"there are the sets {', '.join(SETS)}, and the parts {', '.join(roles)}"
        )
    return Component(
        (root,), _packages((name, name[: -len("-devel")]) if name.endswith("-devel") else (name,), release)
    )


def _meant(name: str, words: tuple[str, ...]) -> str:
    """What may have been meant: a package's name, NVIDIA's key of a component archive, other case, a slip."""
    package = name.casefold().replace("_", "-")
    stem = re.sub(r"-[0-9]+-[0-9]+$", "", package)
    tries = (stem, role_of(stem), re.sub("^(cuda-|lib)", "", stem))
    near = next((word for word in tries if word in words), "") or meant(tries[2], words)
    more = "a name with a release belongs under packages of [rpms]; " if stem != package else ""
    return more + (f"did you mean {near!r}? " if near else "")


def _packages(roles: Iterable[str], release: str) -> tuple[str, ...]:
    return tuple(package for role in roles if (package := package_name(role, release)))


def brings(package: str) -> tuple[str, ...]:
    """Some files that a package is known to bring, in the words of who misses them: ``("nv/target", "cub/", ...)``."""
    role = role_of(package)
    files = (re.sub("^(include|lib)/(?!stubs/)", "", file) for file, bringing in _FILES.items() if bringing == role)
    return tuple(f"{file}*" if file.endswith(".") else file for file in files)


def bringer(file: str, release: str) -> str:
    """The package that is known to bring a file; empty when that is not known.

    Args:
        file: as somebody names it who misses it: a path below the CUDA home (``"nvvm/bin/cicc"``), a header as it is
            included (``"nv/target"``), a library or soname (``"libcublasLt.so.12"``), a program (``"ptxas"``).
    """
    tries = (file, f"include/{file}", f"lib/{file}", f"bin/{file}", f"lib/stubs/{file}")
    for known, role in _FILES.items():
        for name in tries:
            if name == known or (known[-1] in "/." and name.startswith(known)):
                return package_name(role, release)
    return ""

"""Which file of which wheel goes into which package, and what the packages say of each other.

Names, paths, dependencies and the runtime/devel split follow NVIDIA's RPMs: a runtime package holds the versioned library
and its SONAME link, the devel package holds headers, static libraries and the linker name, which dangles without the
runtime package. As in theirs, ``lib64`` is a link in the payload, ``include`` is not there at all, ``/usr/local/cuda``
is made by a scriptlet, and one package obsoletes another release's headers, which a solver must ignore.

Rules: nothing here reads or writes a file; a recipe plus the names in its wheel give the members.

Example::

    recipe = next(recipe for recipe in RECIPES if recipe.name == "cuda-crt-13-0")
    targets(recipe, "13.0.88", ["nvidia/cu13/include/crt/mma.h"])
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

HOME = "/usr/local/cuda-13.0"
TARGET = f"{HOME}/targets/x86_64-linux"

_WHEEL_ROOT = "nvidia/cu13/"
_LIBRARY = re.compile(r"(?P<stem>lib[^/]+\.so)\.(?P<abi>[0-9.]+)")

_CONFIG = ("cuda-toolkit-13-0-config-common", "cuda-toolkit-13-config-common", "cuda-toolkit-config-common")
_ALTERNATIVES = "update-alternatives --install /usr/local/cuda cuda /usr/local/cuda-13.0 130\n"
_COMPILER = (
    "cuda-cccl-13-0 >= 13.0.85",
    "cuda-crt-13-0 >= 13.0.88",
    "cuda-cudart-13-0 >= 13.0.96",
    "cuda-cudart-devel-13-0 >= 13.0.96",
    "cuda-culibos-devel-13-0 >= 13.0.85",
    "cuda-driver-devel-13-0 >= 13.0.96",
    "cuda-nvcc-13-0 >= 13.0.88",
    "cuda-profiler-api-13-0 >= 13.0.85",
    "libnvptxcompiler-13-0 >= 13.0.88",
    "libnvvm-13-0 >= 13.0.88",
)


@dataclass(frozen=True)
class Recipe:
    """A package.

    Attributes:
        name: NVIDIA's.
        summary: one line.
        wheel: the project whose wheel holds its files; empty when it is made from nothing.
        take: patterns of the wheel's files, below ``nvidia/cu13``.
        linker_names: whether it holds ``libX.so`` for each library of the wheel (the devel half).
        version: only where no wheel gives it.
        requires: with senses, as in a spec file.
        obsoletes: likewise.
        files: small files of its own, by path.
        posttrans: scriptlet, which ``mirror`` never runs.
        group: the first of ``GROUPS`` that it belongs to.
    """

    name: str
    summary: str
    wheel: str = ""
    take: tuple[str, ...] = ()
    linker_names: bool = False
    version: str = ""
    arch: str = "x86_64"
    requires: tuple[str, ...] = ()
    obsoletes: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    posttrans: str = ""
    group: str = "compiler"


GROUPS = ("compiler", "math", "torch")
"""Each with all before it: nvcc and its headers; with what FlashInfer's JIT links; with what torch's own headers include."""


def _library(
    name: str,
    project: str,
    summary: str,
    needs: tuple[str, ...] = (),
    group: str = "math",
    libraries: tuple[str, ...] = (),
) -> tuple[Recipe, Recipe]:
    """The two halves of a library: runtime and devel. ``libraries`` are what the first of them needs, ``needs`` the other."""
    stem = name.removesuffix("-13-0")
    devel = f"{stem}-devel-13-0"
    return (
        Recipe(name, summary, project, ("lib/*.so.*",), requires=(*libraries, *_CONFIG), group=group),
        Recipe(
            devel,
            f"{summary}: headers and linker names",
            project,
            ("include/*", "lib/*.a"),
            linker_names=True,
            requires=(name, *needs, *_CONFIG),
            group=group,
        ),
    )


RECIPES = (
    Recipe(
        "cuda-nvcc-13-0",
        "CUDA compiler driver",
        "nvidia-cuda-nvcc",
        ("bin/*", "include/*"),
        requires=("cuda-crt-13-0 >= 13.0.88", "libnvvm-13-0 >= 13.0.88", "libnvptxcompiler-13-0 >= 13.0.88"),
    ),
    Recipe("cuda-crt-13-0", "CUDA compiler's internal headers", "nvidia-cuda-crt", ("include/*",)),
    Recipe("libnvvm-13-0", "NVVM compiler and device library", "nvidia-nvvm", ("nvvm/*", "include/*", "lib/*")),
    Recipe("libnvptxcompiler-13-0", "PTX compiler library", "nvidia-nvptxcompiler", ("include/*", "lib/*")),
    Recipe("cuda-culibos-devel-13-0", "CUDA's operating system layer", "nvidia-cuda-culibos", ("lib/*",)),
    Recipe("cuda-cccl-13-0", "CUDA C++ core libraries", "nvidia-cuda-cccl", ("include/*", "lib/cmake/*")),
    *_library("cuda-cudart-13-0", "nvidia-cuda-runtime", "CUDA runtime", ("cuda-cccl-13-0",), "compiler"),
    Recipe("cuda-driver-devel-13-0", "CUDA driver's stub library", "nvidia-cuda-runtime", requires=_CONFIG),
    Recipe("cuda-profiler-api-13-0", "CUDA profiler API", "nvidia-cuda-profiler-api", ("include/*",), requires=_CONFIG),
    *_library("cuda-nvrtc-13-0", "nvidia-cuda-nvrtc", "CUDA run-time compiler"),
    *_library("libcurand-13-0", "nvidia-curand", "CUDA random numbers"),
    *_library("libcublas-13-0", "nvidia-cublas", "CUDA linear algebra"),
    *_library("libnvjitlink-13-0", "nvidia-nvjitlink", "CUDA run-time linker", group="torch"),
    *_library(
        "libcusparse-13-0", "nvidia-cusparse", "CUDA sparse matrices", group="torch", libraries=("libnvjitlink-13-0",)
    ),
    *_library(
        "libcusolver-13-0",
        "nvidia-cusolver",
        "CUDA solvers",
        ("libcublas-devel-13-0", "libcusparse-devel-13-0"),
        "torch",
        ("libcublas-13-0", "libcusparse-13-0", "libnvjitlink-13-0"),
    ),
    Recipe("cuda-nvtx-13-0", "CUDA annotations", "nvidia-nvtx", ("include/*", "lib/*.so.*"), group="torch"),
    Recipe(
        "cuda-toolkit-13-0-config-common",
        "Common configuration of CUDA 13.0",
        version="13.0.96",
        arch="noarch",
        requires=("cuda-toolkit-13-config-common", "/bin/sh"),
        posttrans=_ALTERNATIVES,
    ),
    Recipe(
        "cuda-toolkit-13-config-common",
        "Common configuration of CUDA 13",
        version="13.0.96",
        arch="noarch",
        requires=("cuda-toolkit-config-common",),
        files=(("/etc/ld.so.conf.d/988_cuda-13.conf", "/usr/local/cuda-13/targets/x86_64-linux/lib\n"),),
    ),
    Recipe(
        "cuda-toolkit-config-common",
        "Common configuration of CUDA",
        version="13.0.96",
        arch="noarch",
        files=(("/etc/ld.so.conf.d/000_cuda.conf", "/usr/local/cuda/targets/x86_64-linux/lib\n"),),
    ),
    Recipe("cuda-toolkit-13-0", "CUDA 13.0: the compiler and what it needs", version="13.0.2", requires=_COMPILER),
    Recipe(
        "cccl-13-3",
        "CUDA C++ core libraries of a later release, without files",
        version="13.3.3.3.1",
        obsoletes=("cuda-cccl-12-8", "cuda-cccl-12-9", "cuda-cccl-13-0"),
    ),
)
"""All packages. CUDA.md A2, A3 and A6 hold what is known of NVIDIA's."""


@dataclass(frozen=True)
class Placed:
    """Where a wheel's file goes.

    Attributes:
        path: absolute, in the package.
        source: name in the wheel; empty for a link.
        link: target of a symbolic link; empty for a file.
        executable: whether it gets the exec bits.
    """

    path: str
    source: str = ""
    link: str = ""
    executable: bool = False


def targets(recipe: Recipe, version: str, names: Iterable[str]) -> list[Placed]:
    """The files and links of a package, given the names in its wheel. Directories are ``parents``'s."""
    placed: list[Placed] = []
    for name in names:
        if not name.startswith(_WHEEL_ROOT) or name.endswith("/"):
            continue
        inner = name.removeprefix(_WHEEL_ROOT)
        path = _path(recipe, inner)
        library = _LIBRARY.fullmatch(posixpath.basename(inner))
        if any(fnmatch.fnmatchcase(inner, pattern) for pattern in recipe.take):
            placed += _versioned(path, name, version, library) if library else [_plain(path, name)]
        elif library and recipe.linker_names:
            placed.append(Placed(f"{posixpath.dirname(path)}/{library['stem']}", link=posixpath.basename(path)))
    if any(item.path.startswith(f"{TARGET}/lib/") for item in placed):
        placed.append(Placed(f"{HOME}/lib64", link="targets/x86_64-linux/lib"))
    return placed


def sonames(recipe: Recipe, names: Iterable[str]) -> list[str]:
    """The libraries that a package offers to others; a wheel's library file is named after its SONAME."""
    inner = [name.removeprefix(_WHEEL_ROOT) for name in names]
    taken = [name for name in inner if any(fnmatch.fnmatchcase(name, pattern) for pattern in recipe.take)]
    return sorted(posixpath.basename(name) for name in taken if _LIBRARY.fullmatch(posixpath.basename(name)))


def parents(paths: Iterable[str]) -> list[str]:
    """The directories from ``HOME`` down that ``paths`` need."""
    found: set[str] = set()
    for path in paths:
        while (path := posixpath.dirname(path)).startswith(HOME):
            found.add(path)
    return sorted(found)


def _path(recipe: Recipe, inner: str) -> str:
    first, _, rest = inner.partition("/")
    if recipe.name.startswith("libnvvm") and first in ("include", "lib"):
        return f"{HOME}/nvvm/{'lib64' if first == 'lib' else first}/{rest}"
    return f"{TARGET}/{inner}" if first in ("include", "lib") else f"{HOME}/{inner}"


def _plain(path: str, name: str) -> Placed:
    directory = posixpath.dirname(path)
    return Placed(
        path, name, executable=directory in (f"{HOME}/bin", f"{HOME}/nvvm/bin") and "." not in path[len(directory) :]
    )


def _versioned(path: str, name: str, version: str, library: re.Match[str]) -> list[Placed]:
    """A library under its full version, and its SONAME as a link to it."""
    full = version if version.startswith(library["abi"]) else f"{library['abi']}.0.0"
    real = f"{library['stem']}.{full}"
    return [Placed(f"{posixpath.dirname(path)}/{real}", name, executable=True), Placed(path, link=real)]

"""An installed CUDA toolkit: is it whole, of one release, startable, and does it lead somewhere.

It looks at the tree. The self-test finds whether it compiles and links for the target;
``mirror.closed.doctor.installed.linking`` finds which architecture its libraries are for.

Rules: a file that is missing is named with the package that is known to bring it, never with a guess; nvcc is asked for its
version and nothing else.

Example::

    toolkit = read_toolkit(environment.cuda_home, variables)
    toolkit.nvcc, toolkit.headers               # '13.0', '13.0'
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.host.command import run
from mirror.core.cuda.components import bringer, release_pair
from mirror.core.cuda.gpus import first_release
from mirror.core.logs.finding import NOTE, WARNING, About, Finding
from mirror.core.system.durable import text_of

_COMPILER = {
    "bin/nvcc": "24", "bin/nvcc.profile": "5", "bin/ptxas": "8", "bin/fatbinary": "8", "bin/cudafe++": "8",
    "bin/nvlink": "8", "nvvm/bin/cicc": "7", "nvvm/libdevice/libdevice.10.bc": "7", "include/nv/target": "1",
    "include/cub/cub.cuh": "2", "include/cuda_runtime.h": "5", "include/cuda_fp8.h": "3", "include/crt/host_config.h": "6",
    "lib64/libcudart.so": "16", "lib64/libcudadevrt.a": "19", "lib64/libcudart_static.a": "19",
}  # fmt: skip
"""What nvcc cannot do without -> row of CUDA.md E."""

_JIT = {
    "lib64/stubs/libcuda.so": "18", "lib64/libcublas.so": "20", "lib64/libcublasLt.so": "20", "lib64/libnvrtc.so": "20",
    "include/cublasLt.h": "20", "include/nvrtc.h": "20", "include/curand_kernel.h": "20",
}  # fmt: skip
"""What FlashInfer needs besides (CUDA.md A7)."""

_PROGRAMS = ("bin/nvcc", "bin/ptxas", "bin/fatbinary", "bin/cudafe++", "bin/nvlink", "nvvm/bin/cicc")
_SHOWN = 4


@dataclass(frozen=True)
class Toolkit:
    """One tree.

    Attributes:
        home: its directory.
        nvcc: the release that nvcc says it is, ``"13.0"``; empty when it does not answer.
        build: with its patch level, ``"V13.0.88"``.
        words: the last line that nvcc said when it did not answer.
        headers: the release that ``cuda_runtime_api.h`` is of.
    """

    home: Path
    nvcc: str = ""
    build: str = ""
    words: str = ""
    headers: str = ""


def read_toolkit(home: Path, variables: Mapping[str, str]) -> Toolkit:
    """Look at a tree.

    Args:
        variables: the environment that nvcc is started with.
    """
    finished = run([str(home / "bin/nvcc"), "--version"], {**variables, "LC_ALL": "C"}, timeout_s=30)
    version = re.search(r"release (\d+\.\d+), (V[\d.]+)", finished.output)
    return Toolkit(
        home,
        nvcc=version[1] if version else "",
        build=version[2] if version else "",
        words="" if version else finished.tail(1),
        headers=headers_release(home / "include"),
    )


def headers_release(include: Path) -> str:
    """The release that an include directory's CUDA headers are of, ``"13.0"``; empty when they are not there."""
    match = re.search(r"#define\s+CUDART_VERSION\s+(\d+)", text_of(include / "cuda_runtime_api.h"))
    return f"{int(match[1]) // 1000}.{int(match[1]) % 1000 // 10}" if match else ""


def _dangling(home: Path) -> Iterable[str]:
    for directory, _, names in os.walk(home):
        for name in names:
            path = Path(directory, name)
            if path.is_symlink() and not path.exists():
                yield str(path.relative_to(home))


def judge_toolkit(toolkit: Toolkit, release: str, gpu: str, compiles_flashinfer: bool) -> Iterable[Finding]:
    """Whether the tree will do.

    Args:
        release: that it should be of, by the manifest.
        gpu: the target's, ``"sm_90a"``; empty when there is none.
        compiles_flashinfer: whether FlashInfer is part of the stack.
    """
    whole = [*_judge_files(toolkit, release, compiles_flashinfer), *_judge_programs(toolkit)]
    yield from whole
    yield from _judge_releases(toolkit, release, gpu)
    yield from _judge_links(toolkit, release)
    if not whole:
        yield About("toolkit").good(f"CUDA {release} in {toolkit.home} has all its parts")


def _judge_links(toolkit: Toolkit, release: str) -> Iterable[Finding]:
    dangling = sorted(_dangling(toolkit.home))
    if dangling:
        names = ", ".join(dangling[:_SHOWN]) + " ..." * (len(dangling) > _SHOWN)
        yield About("toolkit").at(
            WARNING if any(name.endswith(".so") for name in dangling) else NOTE,
            f"{len(dangling)} links lead nowhere: {names}",
            cause="a -devel package without the one that its links lead to",
            proof=f"find {toolkit.home} -xtype l",
            fix=_add({bringer(_below(name, "."), release) for name in dangling}),
            row="17",
        )


def _judge_files(toolkit: Toolkit, release: str, compiles_flashinfer: bool) -> Iterable[Finding]:
    wanted = {**_COMPILER, **(_JIT if compiles_flashinfer else {})}
    by_package: dict[str, list[str]] = {}
    for name in wanted:
        cccl = name.replace("include/", "include/cccl/")  # where CUDA 13 keeps them
        if not any(os.path.lexists(toolkit.home / place) for place in (name, cccl)):
            by_package.setdefault(bringer(_below(name), release), []).append(name)
    for package, names in by_package.items():
        yield About("toolkit").problem(
            f"{toolkit.home} has no {', '.join(names)}" + (f", which {package} brings" if package else ""),
            cause="the package is not part of the stack, or the tree was altered",
            proof=f"ls {toolkit.home}/{names[0]}",
            fix=_add({package}),
            row=wanted[names[0]],
        )


def _below(name: str, suffix: str = "") -> str:
    """A path of the tree as the table of components has it: ``lib64`` is ``lib``, a versioned name ends in a dot there."""
    path = re.sub(r"^(targets/[^/]+/)?lib64/", "lib/", re.sub(r"^targets/[^/]+/", "", name))
    return path + suffix if suffix and path.endswith(".so") else path


def _add(packages: Iterable[str]) -> str:
    known = sorted(filter(None, packages))
    return f"add {', '.join(known)} to [rpms] in NAME.toml and lock again" if known else "install the bundle again"


def _judge_programs(toolkit: Toolkit) -> Iterable[Finding]:
    broken = [
        name for name in _PROGRAMS if (toolkit.home / name).exists() and not os.access(toolkit.home / name, os.X_OK)
    ]
    if broken:
        yield About("toolkit").problem(
            f"you may not start {', '.join(broken)} of {toolkit.home}",
            cause="the exec bits were lost in a copy",
            proof=f"ls -l {toolkit.home}/{broken[0]}",
            fix="install the bundle again instead of copying an installed tree",
            row="15",
        )
    elif not toolkit.nvcc and (toolkit.home / "bin/nvcc").exists():
        yield About("toolkit").problem(
            f"nvcc does not answer: {toolkit.words}",
            cause="its file system is mounted noexec, or it is for another architecture",
            proof=f"{toolkit.home}/bin/nvcc --version",
            fix="install under a prefix from which programs can be started",
            row="15",
        )


def _judge_releases(toolkit: Toolkit, release: str, gpu: str) -> Iterable[Finding]:
    releases = {"nvcc": toolkit.nvcc, "its headers": toolkit.headers, "the manifest": release}
    if len({value for value in releases.values() if value}) > 1:
        said = ", ".join(
            f"{name} {'say' if name.endswith('s') else 'says'} {value}" for name, value in releases.items() if value
        )
        yield About("toolkit").problem(
            f"its parts are of different releases: {said}",
            cause="packages of two CUDA releases in one tree",
            proof=f"nvcc --version; CUDART_VERSION in {toolkit.home}/include/cuda_runtime_api.h",
            fix="lock again: mirror takes all packages of one release",
            row="13",
        )
    elif toolkit.nvcc:
        yield About("toolkit").good(f"nvcc {toolkit.build} and its headers are of CUDA {toolkit.nvcc}")
    first = first_release(gpu)
    if toolkit.nvcc and first and release_pair(toolkit.nvcc) < release_pair(first):
        yield About("toolkit").problem(
            f"nvcc of CUDA {toolkit.nvcc} does not know {gpu}, the first that does is {first}",
            cause="the toolkit is older than the GPU",
            proof=f"{toolkit.home}/bin/nvcc --list-gpu-arch",
            fix=f"lock a toolkit of CUDA {first} or newer",
            row="11",
        )

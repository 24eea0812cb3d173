"""Errors of a compiler or a linker, explained by the package of the toolkit that is missing.

``mirror.core.logs.compilerwords`` reads nvcc's, gcc's and ld's own words; this looks into the toolkit, and asks
``mirror.core.cuda.components`` which package brings what is not there. ``mirror.closed.selftest.compiling`` runs the compilers.

Rules: a file that no table knows is not explained at all, never guessed; a file that is there is not said to be missing; one
sentence for each package, whatever it lacks.

Example::

    explain("a.cu:1: fatal error: nv/target: No such file or directory", toolkit)
    # ('nv/target is missing: cuda-cccl-13-0 brings it; add it to [rpms] and lock again',)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mirror.core.cuda.components import bringer
from mirror.core.cuda.redistnames import redist_name_of
from mirror.core.logs.compilerwords import missed

_ESSENTIAL = (
    "bin/cudafe++",
    "bin/ptxas",
    "bin/fatbinary",
    "nvvm/bin/cicc",
    "nvvm/libdevice/libdevice.10.bc",
    "include/crt/host_config.h",
    "include/cuda_runtime.h",
    "include/nv/target",
    "lib64/libcudart.so",
    "lib64/libcudart_static.a",
)
"""One file of each package without which nvcc compiles nothing (CUDA.md A7): a compiler stops at the first that it misses."""


@dataclass(frozen=True)
class Toolkit:
    """An unpacked toolkit.

    Attributes:
        home: its CUDA home.
        release: ``"13.0"``.
        packages: names of those that it was made from.
        is_redist: whether those are NVIDIA's component archives and not RPMs.
    """

    home: Path
    release: str
    packages: frozenset[str] = frozenset()
    is_redist: bool = False

    @property
    def table(self) -> str:
        """Where ``NAME.toml`` asks for packages of this kind."""
        return "[redist]" if self.is_redist else "[rpms]"

    def bringer(self, file: str) -> str:
        """The package that would bring a file, as this toolkit's kind of package is named; empty when not known."""
        package = bringer(file, self.release)
        return redist_name_of(package, self.release) if package and self.is_redist else package


def explain(text: str, toolkit: Toolkit) -> tuple[str, ...]:
    """What is behind an error of a compiler or a linker; one sentence for each package, none when nothing is known.

    Args:
        text: all that it said.
    """
    sentences: dict[str, str] = {}
    for file in (_in(toolkit, file) for file in missed(text)):
        if place := _elsewhere(file, toolkit.home):
            sentences.setdefault(file, f"{file} is at {place}, where this compiler does not look")
        elif sentence := missing(file, toolkit):
            sentences.setdefault(toolkit.bringer(file), sentence)
    if sentences:
        # A compiler stops at the first file that it misses; what else its packages lack is told in the same breath.
        for file in _absent(toolkit):
            sentences.setdefault(toolkit.bringer(file), missing(file, toolkit))
    return tuple(filter(None, sentences.values()))


def missing(file: str, toolkit: Toolkit) -> str:
    """The sentence for a file that is not there; empty when no package is known to bring it.

    Args:
        file: as ``mirror.core.cuda.components.bringer`` takes it.
    """
    end = file if "/" in file else _end_of_links(toolkit.home / "lib64" / file)
    package = toolkit.bringer(end)
    if not package or (toolkit.home / file).exists():
        return ""
    what = f"{file} is missing" if end == file else f"{file} leads to {end}, which is missing"
    if package in toolkit.packages:
        return f"{what}: {package}, which brings it, was unpacked; it is not whole, or the file was removed since"
    return f"{what}: {package} brings it; add it to {toolkit.table} and lock again"


def _in(toolkit: Toolkit, file: str) -> str:
    """A program of the toolkit by its place there; anything else as it is."""
    path = os.path.normpath(file)
    roots = {str(toolkit.home), os.path.realpath(toolkit.home)}
    root = next((root for root in roots if path.startswith(f"{root}/")), "")
    return os.path.relpath(path, root) if root else file


def _absent(toolkit: Toolkit) -> Iterator[str]:
    for path in _ESSENTIAL:
        directory, _, name = path.partition("/")
        if directory == "include":
            if not _elsewhere(name, toolkit.home):
                yield name
        elif not (toolkit.home / path).exists():
            yield name if directory == "lib64" else path


def _elsewhere(header: str, home: Path) -> str:
    """Where a header is below the home, as a relative path; empty when it is nowhere."""
    targets = sorted(f"{path.relative_to(home)}/include" for path in home.glob("targets/*"))
    for directory in ("include", "include/cccl", *targets, *(f"{target}/cccl" for target in targets)):
        if (home / directory / header).exists():
            return f"{directory}/{header}"
    return ""


def _end_of_links(library: Path) -> str:
    """The name at which a chain of links ends; the library's own when it is none."""
    for _ in range(8):
        if not library.is_symlink():
            break
        library = library.parent / library.readlink()
    return library.name

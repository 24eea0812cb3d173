"""What servers compile at their first start, compiled now: C extensions, Triton and inductor kernels, FlashInfer's sampler.

It holds which of these a stack will do and how each is tried in the venv, as the project itself does it.
``mirror.closed.selftest.compiling`` tries the toolkit's nvcc, ``mirror.closed.selftest.firstprograms`` holds the programs.

Rules: a project that the stack does not have is not tried, nor what needs torch where the stack leaves that to others; what
needs a GPU is skipped without one, and says so; a host without a C compiler is no failure, an interpreter without its headers
is one; nothing runs longer than ``TIMEOUT_S``, and what did not end by then is told as not known.

Example::

    for attempt in FirstStart(bench).attempts():
        check = attempt()
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Callable

from mirror.closed.host.command import TIMED_OUT, Finished
from mirror.closed.host.hostcompiler import NONE, WITHOUT, compiles_at_run_time
from mirror.closed.host.libcuda import libcuda_directories
from mirror.closed.prefix.check import FAILED, PASSED, SKIPPED, Check
from mirror.closed.selftest.firstprograms import ASK, EXTENSION, INDUCTOR, LAUNCHER, SAMPLER, TRITON
from mirror.closed.selftest.workbench import Workbench

TIMEOUT_S = 240
"""For each; they run beside each other. On 16 cores beside an H200, torch 2.11 cold, inductor took 48 s and Triton 8 s."""

HEADERS = "compile a C extension with Python.h"
LIBCUDA = "link -l:libcuda.so.1 as Triton does"
_COMPILER = (
    "this host has no C compiler (gcc or clang): put one on the server's PATH, or export CC=/path/to/gcc; " + WITHOUT
)
_NO_GPU = "not tried: no GPU"
_HAS_NONE = 3
"""The exit code of a program for which the installed project is too old."""


def samples(projects: Collection[str]) -> bool:
    """Whether FlashInfer can sample there: a stack may leave torch to whoever starts it, by PYTHONPATH."""
    return {"flashinfer-python", "torch"} <= set(projects)


class FirstStart:
    """All that is tried for one generation."""

    def __init__(self, bench: Workbench) -> None:
        # One compiler at a time: a pool of workers takes longer to start than this takes to compile.
        self._bench = replace(bench, timeout_s=TIMEOUT_S).using(TORCHINDUCTOR_COMPILE_THREADS="1")
        self._projects, home = bench.environment.manifest.projects, bench.environment.cuda_home
        self._stub = home / "lib64/stubs/libcuda.so" if home else None

    def attempts(self) -> list[Callable[[], Check]]:
        """What there is to try; each gives its check when it is called, in any order or at once."""
        found: list[Callable[[], Check]] = []
        if compiles_at_run_time(self._projects):
            found.append(self._extension)
        if "triton" in self._projects:
            found.append(self._launcher)
        if "torch" in self._projects:
            found.append(partial(self._program, "compile with torch's inductor for the CPU", INDUCTOR))
        if {"triton", "torch"} <= set(self._projects):
            found.append(partial(self._program, "compile and run a Triton kernel", TRITON, needs_gpu=True))
        if samples(self._projects):
            found.append(partial(self._program, "sample with FlashInfer's kernels", SAMPLER, needs_gpu=True))
        return found

    def _extension(self) -> Check:
        """As Triton builds one (triton/runtime/build.py), and then imported: it calls into this Python."""
        compiler = self._c_compiler()
        if compiler is None:
            return Check(HEADERS, SKIPPED, _COMPILER)
        directory = self._bench.directory("first-extension")
        asked = self._bench.run(directory, self._bench.python, "-I", "-c", ASK)
        answer = asked.output.splitlines()
        if asked.code or len(answer) != 3:
            return Check(HEADERS, FAILED, asked.tail() or f"{self._bench.python} does not answer")
        include, suffix, python = answer
        module = f"first_start{suffix}"
        (directory / "first_start.c").write_text(EXTENSION)
        made = self._bench.run(
            directory, compiler, "first_start.c", "-O3", "-shared", "-fPIC", "-Wno-psabi", "-o", module, f"-I{include}"
        )
        if made.code:
            return self._failed(HEADERS, made, _headers_advice(made, include, python))
        load = (
            f"import sys; sys.path.insert(0, {str(directory)!r}); import first_start; assert first_start.answer() == 42"
        )
        ran = self._bench.run(directory, self._bench.python, "-I", "-c", load)
        return self._failed(HEADERS, ran) if ran.code else Check(HEADERS, PASSED)

    def _launcher(self) -> Check:
        """Against the driver's library, or its stub where there is no driver: ``ld`` must find it under this very name."""
        compiler = self._c_compiler()
        if compiler is None:
            return Check(LIBCUDA, SKIPPED, _COMPILER)
        directory = self._bench.directory("first-launcher")
        places = libcuda_directories(self._bench.variables)
        if not places and self._bench.host.driver:
            return Check(LIBCUDA, FAILED, _no_libcuda(self._bench.host.driver))
        if not places:
            if self._stub is None or not self._stub.exists():
                what = "not tried: this host has no driver, and the stack no stub of its library"
                return Check(LIBCUDA, SKIPPED, what)
            # NVIDIA's stub carries this name inside, its file does not.
            (directory / "libcuda.so.1").symlink_to(self._stub)
            places = (directory,)
        (directory / "launcher.c").write_text(LAUNCHER)
        search = [f"-L{place}" for place in places]
        words = ["launcher.c", "-O3", "-shared", "-fPIC", "-o", "launcher.so", "-l:libcuda.so.1"]
        made = self._bench.run(directory, compiler, *words, *search)
        return self._failed(LIBCUDA, made) if made.code else Check(LIBCUDA, PASSED)

    def _program(self, name: str, source: str, needs_gpu: bool = False) -> Check:
        """Run a program of ours in the venv, from a file: Triton and inductor read their own sources."""
        if needs_gpu and not self._bench.has_gpu:
            return Check(name, SKIPPED, _NO_GPU)
        if self._bench.host.compiler is None or self._c_compiler() is None:
            return Check(name, SKIPPED, NONE)
        directory = self._bench.directory(f"first-{name.split()[-1]}")
        (directory / "program.py").write_text(source)
        ran = self._bench.run(directory, self._bench.python, "-I", "program.py")
        if ran.code == _HAS_NONE:
            return Check(name, SKIPPED, ran.tail(1))
        return self._failed(name, ran) if ran.code else Check(name, PASSED)

    def _failed(self, name: str, finished: Finished, advice: str = "") -> Check:
        if finished.code == TIMED_OUT:
            what = f"not known: it did not end within {TIMEOUT_S} s on this host, as busy as it is"
            return Check(name, SKIPPED, what)
        return Check(name, FAILED, "\n".join(filter(None, [finished.tail(), advice])))

    def _c_compiler(self) -> str | None:
        """The one that Triton takes."""
        if named := self._bench.variables.get("CC"):
            return named
        path = self._bench.variables.get("PATH", "")
        return shutil.which("gcc", path=path) or shutil.which("clang", path=path)


def _headers_advice(made: Finished, include: str, python: str) -> str:
    """What is wrong with an interpreter's headers; empty when the compiler complained about something else."""
    if not Path(include, "Python.h").exists():
        what = f"Python.h is missing: {python} looks for its headers in {include}"
    elif "pyconfig.h" in made.errors:
        what = f"pyconfig.h is missing: {include}/Python.h is there and includes it; this Python was moved, or is not whole"
    else:
        return ""
    return (
        f"{what}. Triton and torch compile with them at a server's first start: name a Python that has its headers with "
        "'mirror install --python FILE', ask for this one's -devel package, or for a bundle with an [interpreter]"
    )


def _no_libcuda(driver: str) -> str:
    return (
        f"libcuda.so cannot found: driver {driver} is loaded, and neither '/sbin/ldconfig -p' nor LD_LIBRARY_PATH knows a "
        "libcuda.so.1; find it (find / -name libcuda.so.1) and export TRITON_LIBCUDA_PATH=ITS_DIRECTORY for the server"
    )

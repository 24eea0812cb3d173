"""The compiler's part of the self-test: nvcc, FlashInfer's flags and plain g++ against the unpacked toolkit.

It holds which compilations are tried and what their outcome means. ``mirror.closed.selftest.samples`` holds what is compiled,
``mirror.closed.host.hostcompiler`` chooses the host compiler, ``mirror.closed.selftest.compiler_errors`` explains what a
compiler says.

Rules: each check works in a directory of its own, so that all may run at once; a failed one shows the program's last words
and then, where it is known, the package that is missing; a host without a fitting compiler is no failure.

Example::

    for attempt in Compiling(bench).attempts():
        check = attempt()
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Callable

from mirror.closed.host.command import Finished
from mirror.closed.host.driverfit import driver_note
from mirror.closed.host.hostcompiler import Choice, choose
from mirror.closed.prefix.check import FAILED, PASSED, SKIPPED, Check
from mirror.closed.selftest.compiler_errors import Toolkit, explain, missing
from mirror.closed.selftest.samples import KERNEL, LIBRARIES, flashinfer_flags, flashinfer_link, plain_source
from mirror.closed.selftest.workbench import Workbench
from mirror.core.kinds import RPM

_TOO_NEW = re.compile(r"unsupported GNU version! (.+?)!", re.DOTALL)

Attempt = Callable[[], Check]


class Compiling:
    """All that is compiled for one generation."""

    def __init__(self, bench: Workbench) -> None:
        environment = bench.environment
        manifest = environment.manifest
        self._bench = bench
        self._home = environment.cuda_home or environment.generation / "cuda"
        self._has_home = environment.cuda_home is not None
        self._gpu, self._release = manifest.target.gpu, manifest.target.cuda
        self._site = next(iter(sorted(environment.venv.glob("lib/python*/site-packages/flashinfer"))), None)
        self._uses_flashinfer = any(artifact.name == "flashinfer-python" for artifact in manifest.wheels)
        packages = frozenset(artifact.name for artifact in manifest.toolchain)
        self._toolkit = Toolkit(self._home, self._release, packages, is_redist=not manifest.of(RPM))
        self._name = f"compile and link a kernel for {self._gpu}"

    def attempts(self) -> list[Attempt]:
        """What there is to try; each gives its check when it is called, in any order or at once."""
        if not self._has_home or not self._gpu:
            return []
        if not os.path.lexists(self._home / "bin" / "nvcc"):
            return [self._without_nvcc]
        variables = self._bench.variables
        choice = choose(self._home, self._release, self._bench.host.compiler, variables)
        if choice.compiler is None:
            return [partial(Check, self._name, SKIPPED, choice.refusal)]
        flags = " ".join(filter(None, [variables.get("NVCC_PREPEND_FLAGS", ""), choice.flags]))
        self._bench = self._bench.using(NVCC_PREPEND_FLAGS=flags)
        told = [] if choice.is_default else [partial(Check, "use the host's own compiler", SKIPPED, choice.advice)]
        return [
            *told,
            partial(self._kernel, self._bench.directory("kernel")),
            partial(self._flashinfer, self._bench.directory("flashinfer"), choice),
            partial(self._plain, self._bench.directory("plain"), choice.compiler),
            *self._without_libraries(),
        ]

    def _without_nvcc(self) -> Check:
        sentence = missing("bin/nvcc", self._toolkit) or f"{self._home}/bin/nvcc is missing"
        is_promised = self._toolkit.bringer("bin/nvcc") in self._toolkit.packages
        return Check(self._name, FAILED if is_promised else SKIPPED, sentence)

    def _kernel(self, directory: Path) -> Check:
        """nvcc alone: it finds its own headers and links the static runtime; then, where there is a GPU, the program runs."""
        has_gpu = self._bench.has_gpu
        name = f"compile, link and run a kernel for {self._gpu}" if has_gpu else self._name
        (directory / "kernel.cu").write_text(KERNEL)
        made = self._bench.run(
            directory, str(self._home / "bin" / "nvcc"), f"-arch={self._gpu}", "kernel.cu", "-o", "kernel"
        )
        check = self._judged(name, made)
        if check.outcome != PASSED or not has_gpu:
            return check
        ran = self._bench.run(directory, str(directory / "kernel"))
        note = driver_note(self._release, self._bench.host.driver)
        return check if ran.code == 0 else Check(name, FAILED, "\n".join(filter(None, [ran.tail(), note])))

    def _flashinfer(self, directory: Path, choice: Choice) -> Check:
        """One object by nvcc and a shared library by ``$CXX``, with the flags that FlashInfer writes into its build file."""
        name = f"compile and link for {self._gpu} as FlashInfer does"
        (directory / "kernel.cu").write_text(KERNEL)
        # FlashInfer gives CC to nvcc and links with CXX; what the host chose itself has been found wanting.
        cc = self._bench.variables.get("CC", "") if choice.is_default else ""
        compiled = self._bench.run(
            directory,
            str(self._home / "bin" / "nvcc"),
            *("--generate-dependencies-with-compile", "--dependency-output", "kernel.o.d"),
            *(("-ccbin", cc) if cc else ()),
            *flashinfer_flags(self._home, self._site, self._gpu, self._release),
            *("-c", "kernel.cu", "-o", "kernel.o"),
        )
        check = self._judged(name, compiled)
        if check.outcome != PASSED:
            return check
        cxx = self._bench.variables.get("CXX", "") if choice.is_default else ""
        linked = self._bench.run(
            directory, cxx or str(choice.compiler), "kernel.o", *flashinfer_link(self._home), "-o", "kernel.so"
        )
        check = self._judged(name, linked)
        if check.outcome == FAILED and not self._uses_flashinfer and not self._has("cuda"):
            needed = "FlashInfer and others would link with it, and nothing in this bundle is known to"
            return Check(name, SKIPPED, f"{missing('libcuda.so', self._toolkit)}; {needed}")
        return check

    def _plain(self, directory: Path, compiler: Path) -> Check:
        """g++ without nvcc, as torch's and others' C++ sources are built: it knows of no ``targets/`` (CUDA.md A5)."""
        libraries = ["cudart", *(name for name in LIBRARIES[1:] if self._has(name))]
        (directory / "plain.cpp").write_text(plain_source(libraries))
        words = [f"-l{name}" for name in libraries]
        search = ["-isystem", f"{self._home}/include", f"-L{self._home}/lib64", f"-L{self._home}/lib64/stubs"]
        made = self._bench.run(
            directory, str(compiler), "-shared", "-fPIC", "plain.cpp", *search, *words, "-o", "plain.so"
        )
        return self._judged(f"compile and link with g++ and {' '.join(words)}", made)

    def _without_libraries(self) -> Sequence[Attempt]:
        """What FlashInfer's kernels link besides the runtime, and this toolkit lacks."""
        if not self._uses_flashinfer:
            return []
        lacks = [name for name in LIBRARIES[2:] if not self._has(name)]
        packages = dict.fromkeys(filter(None, (self._toolkit.bringer(f"lib{name}.so") for name in lacks)))
        if not packages:
            return []
        detail = f"this toolkit has no {', '.join(packages)}; add what you need to {self._toolkit.table} and lock again"
        return [partial(Check, f"link with {' '.join(f'-l{name}' for name in lacks)}", SKIPPED, detail)]

    def _has(self, library: str) -> bool:
        """Whether the toolkit has a library's linker name, be it a link that leads nowhere: trying it then says more."""
        return any(os.path.lexists(self._home / place / f"lib{library}.so") for place in ("lib64", "lib64/stubs"))

    def _judged(self, name: str, finished: Finished) -> Check:
        if finished.code == 0:
            return Check(name, PASSED)
        said = finished.output + finished.errors
        if too_new := _TOO_NEW.search(said):
            return Check(name, SKIPPED, f"the host's compiler is not one for this nvcc: {' '.join(too_new[1].split())}")
        return Check(name, FAILED, "\n".join([finished.tail(), *explain(said, self._toolkit)]))

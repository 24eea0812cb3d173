"""The self-test: what was installed imports, its compiler compiles and links, its GPU kernel runs.

It holds the checks and how each outcome is read. It runs before a generation is complete, so a failed one leaves the
old state as it was. Why something fails on a host is for a later ``doctor`` to say; this module shows the program's
own last words.

Rules: each check is a fresh process in the environment that ``env.sh`` gives, with caches of its own; what a host
lacks (a GPU, its driver, a compiler) is reported as skipped, in plain words, and is no failure; all failures are
reported together.

Example::

    checks = self_test(generation, environment, host, work)
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.command import Finished, clean_environment, run
from mirror.closed.environment import Environment
from mirror.closed.host import Host
from mirror.core.errors import MirrorError
from mirror.core.progress import SILENT, Progress

PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"

_NO_DRIVER = re.compile(
    r"lib(?:cuda|nvidia-ml)\.so\.1|Found no NVIDIA driver|NVML Shared Library Not Found|no CUDA-capable device"
)
_COMPILER_TOO_NEW = re.compile(r"unsupported GNU version! (.+?)!", re.DOTALL)

_KERNEL = """\
#include <cuda_fp16.h>
#include <cuda_runtime.h>

__global__ void scale(__half *values, float factor, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) values[i] = __float2half(__half2float(values[i]) * factor);
}

int main() {
    __half *values = nullptr;
    if (cudaMalloc(&values, 256 * sizeof(__half)) != cudaSuccess) return 3;
    scale<<<1, 256>>>(values, 2.0f, 256);
    return cudaDeviceSynchronize() == cudaSuccess ? 0 : 1;
}
"""
"""Half precision on purpose: ``cuda_fp16.h`` includes ``nv/target``, the header that is missing most often (CUDA.md A6)."""

_LINK = "#include <cuda_runtime.h>\nint mirror_link() { return (int)cudaFree(nullptr); }\n"


@dataclass(frozen=True)
class Check:
    """One check's outcome.

    Attributes:
        name: what was done, ``"import torch"``.
        outcome: ``PASSED``, ``SKIPPED`` or ``FAILED``.
        detail: why it was skipped, or the program's last lines; empty when it passed.
    """

    name: str
    outcome: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.outcome}" + (f" ({self.detail})" if self.outcome == SKIPPED else "")


class SelfTestFailed(MirrorError):
    """What was installed does not work on this host.

    Attributes:
        checks: those that failed.
    """

    ref = "self-test-failed"
    exit_code = 97
    hint = "Nothing was kept and what was current still is. Show these lines to the bundle's maker."

    def __init__(self, checks: tuple[Check, ...]) -> None:
        super().__init__(checks)
        self.checks = checks

    def __str__(self) -> str:
        return f"the self-test failed: {', '.join(check.name for check in self.checks)}"

    def context(self) -> str:
        return "\n\n".join(f"{check.name}:\n{check.detail}" for check in self.checks)


def self_test(environment: Environment, host: Host, work: Path, progress: Progress = SILENT) -> tuple[Check, ...]:
    """Run every check that the bundle allows.

    Args:
        work: an existing directory for caches and outputs; the caller removes it.

    Raises:
        SelfTestFailed: with all that failed.
    """
    testing = _Testing(environment, host, work)
    checks = []
    for check in (*testing.imports(), *testing.probe(), *testing.compiler()):
        progress.say(str(check))
        checks.append(check)
    failed = tuple(check for check in checks if check.outcome == FAILED)
    if failed:
        raise SelfTestFailed(failed)
    return tuple(checks)


class _Testing:
    def __init__(self, environment: Environment, host: Host, work: Path) -> None:
        self._environment, self._host, self._work = environment, host, work
        base = clean_environment(work)
        # Compilers are the host's, and so are the places where some sites keep the driver's libraries.
        for name in ("PATH", "LD_LIBRARY_PATH", "CC", "CXX", "NVCC_CCBIN"):
            if name in os.environ:
                base[name] = os.environ[name]
        self._variables = environment.variables(base, work / "caches")
        self._python = str(environment.venv / "bin" / "python")

    def _run(self, *command: str) -> Finished:
        return run(command, self._variables, cwd=self._work, timeout_s=900)

    def imports(self) -> list[Check]:
        """One process for each module, so that none leans on what another has loaded."""
        return [self._import(module) for module in self._environment.manifest.imports]

    def _import(self, module: str) -> Check:
        finished = self._run(self._python, "-I", "-c", f"import importlib; importlib.import_module({module!r})")
        name = f"import {module}"
        if finished.code == 0:
            return Check(name, PASSED)
        if not self._host.driver and _NO_DRIVER.search(finished.errors):
            return Check(name, SKIPPED, "needs the GPU driver, which this host does not have")
        return Check(name, FAILED, finished.tail())

    def probe(self) -> list[Check]:
        """The bundle's own kernel on each GPU; its exit code 3 says that there is none."""
        if not any(artifact.name == "mirror-probe" for artifact in self._environment.manifest.artifacts):
            return []
        name = f"run the {self._environment.manifest.target.gpu} probe kernel"
        finished = self._run(self._python, "-I", "-m", "mirror_probe", "--json")
        if finished.code == 3:
            return [Check(name, SKIPPED, "no usable NVIDIA GPU or driver on this host")]
        return [Check(name, PASSED) if finished.code == 0 else Check(name, FAILED, finished.tail())]

    def compiler(self) -> list[Check]:
        """nvcc on a small kernel, then a plain link as torch's and FlashInfer's build steps do it."""
        home, gpu = self._environment.cuda_home, self._environment.manifest.target.gpu
        if home is None or not (home / "bin" / "nvcc").exists() or not gpu:
            return []
        name = f"compile and link a kernel for {gpu}"
        if self._host.compiler is None:
            return [Check(name, SKIPPED, "this host has no C++ compiler (g++), which nvcc needs to compile anything")]
        source = self._work / "kernel.cu"
        source.write_text(_KERNEL)
        finished = self._run(str(home / "bin" / "nvcc"), f"-arch={gpu}", str(source), "-o", str(self._work / "kernel"))
        too_new = _COMPILER_TOO_NEW.search(finished.errors)
        if finished.code and too_new:
            return [
                Check(name, SKIPPED, f"the host's compiler is not one for this nvcc: {' '.join(too_new[1].split())}")
            ]
        if finished.code:
            return [Check(name, FAILED, finished.tail())]
        return [Check(name, PASSED), self._plain_link(home, self._host.compiler)]

    def _plain_link(self, home: Path, compiler: Path) -> Check:
        # CUDA.md B5: -L$CUDA_HOME/lib64 and its stubs are spelled out in FlashInfer's build file.
        source = self._work / "link.cpp"
        source.write_text(_LINK)
        stub = ["-lcuda"] if (home / "lib64" / "stubs" / "libcuda.so").exists() else []
        command = [str(compiler), "-shared", "-fPIC", str(source), "-o", str(self._work / "link.so")]
        command += [f"-L{home}/lib64", f"-L{home}/lib64/stubs", "-lcudart", *stub]
        finished = self._run(*command)
        name = f"link with {' '.join(['-lcudart', *stub])}"
        return Check(name, PASSED) if finished.code == 0 else Check(name, FAILED, finished.tail())

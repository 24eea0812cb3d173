"""The self-test: what was installed imports, compiles what a server's first start compiles, and runs its GPU kernel.

It joins the checks: imports and the probe's kernel are here, the toolkit's in ``mirror.closed.selftest.compiling``, what Python
projects compile in ``mirror.closed.selftest.firststart``. It runs before a generation is complete, so a failed one leaves the
old state as it was, and again whenever ``mirror doctor`` is asked, on an installed generation without its bundle.

Rules: each check is a fresh process in the environment that ``env.sh`` gives, with caches that nobody has used; what a host
lacks (a GPU, its driver, a compiler) is reported as skipped, in plain words, and is no failure; all checks are made,
whatever fails.

Example::

    checks = self_test(load_environment(generation), read_host(), work)
    refuse_failures(checks)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from mirror.closed.environment.variables import Environment
from mirror.closed.host.command import Finished, clean_environment, run
from mirror.closed.host.driverfit import driver_note
from mirror.closed.host.machine import Host
from mirror.closed.prefix.check import FAILED, PASSED, SKIPPED, Check
from mirror.closed.selftest.compiling import Compiling
from mirror.closed.selftest.firststart import FirstStart
from mirror.core.errors import MirrorError
from mirror.core.progress import SILENT, Progress

__all__ = ["FAILED", "PASSED", "SKIPPED", "Check", "SelfTestFailed", "refuse_failures", "self_test"]

_NO_DRIVER = re.compile(
    r"lib(?:cuda|nvidia-ml)\.so\.1|Found no NVIDIA driver|NVML Shared Library Not Found|no CUDA-capable device"
)

_HOSTS = ("PATH", "LD_LIBRARY_PATH", "CC", "CXX", "NVCC_CCBIN", "NVCC_PREPEND_FLAGS", "TRITON_LIBCUDA_PATH")
"""Compilers are the host's, and so are the places where some sites keep the driver's libraries."""


class SelfTestFailed(MirrorError):
    """What was installed does not work on this host.

    Attributes:
        checks: those that failed.
    """

    ref = "self-test-failed"
    exit_code = 97
    hint = "Nothing was kept and what was current still is. Show these lines to the bundle's maker."

    checks: tuple[Check, ...]

    def __str__(self) -> str:
        return f"the self-test failed: {', '.join(check.name for check in self.checks)}"

    def context(self) -> str:
        return "\n\n".join(f"{check.name}:\n{check.detail}" for check in self.checks)


def self_test(
    environment: Environment,
    host: Host,
    work: Path,
    progress: Progress = SILENT,
    inherited: Sequence[int] = (),
    caches: Path | None = None,
) -> tuple[Check, ...]:
    """Run every check that an installed generation allows, and give all of them, failed ones too.

    Args:
        work: an existing directory for outputs; the caller removes it.
        progress: told of each check as it ends.
        inherited: descriptors that the tests' programs keep open, such as the lock of a prefix.
        caches: where compiled kernels go; below ``work`` when it is None.
    """
    testing = _Testing(environment, host, work, inherited, caches or work / "caches")
    attempts = [
        *Compiling(environment, host, testing.variables, work, inherited).attempts(),
        *FirstStart(environment, host, testing.variables, work, inherited).attempts(),
    ]
    checks = []
    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 1)) as pool:
        compiled = [pool.submit(attempt) for attempt in attempts]  # they take about as long as the imports do
        try:
            for check in chain(testing.imports(), testing.probe(), (future.result() for future in compiled)):
                progress.say(str(check))
                checks.append(check)
        finally:
            for future in compiled:
                future.cancel()
    return tuple(checks)


def refuse_failures(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """The checks themselves, when none has failed.

    Raises:
        SelfTestFailed: with all that have.
    """
    failed = tuple(check for check in checks if check.outcome == FAILED)
    if failed:
        raise SelfTestFailed(failed)
    return checks


class _Testing:
    def __init__(
        self, environment: Environment, host: Host, work: Path, inherited: Sequence[int], caches: Path
    ) -> None:
        self._environment, self._host, self._work, self._inherited = environment, host, work, inherited
        base = clean_environment(work)
        base.update({name: os.environ[name] for name in _HOSTS if name in os.environ})
        self.variables = environment.variables(base, caches)
        self._python = str(environment.venv / "bin" / "python")

    def _run(self, *command: str) -> Finished:
        return run(command, self.variables, cwd=self._work, timeout_s=900, inherited=self._inherited)

    def imports(self) -> Iterator[Check]:
        """One process for each module, so that none leans on what another has loaded."""
        return map(self._import, self._environment.manifest.imports)

    def _import(self, module: str) -> Check:
        finished = self._run(self._python, "-I", "-c", f"import importlib; importlib.import_module({module!r})")
        name = f"import {module}"
        if finished.code == 0:
            return Check(name, PASSED)
        if not self._host.driver and _NO_DRIVER.search(finished.errors):
            return Check(name, SKIPPED, "needs the GPU driver, which this host does not have")
        return Check(name, FAILED, finished.tail())

    def probe(self) -> Iterator[Check]:
        """The bundle's own kernel on each GPU; its exit code 3 says that there is none."""
        manifest = self._environment.manifest
        if not any(artifact.name == "mirror-probe" for artifact in manifest.artifacts):
            return
        name = f"run the {manifest.target.gpu} probe kernel"
        finished = self._run(self._python, "-I", "-m", "mirror_probe", "--json")
        note = driver_note(manifest.target.cuda, self._host.driver)
        if finished.code == 0:
            yield Check(name, PASSED)
        elif finished.code == 3:
            why = "no usable NVIDIA GPU or driver on this host"
            yield Check(name, SKIPPED, f"{why}; {note}" if note else why)
        else:
            yield Check(name, FAILED, "\n".join(filter(None, [finished.tail(), note])))

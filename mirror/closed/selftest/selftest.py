"""The self-test: what was installed imports, compiles what a server's first start compiles, and runs its GPU kernel.

It joins the checks: imports and the probe's kernel are here, the toolkit's in ``mirror.closed.selftest.compiling``, what Python
projects compile in ``mirror.closed.selftest.firststart``. It runs before a generation is complete, so a failed one leaves the
old state as it was, and again whenever ``mirror doctor`` is asked, on an installed generation without its bundle.

Rules: each check is a fresh process in the environment that ``env.sh`` gives, with caches that nobody has used (at the end of
an installation the imports share one); what a host
lacks (a GPU, its driver, a compiler) is reported as skipped, in plain words, and is no failure; all checks are made,
whatever fails.

Example::

    checks = self_test(load_environment(generation), read_host(), work)
    refuse_failures(checks)
"""

from __future__ import annotations

import os
import re
import signal
import uuid
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from mirror.closed.environment.variables import Environment
from mirror.closed.host.command import Finished, clean_environment
from mirror.closed.host.driverfit import driver_note
from mirror.closed.host.machine import Host
from mirror.closed.prefix.check import FAILED, PASSED, SKIPPED, Check
from mirror.closed.selftest.compiling import Compiling
from mirror.closed.selftest.firststart import FirstStart
from mirror.closed.selftest.workbench import Workbench
from mirror.core.errors import MirrorError
from mirror.core.progress import SILENT, Progress
from mirror.core.system.crew import Crew

_NO_DRIVER = re.compile(
    r"lib(?:cuda|nvidia-ml)\.so\.1|Found no NVIDIA driver|NVML Shared Library Not Found|no CUDA-capable device"
)

_HOSTS = ("PATH", "LD_LIBRARY_PATH", "CC", "CXX", "NVCC_CCBIN", "NVCC_PREPEND_FLAGS", "TRITON_LIBCUDA_PATH")
"""Compilers are the host's, and so are the places where some sites keep the driver's libraries."""

_IMPORTS = """\
import importlib, os
noted = os.open({noted!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
for module in {modules!r}:
    importlib.import_module(module)
    os.write(noted, (module + "\\n").encode())
"""


class SelfTestFailed(MirrorError):
    """What was installed does not work on this host."""

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
    together: bool = False,
) -> tuple[Check, ...]:
    """Run every check that an installed generation allows, and give all of them, failed ones too.

    Args:
        work: an existing directory for outputs; the caller removes it.
        progress: told of each check as it ends.
        inherited: descriptors that the tests' programs keep open, such as the lock of a prefix.
        caches: where compiled kernels go; below ``work`` when it is None.
        together: import modules one after another in one process, as a server does, which loads what they share once; each
            that fails there is imported alone, and that is what is told of it.
    """
    base = clean_environment(work)
    base.update({name: os.environ[name] for name in _HOSTS if name in os.environ})
    variables = environment.variables(base, caches or work / "caches")
    bench = Workbench(environment, host, variables, work, inherited)
    attempts = [*Compiling(bench).attempts(), *FirstStart(bench).attempts()]
    checks = []
    with Crew(max(2, os.cpu_count() or 1)) as crew:
        compiled = [crew.submit(attempt) for attempt in attempts]  # they take about as long as the imports do
        for check in chain(_imports(bench, together), _probe(bench), (future.result() for future in compiled)):
            progress.say(str(check))
            checks.append(check)
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


def _imports(bench: Workbench, is_together: bool) -> Iterator[Check]:
    """Every module: each in a process of its own, or as many as can be in one."""
    left = bench.environment.manifest.imports
    while left:
        passed = _together(bench, left) if is_together and len(left) > 1 else 0
        yield from (Check(f"import {module}", PASSED) for module in left[:passed])
        if passed < len(left):
            yield _import(bench, left[passed])  # the one at which the process ended: what it does alone counts
        left = left[passed + 1 :]


def _together(bench: Workbench, modules: Sequence[str]) -> int:
    """How many could be imported one after another in one process, before one ended it by an error, a signal or an exit."""
    passed, finished = _imported(bench, modules)
    # A process that ends badly after the last of them: nobody knows whose fault that is until each is alone.
    return passed if finished.code == 0 or passed < len(modules) else 0


def _imported(bench: Workbench, modules: Sequence[str]) -> tuple[int, Finished]:
    """How many modules noted that they were imported, and how the process ended."""
    noted = bench.work / f"imported-{uuid.uuid4().hex}"
    noted.touch()
    finished = bench.run(bench.work, bench.python, "-I", "-c", _IMPORTS.format(noted=str(noted), modules=list(modules)))
    done = noted.read_text("utf-8").splitlines()
    return next(
        (number for number, one in enumerate(modules) if done[number : number + 1] != [one]), len(modules)
    ), finished


def _import(bench: Workbench, module: str) -> Check:
    passed, finished = _imported(bench, [module])
    name = f"import {module}"
    if finished.code == 0 and passed:
        return Check(name, PASSED)
    if not bench.host.driver and _NO_DRIVER.search(finished.errors):
        return Check(name, SKIPPED, "needs the GPU driver, which this host does not have")
    return Check(name, FAILED, finished.tail() or _silent_end(finished.code))


def _probe(bench: Workbench) -> Iterator[Check]:
    """The bundle's own kernel on each GPU; its exit code 3 says that there is none."""
    manifest = bench.environment.manifest
    if not any(artifact.name == "mirror-probe" for artifact in manifest.artifacts):
        return
    name = f"run the {manifest.target.gpu} probe kernel"
    finished = bench.run(bench.work, bench.python, "-I", "-m", "mirror_probe", "--json")
    note = driver_note(manifest.target.cuda, bench.host.driver)
    if finished.code == 0:
        yield Check(name, PASSED)
    elif finished.code == 3:
        why = "no usable NVIDIA GPU or driver on this host"
        yield Check(name, SKIPPED, f"{why}; {note}" if note else why)
    else:
        yield Check(name, FAILED, "\n".join(filter(None, [finished.tail(), note])))


def _silent_end(code: int) -> str:
    """How a process ended that said nothing."""
    if code < 0:
        return f"its process was ended by signal {-code} ({signal.strsignal(-code)})"
    return f"its process ended with exit code {code}"

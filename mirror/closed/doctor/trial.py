"""The installed stack, tried out: the self-test that ended its installation, run again.

It holds how a check that failed is told: its words are searched for the symptoms of CUDA.md E, as a server's log is.

Rule: everything that is compiled or cached goes into a temporary directory, which is removed.

Example::

    for finding in try_out(environment, read_host()): ...
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from mirror.closed.environment.variables import Environment
from mirror.closed.host.machine import Host
from mirror.closed.prefix.check import FAILED, Check
from mirror.closed.selftest.selftest import self_test
from mirror.core.cuda.redistnames import rpm_names
from mirror.core.kinds import REDIST, RPM
from mirror.core.logs.explained.log import explain
from mirror.core.logs.finding import About, Finding
from mirror.core.logs.symptom import Context
from mirror.core.progress import SILENT, Progress


def context_of(environment: Environment | None) -> Context:
    """What the symptoms of a log may know of the stack that it is from."""
    if environment is None:
        return Context()
    release = environment.manifest.target.cuda
    return Context(release, _packages(environment), environment.cuda_home, str(environment.script))


def _packages(environment: Environment) -> tuple[str, ...]:
    """The RPM packages of the toolkit, also where their files came in NVIDIA's component archives."""
    manifest = environment.manifest
    rpms = (rpm.name for rpm in manifest.of(RPM))
    held = (rpm_names(archive.name, manifest.target.cuda) for archive in manifest.of(REDIST))
    return tuple(chain(rpms, *held))


def try_out(environment: Environment, host: Host, progress: Progress = SILENT) -> Iterator[Finding]:
    """Run the self-test, and explain each failure as a log would be."""
    with tempfile.TemporaryDirectory(prefix="mirror-doctor-") as work:
        checks = self_test(environment, host, Path(work), progress)
    for check in checks:
        yield _told(check, environment)


def _told(check: Check, environment: Environment) -> Finding:
    if check.outcome != FAILED:
        if not check.detail:
            return About("self-test").good(str(check))
        fix = "nothing, where that is as it should be; else mend it, and 'mirror doctor' tries it again"
        return About("self-test").note(f"{check.name}: {check.outcome}", check.detail, "mirror doctor", fix)
    first = explain(check.detail.splitlines(), context_of(environment)).findings[0]
    if not first.key:
        last = check.detail.strip().rpartition("\n")[2]
        return About("self-test").problem(
            f"{check.name} failed",
            cause="not known: its last words are the proof",
            proof=last,
            fix="show the bundle's maker what 'mirror doctor --page' prints; 'mirror rollback' goes back to what worked",
        )
    seen = first.proof.partition(": ")[2].partition("\n")[0]
    return replace(first, what=f"{check.name} failed: {first.what}", proof=seen)

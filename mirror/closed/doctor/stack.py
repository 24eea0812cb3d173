"""The installed stack, judged: the toolkit, the packages, the libraries, the caches.

It joins the modules that know one of these each; ``mirror.closed.doctor.trial`` tries whether the stack works.

Rule: the same as in ``mirror.closed.doctor.machine``. The libraries are read once, some 500 of them, and that is what takes the
time.

Example::

    for finding in judge_stack(read_facts(environment, os.environ)): ...
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from mirror.closed.doctor.facts import Facts
from mirror.closed.doctor.host.driver import judge_driver
from mirror.closed.doctor.installed.binaries import Scan, scan
from mirror.closed.doctor.installed.caches import cache_roots, held_locks, stale_caches
from mirror.closed.doctor.installed.cudahome import judge_toolkit
from mirror.closed.doctor.installed.gpucode import judge_code, judge_unread
from mirror.closed.doctor.installed.hostlibraries import read_libraries
from mirror.closed.doctor.installed.linking import judge_links
from mirror.closed.doctor.installed.wheels import Installed, judge_installed
from mirror.closed.doctor.machine import guarded
from mirror.closed.environment.variables import Environment
from mirror.closed.prefix.receipt import Receipt, former_place
from mirror.closed.venv.hostpackages import issues, read_host_packages
from mirror.core.logs.finding import About, Finding
from mirror.core.progress import SILENT, Progress


def judge_stack(facts: Facts, progress: Progress = SILENT) -> Iterator[Finding]:
    """Everything that is installed; nothing when nothing is."""
    environment, installed, toolkit = facts.environment, facts.installed, facts.toolkit
    if environment is None or installed is None:
        return
    target = environment.manifest.target
    yield from _judge_place(environment, facts.receipt)
    releases = {"the toolkit": target.cuda if toolkit else "", "torch": installed.torch_cuda}
    for what, release in releases.items():
        if facts.nvidia.driver and release:
            yield judge_driver(facts.nvidia.driver, release, what)
    if toolkit:
        uses_flashinfer = "flashinfer-python" in installed.projects
        yield from guarded("toolkit", judge_toolkit(toolkit, target.cuda, target.gpu, uses_flashinfer))
    yield from guarded("packages", judge_installed(installed, target.cuda if toolkit else "", _has_cubin_dir(facts)))
    yield from guarded("host's packages", _judge_host_packages(environment, facts.receipt))
    yield from guarded("caches", _judge_caches(facts))
    found = scan([environment.venv, *([toolkit.home] if toolkit else [])], progress)
    yield from guarded("libraries", _judge_binaries(facts, found, installed))


def _has_cubin_dir(facts: Facts) -> bool:
    fixed = facts.environment.fixed() if facts.environment else {}
    return bool(facts.variables.get("FLASHINFER_CUBIN_DIR") or fixed.get("FLASHINFER_CUBIN_DIR"))


def _judge_place(environment: Environment, receipt: Receipt | None) -> Iterator[Finding]:
    if receipt and (place := former_place(environment.generation, receipt)):
        yield About("place").problem(
            f"the stack was installed in {place}, and is now in {environment.generation}",
            cause="the directory was moved or copied; a venv holds its own path",
            proof=f"{environment.generation}/receipt.json",
            fix="move it back, or build it anew where it lies: 'mirror install --repair BUNDLE --prefix DIR'",
        )


def _judge_host_packages(environment: Environment, receipt: Receipt | None) -> Iterator[Finding]:
    """What the host's Python brings now: its owner may have changed it since the stack was installed."""
    manifest = environment.manifest
    if not manifest.host_packages or receipt is None:
        return
    found = read_host_packages(Path(receipt.python), [project for project, _ in manifest.host_packages])
    changed = False
    for issue in issues(manifest, found):
        changed = True
        yield About("host's packages").problem(
            issue,
            cause="the stack leaves it to the host's Python ([python] host_packages), whose packages have changed",
            proof=f"ls $({shlex.quote(receipt.python)} -I -c 'import site; print(*site.getsitepackages())')",
            fix="have the version that is named put back; or lock a stack for what is there, and install that",
        )
    if not changed:
        yield from (About("host's packages").good(note) for note in found.notes())


def _judge_caches(facts: Facts) -> Iterator[Finding]:
    roots, toolkit = cache_roots(facts.variables), facts.toolkit
    found = [
        *stale_caches(roots, toolkit.home if toolkit else None, toolkit.nvcc if toolkit else ""),
        *held_locks(roots),
    ]
    yield from found
    if not found:
        names = ", ".join(map(str, roots)) or "there are none yet"
        yield About("caches").good(f"no kernel of another toolkit and no lock that is held ({names})")


def _judge_binaries(facts: Facts, found: Scan, installed: Installed) -> Iterator[Finding]:
    environment = facts.environment
    if environment is None:
        return
    target = environment.manifest.target
    owners = {Path(os.path.normpath(installed.site / name)): owner for name, owner in installed.owners().items()}
    libraries = read_libraries(facts.variables)
    yield from judge_unread(found)
    yield from judge_links(found, owners, facts.host, libraries, facts.variables)
    here = sorted({gpu.arch for gpu in facts.nvidia.gpus if gpu.arch})
    wheels = Scan(tuple(b for b in found.binaries if environment.venv in b.path.parents), found.names)
    wanted = dict.fromkeys(filter(None, [target.gpu, *here]))
    for gpu in [gpu for gpu in wanted if gpu == target.gpu or gpu != target.gpu.rstrip("af")]:
        yield from judge_code(wheels, owners, [gpu], facts.nvidia.driver, installed.torch_cuda)
    for gpu in here:
        if target.gpu and gpu != target.gpu.rstrip("af"):
            yield About("GPUs").warning(
                f"the stack is for {target.gpu}, this host has {facts.nvidia.summary()}",
                cause="the bundle was made for other machines",
                proof="manifest.json; nvidia-smi",
                fix=f"lock it with [target].gpu = {gpu!r}, or use another host",
                row="47",
            )

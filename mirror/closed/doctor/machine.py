"""The host itself, judged: GPUs and driver, the calling shell, disks, memory and limits, compilers.

It joins the modules that know one of these each. ``mirror.closed.doctor.stack`` checks what is installed.

Rule: a part that cannot be looked at is told as such, and stops no other.

Example::

    for finding in judge_machine(read_facts(None, os.environ)): ...
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mirror.closed.doctor.facts import Facts
from mirror.closed.doctor.host import disks
from mirror.closed.doctor.host.driver import judge_devices, what_it_allows
from mirror.closed.doctor.host.driverapi import judge_answer
from mirror.closed.doctor.host.resources import judge_resources
from mirror.closed.doctor.host.shell import judge_shell
from mirror.closed.doctor.host.toolbox import judge_compilers, judge_headers, judge_ninja
from mirror.closed.doctor.host.transports import judge_transports
from mirror.closed.environment.variables import Environment
from mirror.closed.host.hostcompiler import ceiling_of
from mirror.closed.venv.interpreter import Interpreter, ask
from mirror.core.errors import MirrorError, place_of
from mirror.core.logs.finding import About, Finding

_COMPILING = frozenset({
    "deep-gemm", "deepspeed", "exllamav2", "flashinfer-python", "sglang", "tensorrt-llm", "torch", "vllm", "xformers",
})  # fmt: skip
"""Projects that compile at run time, and start ninja for it."""


def guarded(subject: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """What could be looked at, and a note for the rest."""
    try:
        yield from findings
    except (OSError, MirrorError, ValueError) as exc:
        yield About(subject).note(
            f"it could not be looked at: {exc}",
            cause="a file is not there, or cannot be read by you, or holds something else than it should",
            proof=place_of(exc, "") if isinstance(exc, OSError) else "",
            fix=(exc.hint if isinstance(exc, MirrorError) else "")
            or "look at what it names: ls -ld on it, and its directory",
        )


def judge_machine(facts: Facts) -> Iterator[Finding]:
    """Everything about the host, as far as it matters to the stack that is on it."""
    environment, variables, nvidia = facts.environment, facts.variables, facts.nvidia
    yield from guarded("GPU devices", judge_devices(nvidia))
    if nvidia.driver and environment is None:
        yield About("driver").good(f"driver {nvidia.driver} {what_it_allows(nvidia.driver)}")
    if facts.answer:
        yield from judge_answer(facts.answer, nvidia)
    yield from guarded("between GPUs", judge_transports(facts.answer, variables))
    yield from guarded("shell", judge_shell(variables, environment))
    yield from guarded("disk", _judge_disks(variables, environment))
    locked = {"locked": environment.manifest.sequence} if environment else {}
    yield from judge_resources(facts.resources, variables, **locked)
    release = environment.manifest.target.cuda if environment and environment.cuda_home else ""
    ceiling = ceiling_of(environment.cuda_home, release) if environment and environment.cuda_home else None
    yield from judge_compilers(facts.toolbox, release, ceiling, _uses(facts))
    if facts.installed is None or not _COMPILING.isdisjoint(facts.installed.projects):
        yield from judge_ninja(environment.venv if environment else None, variables)
    yield from guarded("Python", _judge_python(facts))


def _uses(facts: Facts) -> Iterator[str]:
    """Which roles of a compiler the stack has."""
    if facts.installed is None:
        return
    if facts.toolkit:
        yield "gcc"
    for project, role in (("flashinfer-python", "c++"), ("torch", "g++"), ("triton", "cc")):
        if project in facts.installed.projects:
            yield role


def _judge_disks(variables: Mapping[str, str], environment: Environment | None) -> Iterator[Finding]:
    yield from disks.judge_place(disks.probe(disks.temporary_directory(variables), True), disks.TEMPORARY)
    # Without a home env.sh keeps caches beside the venv.
    cache = disks.cache_directory(variables) or (environment.generation if environment else None)
    if cache is None:
        yield About("disk").warning(
            "neither HOME nor XDG_CACHE_HOME is set: nothing says where caches go",
            cause="a service without a home",
            proof="env",
            fix="set XDG_CACHE_HOME for the service",
            row="44",
        )
    else:
        yield from disks.judge_place(disks.probe(cache), disks.CACHE)
    yield disks.judge_shared_memory(disks.probe(Path("/dev/shm")))  # noqa: S108 - the real one
    yield from disks.judge_default_caches(disks.default_caches(variables))


def _judge_python(facts: Facts) -> Iterator[Finding]:
    if facts.environment is None:
        include = Path(sys.base_prefix, "include", f"python{sys.version_info[0]}.{sys.version_info[1]}", "Python.h")
        there = "comes with" if include.exists() else "comes without"
        yield About("Python.h").note(
            f"Python {facts.python} ({sys.executable}) {there} it",
            cause="it is part of this Python"
            if include.exists()
            else "the distribution keeps it in a package of its own (python3-devel, libpython3-dev)",
            proof=str(include),
            fix="nothing, unless a stack without an interpreter of its own is to be installed for this Python: Triton and "
            "torch need it then",
        )
        return
    target, python = facts.environment.manifest.target, facts.environment.venv / "bin/python"
    judged = ask(python, target)
    if isinstance(judged, Interpreter):
        yield judge_headers(str(judged.path), judged.has_headers, judged.version)
    else:
        yield About("Python").problem(
            judged,
            cause="you may not enter the directory of the interpreter that the venv was made from, or not start it"
            if "Permission denied" in judged
            else "the interpreter that the venv was made from was removed or updated to another minor version",
            proof=f"{python} --version",
            fix="'mirror install --repair BUNDLE' builds the venv anew, from another Python",
        )

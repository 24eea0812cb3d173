"""What a log's finding is about, looked at on this host: the checks that it names, where they need no program.

The log may be of another host, or the fault be gone since; so what is found here is told beside the cause, as what is so now.

Rules: only what the finding is about is looked at; nothing is changed; what cannot be read is not told.

Example::

    for found in looks(explanation.findings, os.environ, environment): ...
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from mirror.closed.doctor.host.disks import judge_shared_memory, probe
from mirror.closed.doctor.host.paths import judge_paths, library_path
from mirror.closed.doctor.host.resources import judge_resources, read_resources
from mirror.closed.doctor.host.shell import judge_shell
from mirror.closed.doctor.host.transports import judge_transports
from mirror.closed.doctor.installed.hostlibraries import read_libraries
from mirror.closed.doctor.installed.wheels import judge_installed, read_installed
from mirror.closed.environment.variables import Environment
from mirror.closed.prefix.generations import Prefix
from mirror.closed.which.place import installed_place
from mirror.closed.which.search import which
from mirror.core.errors import MirrorError
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, Finding
from mirror.core.logs.layers import DISK, LOADER, PACKAGE, TOOLKIT


class _Case(NamedTuple):
    """A log's finding; the calling shell's variables; the environment of the stack that the log may be from, None for none."""

    finding: Finding
    variables: Mapping[str, str]
    environment: Optional[Environment]


Look = Callable[[_Case], Iterable[Finding]]

_CUDA_LIBRARIES = ("cudart.so*", "cublas*.so*", "nvJitLink.so*", "cudnn*.so*", "nccl.so*", "nvrtc.so*")


def looks(
    findings: Iterable[Finding], variables: Mapping[str, str], environment: Environment | None
) -> tuple[Finding, ...]:
    """What is so on this host, of what the problems of a log are about: each once.

    Args:
        environment: of the generation that the log may be from; None for none.
    """
    told: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        if finding.level == PROBLEM:
            case, layer = _Case(finding, variables, environment), _BY_LAYER.get(finding.layer)
            asked = [seen for look in _BY_KEY.get(finding.key, ()) for seen in look(case)]
            asked += [seen for seen in layer(case) if seen.level != GOOD] if layer else []
            for seen in asked:
                told.setdefault((seen.subject, seen.what), _because_of(finding, seen))
    return tuple(told.values())


def _because_of(finding: Finding, seen: Finding) -> Finding:
    """What was seen, with why it was looked at, and the step that the log's own finding names, where it has none of its own."""
    why = f"looked at because the log says: {finding.what}"
    if seen.level == GOOD:
        return seen
    return replace(seen, cause=seen.cause or why, fix=seen.fix or finding.fix)


def _here(subject: str, what: str, proof: str) -> Finding:
    return _seen(subject, f"on this host {what}", proof)


def _seen(subject: str, what: str, proof: str) -> Finding:
    """A fact; ``looks`` says why it is told."""
    return Finding(NOTE, subject, what, proof=proof)


def _shared_memory(case: _Case) -> Iterator[Finding]:
    yield judge_shared_memory(probe(Path("/dev/shm")))  # noqa: S108 - the name, nothing is made there


def _disk(case: _Case) -> Iterator[Finding]:
    if case.finding.about.startswith("/"):
        place = probe(Path(case.finding.about).parent)
        if place.write_error:
            yield _here(
                str(place.nearest), f"cannot be written: {os.strerror(place.write_error)}", f"a file in {place.nearest}"
            )
        else:
            inodes = f" and {place.free_inodes} files" if place.free_inodes >= 0 else ""
            yield _here(str(place.nearest), f"has room for {place.free_bytes >> 20} MiB{inodes}", f"df {place.nearest}")


def _no_name(case: _Case) -> Iterator[Finding]:
    try:
        yield _here("user", f"user {os.getuid()} is {pwd.getpwuid(os.getuid()).pw_name}", "the passwd file")
    except KeyError:
        yield _here("user", f"user {os.getuid()} has no entry in the passwd file", "the passwd file")


def _library(case: _Case) -> Iterator[Finding]:
    name = case.finding.about
    if not name.startswith("lib"):
        return
    found = read_libraries(case.variables).find(name)
    places = sorted(case.environment.venv.rglob(f"{name}*"))[:3] if case.environment and not found else []
    if found:
        what = f"the loader finds {found}"
    elif places:
        what = f"only the venv has it: {', '.join(map(str, places))}"
    else:
        what = "the loader finds no such library"
    yield _here(name, what, "LD_LIBRARY_PATH, ld.so.conf and the loader's own directories")


def _brought(case: _Case) -> Iterator[Finding]:
    """Who brings a header or a library, by the index of the install: of the whole release, where it has that."""
    if case.environment is None or not case.finding.about:
        return
    try:
        answer = which(installed_place(Prefix(case.environment.generation.parents[1])), case.finding.about)
    except MirrorError:
        return  # nobody there knows it; that is not said to mean anything
    file = case.finding.about
    for match in answer.rpms[:3]:
        has = "is in this install" if match.rpm.carried else "is not in this install: add it to NAME.toml"
        yield _seen(file, f"{match.rpm.name}, which brings it, {has}", f"mirror which {file}")
    for project in dict.fromkeys(project for _, project in answer.wheels):
        yield _seen(file, f"the venv has it in {project}", f"mirror which {file}")
    for said in filter(None, (answer.made, answer.driver)):
        yield _seen(file, said, f"mirror which {file}")


def _shadows(case: _Case) -> Iterator[Finding]:
    for directory in library_path(case.variables):
        held = sorted({path.name for pattern in _CUDA_LIBRARIES for path in directory.glob(f"lib{pattern}")})
        if held:
            yield _here(
                "LD_LIBRARY_PATH", f"{directory} holds {', '.join(held[:4])}, before the venv's own", "LD_LIBRARY_PATH"
            )


def _resources(*subjects: str) -> Look:
    """A look at what programs run out of, by the subjects of ``judge_resources``."""

    def look(case: _Case) -> Iterator[Finding]:
        return (one for one in judge_resources(read_resources(True), case.variables) if one.subject in subjects)

    return look


def _toolkit(case: _Case) -> Iterator[Finding]:
    yield from judge_shell(case.variables, case.environment)
    if case.finding.key in ("no-nvcc", "E24", "E25"):
        nvcc = shutil.which("nvcc", path=case.variables.get("PATH", ""))
        home = case.variables.get("CUDA_HOME", "")
        yield _here(
            "nvcc",
            f"{nvcc or 'no nvcc'} is on PATH, and CUDA_HOME is {home or 'not set'}",
            "command -v nvcc; echo $CUDA_HOME",
        )


def _packages(case: _Case) -> Iterable[Finding]:
    if case.environment is None:
        return ()
    return judge_installed(read_installed(case.environment.venv), case.environment.manifest.target.cuda)


_limits, _memory = _resources("open files", "locked memory"), _resources("memory")
_BY_KEY: Mapping[str, tuple[Look, ...]] = {
    "shm-too-small": (_shared_memory,),
    **dict.fromkeys(("nccl-interface", "nccl-usage"), (lambda case: judge_transports(None, case.variables),)),
    "nccl-system": (_shared_memory, _limits),
    "no-passwd-entry": (_no_name,),
    "driver-library-missing": (_library,),
    **dict.fromkeys(
        ("host-library-missing", "package-library-missing", "python-library-missing", "E38"), (_library, _brought)
    ),
    **dict.fromkeys(
        ("header-missing", "library-to-link-missing", "toolkit-tool-missing", "nvrtc-builtins-missing"), (_brought,)
    ),
    **dict.fromkeys(("E1", "E2", "E3", "E4", "E5", "E6", "E16", "E17", "E18", "E19", "E20"), (_brought,)),
    **dict.fromkeys(("cuda-library-shadowed", "E39", "E41"), (_shadows,)),
    **dict.fromkeys(("open-files", "locked-memory"), (_limits,)),
    **dict.fromkeys(("host-memory", "E62"), (_memory,)),
}
"""The looks that a cause asks for."""

_BY_LAYER: Mapping[str, Look] = {
    DISK: _disk, LOADER: lambda case: judge_paths(case.variables), TOOLKIT: _toolkit, PACKAGE: _packages
}  # fmt: skip
"""The look that a whole layer asks for; only what is not good is told."""

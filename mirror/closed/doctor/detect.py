"""This host in one small file: what ``mirror detect`` finds, for whoever locks and makes bundles for it elsewhere.

The form is ``mirror.core.targets.detected``; each fact comes from the module of this room that reads it.

Rules: nothing is written, and nothing is reached over a network; what cannot be told is unknown, with the reason in a
few words; of several Pythons of one minor version, one with headers and then the newest is told.

Example::

    detect(os.environ).encode()
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Dict, Optional

from mirror.closed.doctor.host.disks import cache_directory, temporary_directory
from mirror.closed.doctor.host.driverapi import ask_driver, can_be_asked
from mirror.closed.doctor.host.nvidia import Nvidia, read_nvidia
from mirror.closed.doctor.host.toolbox import read_toolbox
from mirror.closed.doctor.installed.hostlibraries import Libraries, read_libraries
from mirror.closed.host.command import run
from mirror.closed.host.machine import Host, nearest_existing, read_disk, read_host
from mirror.closed.prefix.generations import default_prefix
from mirror.closed.venv.interpreter import Interpreter, host_candidates, question
from mirror.core.cpus import held
from mirror.core.cuda.releases import newest_release
from mirror.core.errors import MirrorError
from mirror.core.names import dotted_numbers, whole_number
from mirror.core.targets.detected import MAX_BYTES, Detected, Disk, FoundPython, GpuKind, one_line
from mirror.core.wheels.tags import OLDEST_GLIBC

_MINORS = tuple(f"3.{minor}" for minor in range(9, 16))
_SHARED = Path("/dev/shm")  # noqa: S108 - the name, nothing is made there
_COMPAT = re.compile(r"libcuda\.so\.(\d+(?:\.\d+)+)")


_Unknown = Dict[str, str]
"""Why a fact cannot be told, by its name."""


def detect(variables: Mapping[str, str], proc: Path = Path("/proc")) -> Detected:
    """Look at this host; always answers."""
    unknown: _Unknown = {}
    host, nvidia, libraries = read_host(proc), read_nvidia(proc), read_libraries(variables)
    pythons = _pythons(host.arch)
    detected = Detected(
        arch=host.arch,
        glibc=".".join(map(str, host.glibc)) if host.glibc else "",
        libstdcxx=_newest(libraries, "GLIBCXX_", "libstdcxx", unknown),
        cxxabi=_newest(libraries, "CXXABI_", "cxxabi", unknown),
        cpu=_cpu(host, unknown),
        gcc=_gcc(variables, unknown),
        cuda_compat=_compat(libraries, variables),
        fips=_fips(proc, unknown),
        shm_bytes=_shared_bytes(unknown),
        quota_bytes=_quota_bytes(variables, unknown),
        pythons=tuple(
            FoundPython(one.version, one_line(str(one.path)), one.has_headers, one.has_venv) for one in pythons
        ),
        disks=tuple(_disks(variables)),
        platform_tags=_platform_tags(host),
        markers=_markers(pythons[0], host.arch) if pythons else (),
    )
    detected = _with_gpus(detected, nvidia, variables, unknown)
    return _within(replace(detected, unknown={fact: one_line(why) for fact, why in unknown.items()}))


def _with_gpus(detected: Detected, nvidia: Nvidia, variables: Mapping[str, str], unknown: _Unknown) -> Detected:
    if not nvidia.driver:
        if nvidia.boards:
            unknown["gpus"] = f"{nvidia.boards} NVIDIA devices are on the PCI bus, and no driver is loaded"
            return replace(detected, driver="", driver_cuda="")
        return replace(detected, driver="", driver_cuda="", gpus=())
    gpus, release = nvidia.gpus, newest_release(nvidia.driver)
    if can_be_asked(nvidia):
        answer = ask_driver(variables)
        gpus, release = answer.gpus or gpus, answer.release or release
    if not gpus:
        unknown["gpus"] = "the driver shows none, and cannot be asked: its devices are missing or closed to this user"
    if not release:
        unknown["driver_cuda"] = "the driver cannot be asked, and is older than every release that mirror knows"
    kinds = Counter((one_line(gpu.model), gpu.capability) for gpu in gpus)
    return replace(
        detected,
        driver=nvidia.driver,
        driver_cuda=release or None,
        gpus=tuple(GpuKind(model, number, count) for (model, number), count in kinds.items()) or None,
    )


def _newest(libraries: Libraries, prefix: str, fact: str, unknown: _Unknown) -> Optional[str]:
    """The newest symbol version of the C++ library that the loader would take."""
    if libraries.find("libstdc++.so.6") is None:
        return ""
    versions = libraries.versions("libstdc++.so.6")
    numbers = [one[len(prefix) :] for one in versions if re.fullmatch(rf"{prefix}\d+(\.\d+)*", one)]
    if not numbers:
        unknown[fact] = f"no symbol versions could be read from {libraries.find('libstdc++.so.6')}"
    return max(numbers, key=dotted_numbers, default=None)


def _cpu(host: Host, unknown: _Unknown) -> Optional[tuple[str, ...]]:
    if host.cpu_flags is None:
        unknown["cpu"] = "/proc/cpuinfo lists no flags"
        return None
    return held(host.arch, host.cpu_flags)


def _gcc(variables: Mapping[str, str], unknown: _Unknown) -> Optional[str]:
    compiler = read_toolbox(variables).compilers.get("gcc")
    if compiler is None:
        return ""
    if compiler.kind != "gcc":
        unknown["gcc"] = f"{compiler.path} does not answer as a gcc"
        return None
    return ".".join(map(str, compiler.version))


def _compat(libraries: Libraries, variables: Mapping[str, str]) -> str:
    """The version of a cuda-compat library, where the loader looks or where NVIDIA's packages put it."""
    places = [directory for directory in libraries.directories if directory.name == "compat"]
    places += sorted(Path("/usr/local").glob("cuda*/compat"), reverse=True)
    for place in places:
        try:
            names = sorted(path.name for path in place.iterdir())
        except OSError:
            continue
        version = next((match[1] for name in names if (match := _COMPAT.fullmatch(name))), "")
        if version:
            return version
    return ""


def _fips(proc: Path, unknown: _Unknown) -> Optional[bool]:
    try:
        return (proc / "sys/crypto/fips_enabled").read_text("utf-8", "replace").strip() == "1"
    except OSError as exc:
        unknown["fips"] = f"/proc/sys/crypto/fips_enabled: {exc.strerror}"
        return None


def _shared_bytes(unknown: _Unknown) -> Optional[int]:
    try:
        facts = os.statvfs(_SHARED)
    except FileNotFoundError:
        return 0
    except OSError as exc:
        unknown["shm_bytes"] = f"{_SHARED}: {exc.strerror}"
        return None
    return facts.f_bavail * facts.f_frsize


def _quota_bytes(variables: Mapping[str, str], unknown: _Unknown) -> Optional[int]:
    """The least that a quota leaves, by quota(1): no file of the kernel's tells another user's limits of a server."""
    program = shutil.which("quota", path=variables.get("PATH", os.defpath))
    if program is None:
        unknown["quota_bytes"] = "there is no program quota to ask"
        return None
    finished = run([program, "-w", "-p", "-u"], {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, timeout_s=20)
    left = _quota_left(finished.output)
    if left is None:
        unknown["quota_bytes"] = f"quota does not answer: {finished.tail(1) or f'exit {finished.code}'}"
    return left


def _quota_left(output: str) -> Optional[int]:
    """The least room in quota's table, in bytes; -1 when there is no limit in it, None when it is no such table."""
    if re.search(r"^Disk quotas for .*: none\s*$", output, re.MULTILINE):
        return -1
    left = []
    for words in (line.split() for line in output.splitlines()):
        numbers = [whole_number(word.rstrip("*")) for word in words[1:4]] if len(words) >= 4 else []
        if len(numbers) == 3 and None not in numbers:
            used, soft, hard = (number or 0 for number in numbers)
            limit = hard or soft
            left.append(max(0, limit - used) * 1024 if limit else -1)
    limited = [one for one in left if one >= 0]
    return min(limited) if limited else -1 if left else None


def _pythons(arch: str) -> list[Interpreter]:
    """The ordinary CPythons of this host that a venv could be made from: the best of each minor version, newest first."""
    answers: dict[str, Interpreter] = {}
    asked: set[str] = set()
    for minor in _MINORS:
        for path in host_candidates(minor):
            real = os.path.realpath(path)
            if real in asked:
                continue
            asked.add(real)
            answer = question(path)
            if isinstance(answer, str) or (answer.implementation, answer.abi, answer.machine) != ("cpython", "", arch):
                continue
            answers.setdefault(os.path.realpath(answer.path), answer)
    best: dict[tuple[int, ...], Interpreter] = {}
    for one in sorted(answers.values(), key=lambda one: (one.has_headers, one.has_venv, dotted_numbers(one.version))):
        best[dotted_numbers(one.version)[:2]] = one
    return [best[minor] for minor in sorted(best, reverse=True)]


def _disks(variables: Mapping[str, str]) -> Iterator[Disk]:
    """Where a stack is installed, where its kernels are cached, and where compilers put temporary files."""
    places: list[tuple[str, Path]] = []
    with contextlib.suppress(MirrorError):  # whoever has no home names a prefix
        places.append(("install", default_prefix("NAME").parent))
    cache = cache_directory(variables)
    places += [("cache", cache)] if cache and cache.is_absolute() else []
    places.append(("tmp", temporary_directory(variables)))
    for use, path in places:
        try:
            disk = read_disk(path)
        except OSError:
            continue
        yield Disk(use, one_line(str(nearest_existing(path))), disk.free_bytes, disk.is_noexec)


def _platform_tags(host: Host) -> tuple[str, ...]:
    """Newest and oldest: every one in between will do (PEP 600)."""
    if host.glibc is None:
        return ()
    newest, oldest = host.glibc[1], OLDEST_GLIBC.get(host.arch, 17)
    return (f"manylinux_2_{newest}_{host.arch}", f"manylinux_2_{oldest}_{host.arch}", f"linux_{host.arch}")


def _markers(python: Interpreter, arch: str) -> tuple[tuple[str, str], ...]:
    """PEP 508's environment under a Python, as uv and pex take it."""
    system = os.uname()
    values = {
        "implementation_name": "cpython",
        "implementation_version": python.version,
        "os_name": "posix",
        "platform_machine": arch,
        "platform_python_implementation": "CPython",
        "platform_release": one_line(system.release),
        "platform_system": "Linux",
        "platform_version": one_line(system.version),
        "python_full_version": python.version,
        "python_version": ".".join(python.version.split(".")[:2]),
        "sys_platform": "linux",
    }
    return tuple(sorted(values.items()))


def _within(detected: Detected) -> Detected:
    """The same, short enough for a page: without the markers, which follow from the rest; then without the oldest Pythons."""
    if len(detected.encode()) >= MAX_BYTES:
        detected = replace(detected, markers=())
    while len(detected.encode()) >= MAX_BYTES and detected.pythons:
        detected = replace(detected, pythons=detected.pythons[:-1])
    return detected

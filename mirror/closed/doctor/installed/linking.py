"""Whether the loader will find what each library needs, and the right one of it.

It holds: symbol versions of glibc and libstdc++ against the host's, needed libraries that are nowhere, libraries of another
architecture, and libraries of ``LD_LIBRARY_PATH`` that stand in the way of the wheels' own.

Rules: wheels carry plugins for libraries that a server seldom has (RDMA, FFmpeg, MPI), so a missing library is a problem only
when it is CUDA's and another major release of it is there; a library on ``LD_LIBRARY_PATH`` does harm only to those that look
there before their own directory: with RUNPATH, not with RPATH (ld.so(8)).

Example::

    for finding in judge_links(scan, owners, host, libraries, os.environ): ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mirror.closed.doctor.host.paths import library_path
from mirror.closed.doctor.installed.binaries import Binary, Scan
from mirror.closed.doctor.installed.hostlibraries import Libraries
from mirror.closed.host.machine import Host
from mirror.core.binaries.elf import MalformedElf, defined_symbols
from mirror.core.binaries.glibc import glibc_version
from mirror.core.logs.finding import PROBLEM, WARNING, About, Finding
from mirror.core.names import dotted_numbers

_CUDA = re.compile(r"lib(cudart|cublas|cublasLt|cusparse|cusparseLt|cusolver|cufft|curand|nvrtc|nvJitLink|cupti|cudnn|nccl|"
                   r"nvshmem_host|cufile)\.so\.(\d+)(\.\d+)*")  # fmt: skip
_NCCL = ("ncclCommRegister", "ncclMemFree", "ncclAlltoAll", "ncclCommWindowRegister")
"""Functions of newer NCCL that torch calls (CUDA.md E 39)."""

_DRIVER = ("libcuda.so", "libnvidia-", "libnvcuvid.so", "libnvoptix.so")
_SHOWN = 4


def judge_links(
    scan: Scan, owner_of: Mapping[Path, str], host: Host, libraries: Libraries, variables: Mapping[str, str]
) -> Iterable[Finding]:
    """All of it.

    Args:
        scan: the generation's libraries and programs.
        owner_of: file -> project.
        libraries: the host's, with those of ``LD_LIBRARY_PATH``.
    """
    yield from judge_machines(scan, host.arch)
    yield from judge_glibc(scan, owner_of, host.glibc)
    yield from judge_libstdcxx(scan, owner_of, libraries)
    yield from judge_missing(scan, owner_of, libraries)
    yield from judge_shadows(scan, library_path(variables))


def judge_machines(scan: Scan, arch: str) -> Iterable[Finding]:
    foreign = [b for b in scan.binaries if b.elf and b.elf.machine not in (arch, "cuda")]
    if foreign:
        machines = sorted({binary.elf.machine for binary in foreign if binary.elf})
        yield About("architecture").at(
            PROBLEM if any(binary.is_library for binary in foreign) else WARNING,
            f"{_some(foreign)} are for {', '.join(machines)}, this host is {arch}",
            cause="packages of another architecture were taken",
            proof="ELF headers",
            fix="lock with the right [target].arch and repository",
            row="23",
        )
    else:
        yield About("architecture").good(f"all {len(scan.binaries)} libraries and programs are for {arch}")


def judge_glibc(scan: Scan, owner_of: Mapping[Path, str], glibc: tuple[int, int] | None) -> Iterable[Finding]:
    """The newest glibc that anything asks for, against the host's."""
    if glibc is None:
        return
    newest: tuple[int, ...] = (0,)
    too_new: dict[str, tuple[int, ...]] = {}
    for binary in scan.binaries:
        wanted = max((glibc_version(version) for version in _wanted(binary, "GLIBC_")), default=())
        newest = max(newest, wanted)
        if wanted[:2] > glibc:
            name = _name(binary, owner_of)
            too_new[name] = max(too_new.get(name, (0,)), wanted)
    here = ".".join(map(str, glibc))
    for name, wanted in sorted(too_new.items()):
        yield About("glibc").problem(
            f"{name} needs glibc {'.'.join(map(str, wanted))}, this host has {here}",
            cause="it was built on a newer system; a wheel's tag does not always say so",
            proof=".gnu.version_r",
            fix="an older version of it, or let mirror build it from source on an older system",
            row="35",
        )
    if not too_new:
        yield About("glibc").good(
            f"{'.'.join(map(str, newest))} is the newest that anything needs, this host has {here}"
        )


def judge_libstdcxx(scan: Scan, owner_of: Mapping[Path, str], libraries: Libraries) -> Iterable[Finding]:
    """The C++ library that the loader would take, against the symbol versions that are asked of it."""
    offered = libraries.versions("libstdc++.so.6")
    path = libraries.find("libstdc++.so.6")
    wanted: dict[str, set[str]] = {}
    for binary in scan.libraries:
        versions = {*_wanted(binary, "GLIBCXX_"), *_wanted(binary, "CXXABI_")}
        wanted.setdefault(_name(binary, owner_of), set()).update(versions)
    if not any(wanted.values()):
        return
    if not offered:
        yield About("libstdc++").problem(
            "the wheels need libstdc++.so.6, and this host has none where the loader looks",
            cause="a minimal system without the C++ runtime",
            proof="/etc/ld.so.conf",
            fix="ask for the package libstdc++",
            row="36",
        )
        return
    lacking = {name: versions - offered for name, versions in wanted.items() if versions - offered}
    for name, versions in sorted(lacking.items()):
        newest = max(versions, key=_numbers)
        yield About("libstdc++").problem(
            f"{name} needs {newest}, {path} does not have it",
            cause="the system's libstdc++ is older, or an older one is first on LD_LIBRARY_PATH",
            proof=f".gnu.version_r; strings {path} | grep GLIBCXX",
            fix="take that directory out of LD_LIBRARY_PATH, or ship a newer libstdc++ (gcc-toolset's) in front",
            row="36",
        )
    if not lacking:
        yield About("libstdc++").good(f"{path} has every version that is needed")


def judge_missing(scan: Scan, owner_of: Mapping[Path, str], libraries: Libraries) -> Iterable[Finding]:
    """Needed libraries that are neither in the stack nor on the host."""
    missing: dict[str, list[Binary]] = {}
    for binary in scan.binaries:
        for name in binary.elf.needed if binary.elf else ():
            # musl builds of helpers need their own C library; the driver's libraries come with the driver.
            if name not in scan.names and name not in libraries.names and not name.startswith(_DRIVER):
                missing.setdefault(name, []).append(binary)
    others = {match[1]: match[0] for match in map(_CUDA.fullmatch, sorted(scan.names)) if match}
    for name, users in sorted(missing.items()):
        match = _CUDA.fullmatch(name)
        if match and match[1] in others:
            yield About("CUDA libraries").problem(
                f"{_some(users, owner_of)} need {name}, the stack has {others[match[1]]}",
                cause="they were built for another major release of CUDA",
                proof="DT_NEEDED",
                fix="one CUDA release for each venv: take a build of it for this one",
                row="38",
            )
    optional = sorted(name for name in missing if not ((m := _CUDA.fullmatch(name)) and m[1] in others))
    if optional:
        users = [binary for name in optional for binary in missing[name]]
        yield About("libraries").note(
            f"{len(optional)} libraries that plugins need are not there: {', '.join(optional[:_SHOWN])}"
            + (" ..." if len(optional) > _SHOWN else ""),
            cause=f"parts of {_some(users, owner_of)} that a server may do without",
            proof="DT_NEEDED",
            fix="nothing, unless a server asks for one of them: 'mirror which' and its name then say which package brings it",
            row="38",
        )
    else:
        yield About("libraries").good("every library that is needed is there")


def judge_shadows(scan: Scan, directories: Iterable[Path]) -> Iterable[Finding]:
    """Libraries of LD_LIBRARY_PATH that are taken in place of the wheels' own."""
    ours = {binary.soname: binary for binary in scan.libraries if _CUDA.fullmatch(binary.soname)}
    open_to_it = {name for b in scan.libraries if b.elf and not b.elf.rpath for name in b.elf.needed}
    for directory in directories:
        doubles = sorted(
            name for name in ours if (directory / name).exists() and not _is_same(directory / name, ours[name].path)
        )
        if not doubles:
            continue
        lacking = _lacking_nccl(directory, ours)
        hurt = [name for name in doubles if name in open_to_it]
        yield About("LD_LIBRARY_PATH").at(
            PROBLEM if lacking else WARNING,
            f"it holds {directory}, whose {', '.join(doubles)} stand before the wheels' own"
            + (f"; its libnccl lacks {', '.join(lacking)}" if lacking else ""),
            cause=f"the wheels' libraries look there first for {', '.join(hurt)}" if hurt else "programs may load both",
            proof=f"ls {directory}; {ours[doubles[0]].path}",
            fix="take it out: torch's wheels bring their own; a toolkit's lib directory is for linking only",
            row="39" if lacking else "41",
        )


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _lacking_nccl(directory: Path, ours: Mapping[str, Binary]) -> list[str]:
    """Functions that the wheel's libnccl has and the directory's has not."""
    path = directory / "libnccl.so.2"
    if "libnccl.so.2" not in ours or not path.exists():
        return []
    try:
        with ours["libnccl.so.2"].path.open("rb") as mine, path.open("rb") as theirs:
            return sorted(defined_symbols(mine, _NCCL) - defined_symbols(theirs, _NCCL))
    except (OSError, MalformedElf):
        return []


def _wanted(binary: Binary, prefix: str) -> Iterable[str]:
    requires = binary.elf.requires if binary.elf else {}
    return (version for versions in requires.values() for version in versions if version.startswith(prefix))


def _numbers(version: str) -> tuple[int, ...]:
    """``GLIBC_2.34`` as numbers; ``GLIBC_PRIVATE`` has none and is older than all."""
    return dotted_numbers(version.rpartition("_")[2]) or (0,)


def _name(binary: Binary, owner_of: Mapping[Path, str]) -> str:
    return owner_of.get(binary.path, binary.path.name)


def _some(binaries: list[Binary], owner_of: Mapping[Path, str] | None = None) -> str:
    names = sorted({_name(binary, owner_of) if owner_of else binary.path.name for binary in binaries})
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")

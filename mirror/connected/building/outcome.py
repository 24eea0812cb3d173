"""What came out of a build, beyond what refuses it: libraries that it needs, GPUs, paths of this machine, auditwheel's verdict.

``mirror.connected.building.builtwheel`` refuses the wheel that is another one; glibc, and all else that every wheel is vetted
for, is judged when a bundle is made. This module finds what a person should know of a wheel that was compiled here, and where
two builds of one differ.

Rules: what cannot be found out is told as that; nothing is changed in the wheel.

Example::

    outcome = examine(path, wheel, "causal-conv1d 1.5.4", target, room.path)
    outcome.notes    # ("causal-conv1d 1.5.4 was compiled for sm_75, sm_80 too; the target is sm_90a",)
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from mirror.core.binaries.elf import MAGIC, Elf, MalformedElf, read_elf
from mirror.core.binaries.fatbin import Image
from mirror.core.binaries.glibc import newest_glibc
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, strict_json
from mirror.core.names import dotted_numbers
from mirror.core.target import Target
from mirror.core.wheels.wheelfile import WheelFile

_LIBSTDCXX = {  # glibc of a distribution -> GLIBCXX and CXXABI of its libstdc++
    "2.28": ("3.4.25", "1.3.11"),  # RHEL 8
    "2.31": ("3.4.28", "1.3.12"),  # Debian 11, Ubuntu 20.04
    "2.34": ("3.4.29", "1.3.13"),  # RHEL 9
    "2.35": ("3.4.30", "1.3.13"),  # Ubuntu 22.04; Debian 12 has glibc 2.36 with the same
    "2.39": ("3.4.32", "1.3.14"),  # RHEL 10 and Ubuntu 24.04
    "2.41": ("3.4.33", "1.3.15"),  # Fedora 42, Debian 13
}
_VERSIONS = re.compile(r"(GLIBCXX|CXXABI)_(\d{1,3}(?:\.\d{1,3}){1,2})", re.ASCII)
_TOLD = 3
_MAX_ANSWER_BYTES = 16 << 20


@dataclass(frozen=True)
class Outcome:
    """What was found in a wheel.

    Attributes:
        needs: the newest symbol version of each library: ``{"GLIBC": "2.34", "GLIBCXX": "3.4.29", "CXXABI": "1.3.9"}``.
        gpus: architectures of its GPU code.
        auditwheel: the platform tag that auditwheel gives it, or why it gives none; empty for a wheel without compiled files.
        notes: what a person should know, one sentence each.
    """

    needs: dict[str, str]
    gpus: tuple[str, ...]
    auditwheel: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"needs": self.needs, "gpus": list(self.gpus), "auditwheel": self.auditwheel, "notes": list(self.notes)}


def examine(path: Path, wheel: WheelFile, name: str, target: Target, build: Path) -> Outcome:
    """Look at a wheel that ``check_built_wheel`` has let through.

    Args:
        wheel: what was read in it.
        name: the project and its version, for sentences.
        build: the directory that it was built in.

    Raises:
        OSError: when it cannot be read.
    """
    needs: dict[str, str] = {}
    outside, mentions = [], []
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.namelist()):
            data = archive.read(member)
            if str(build).encode() in data:
                mentions.append(member)
            elf = _elf(data, member)
            if elf is not None:
                _raise_versions(needs, elf)
                outside += [f"{member} in {place}" for place in _fixed((elf.rpath, elf.runpath))]
    if glibc := newest_glibc(wheel.native.needs, target.arch):
        needs["GLIBC"] = glibc
    verdict = _auditwheel(path) if wheel.native.count else ""
    notes = [
        *_above(needs, target),
        *_strangers(wheel.native.gpus, target),
        *_told("looks for libraries in a directory of the machine that built it", outside),
        *_told("names the directory that it was built in, so that another store's build has other bytes", mentions),
    ]
    return Outcome(needs, wheel.native.gpus, verdict, tuple(f"{name} {note}" for note in notes))


def differences(one: Path, other: Path) -> tuple[str, ...]:
    """What differs between two builds of a wheel, a sentence each; none when they have the same bytes."""
    if one.name != other.name:
        return (f"one is {one.name}, the other {other.name}",)
    if one.read_bytes() == other.read_bytes():
        return ()
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        members = ({item.filename: item for item in archive.infolist()} for archive in (first, second))
        mine, theirs = members
        found = [f"only one holds {name}" for name in sorted(mine.keys() ^ theirs.keys())]
        for name in sorted(mine.keys() & theirs.keys()):
            left, right = first.read(name), second.read(name)
            if left != right and not name.endswith(".dist-info/RECORD"):
                at = next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
                found.append(f"{name} differs from byte {at} on ({len(left)} and {len(right)} bytes)")
    return tuple(found) or ("the same files, in another order, or with other times or modes",)


def _elf(data: bytes, name: str) -> Elf | None:
    if not data.startswith(MAGIC):
        return None
    try:
        return read_elf(BytesIO(data), name)
    except MalformedElf:
        return None  # the wheel's own reading has told


def _raise_versions(needs: dict[str, str], elf: Elf) -> None:
    for versions in elf.requires.values():
        for version in versions:
            match = _VERSIONS.fullmatch(version)
            if match and dotted_numbers(match[2]) > dotted_numbers(needs.get(match[1], "")):
                needs[match[1]] = match[2]


def _fixed(directories: Iterable[Iterable[str]]) -> Iterator[str]:
    """Directories of a search path that are not told from the file's own place."""
    for group in directories:
        yield from (place for place in group if place and not place.startswith(("$ORIGIN", "${ORIGIN}")))


def _above(needs: dict[str, str], target: Target) -> Iterator[str]:
    """Of libstdc++; of glibc every wheel is vetted."""
    known = [glibc for glibc in _LIBSTDCXX if dotted_numbers(glibc) >= target.glibc_pair]
    if not known:
        return
    for name, there in zip(("GLIBCXX", "CXXABI"), _LIBSTDCXX[min(known, key=dotted_numbers)]):
        if dotted_numbers(needs.get(name, "")) > dotted_numbers(there):
            yield (
                f"needs {name}_{needs[name]}; the oldest systems with glibc {target.glibc} have libstdc++ with {name}_{there}: "
                "build it on such a system, or carry a newer libstdc++"
            )


def _strangers(gpus: Iterable[str], target: Target) -> Iterator[str]:
    """Code for GPUs that nobody asked for: time and bytes for nothing."""
    if not target.gpu:
        return
    wanted = target.gpu[3:].rstrip("af")
    found = [one for one in gpus if Image(one).arch.rpartition("_")[2].rstrip("af") != wanted]
    serving = [one for one in gpus if Image(one).serves(target.gpu)]
    if found:
        yield (
            f"was compiled for {', '.join(found)}{' too' if serving else ''}; the target is {target.gpu}: it goes by other "
            "settings than TORCH_CUDA_ARCH_LIST, see its setup.py; environment or patches in [build] of NAME.toml limit it"
        )
    if gpus and not serving:
        yield f"shows GPU code for {', '.join(gpus)}, and none that serves {target.gpu}"


def _told(what: str, where: list[str]) -> Iterator[str]:
    if where:
        more = f" and {len(where) - _TOLD} more" if len(where) > _TOLD else ""
        yield f"{what}: {', '.join(where[:_TOLD])}{more}"


def _auditwheel(path: Path) -> str:
    """What auditwheel says of a compiled wheel."""
    command = [sys.executable, "-I", "-m", "auditwheel", "show", "--json", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.SubprocessError) as exc:
        return f"auditwheel did not answer ({type(exc).__name__})"
    return (
        _verdict(done.stdout)
        or f"auditwheel did not answer ({(done.stderr.strip() or 'nothing').splitlines()[-1][:200]})"
    )


def _verdict(text: str) -> str:
    """The tag in auditwheel's document; empty when it is none."""
    try:
        return Fields(strict_json(text.encode(), "auditwheel's answer", _MAX_ANSWER_BYTES), "auditwheel").text(
            "overall_tag"
        )
    except InvalidDocument:
        return ""

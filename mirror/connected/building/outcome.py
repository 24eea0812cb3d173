"""What came out of a build, beyond what refuses it: libraries that it needs, GPUs, paths of this machine, auditwheel's verdict.

``mirror.connected.building.fit`` refuses the wheel that is another one; glibc, and all else that every wheel is vetted
for, is judged when a bundle is made. This module finds what a person should know of a wheel that was compiled here, and where
two builds of one differ.

Rules: what cannot be found out is told as that; nothing is changed in the wheel; its contents are read once, by whoever checks
it, and ``Traces`` sees them go by.

Example::

    traces = Traces(room.path)
    wheel = check_built_wheel(path, project, version, target, scratch, traces)
    outcome = examine(path, wheel, traces, "causal-conv1d 1.5.4", target)
    outcome.notes    # ("causal-conv1d 1.5.4 was compiled for sm_75, sm_80 too; the target is sm_90a",)
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.core.archives.checkedzip import open_checked_zip
from mirror.core.binaries.elf import Elf, MalformedElf, read_elf
from mirror.core.binaries.fatbin import Image
from mirror.core.binaries.glibc import newest_glibc
from mirror.core.binaries.native import gpu_order
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, strict_json
from mirror.core.names import dotted_numbers
from mirror.core.target import Target
from mirror.core.wheels.wheelfile import Watch, WheelFile

_OF_GCC = {
    8: ("3.4.25", "1.3.11"),
    10: ("3.4.28", "1.3.12"),
    11: ("3.4.29", "1.3.13"),
    12: ("3.4.30", "1.3.13"),
    14: ("3.4.33", "1.3.15"),
}
"""GCC -> newest GLIBCXX and CXXABI of its libstdc++: "ABI Policy and Guidelines" in the GNU C++ Library Manual, section
"Versioning" (https://gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html)."""

_LIBSTDCXX = {
    "2.28": _OF_GCC[8],  # RHEL 8
    "2.31": _OF_GCC[10],  # Debian 11; Ubuntu 20.04 has the libstdc++ of GCC 10 beside GCC 9
    "2.34": _OF_GCC[11],  # RHEL 9
    "2.35": _OF_GCC[12],  # Ubuntu 22.04, with the libstdc++ of GCC 12 beside GCC 11
    "2.36": _OF_GCC[12],  # Debian 12
    "2.39": _OF_GCC[14],  # RHEL 10; Ubuntu 24.04, beside GCC 13
    "2.41": _OF_GCC[14],  # Debian 13
}
"""glibc of a distribution -> GLIBCXX and CXXABI of its libstdc++; of two with one glibc, the older libstdc++."""

_VERSIONS = re.compile(r"(GLIBCXX|CXXABI)_(\d{1,3}(?:\.\d{1,3}){1,2})", re.ASCII)
_TOLD = 3
_TEXT = re.compile(rb"[\x20-\x7e]{4,}")
_MOST_TEXT = 100
_NOT_IN_THE_FILE = {".bss", ".tbss"}
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


class Traces(Watch):
    """What is noticed while a wheel is read.

    Attributes:
        needs: the newest symbol version of GLIBCXX and CXXABI.
        outside: compiled files that look for libraries in a fixed directory, and which.
        mentions: files that name the directory that the wheel was built in.

    Args:
        build: that directory.
    """

    def __init__(self, build: Path) -> None:
        self.needs: dict[str, str] = {}
        self.outside: list[str] = []
        self.mentions: set[str] = set()
        self._sought = str(build).encode()
        self._last, self._end = "", b""

    def piece(self, name: str, data: bytes) -> None:
        before = self._end if name == self._last else b""
        seam = before + data[: len(self._sought)]  # it may lie across two pieces
        if self._sought in data or self._sought in seam:
            self.mentions.add(name)
        self._last, self._end = name, (before + data[-len(self._sought) :])[-len(self._sought) :]

    def elf(self, name: str, elf: Elf) -> None:
        _raise_versions(self.needs, elf)
        self.outside += [f"{name} in {place}" for place in _fixed((elf.rpath, elf.runpath))]


def examine(path: Path, wheel: WheelFile, traces: Traces, name: str, target: Target) -> Outcome:
    """Look at a wheel that ``check_built_wheel`` has let through.

    Args:
        wheel: what was read in it.
        traces: what was noticed then.
        name: the project and its version, for sentences.
    """
    needs = dict(traces.needs)
    if glibc := newest_glibc(wheel.native.needs, target.arch):
        needs["GLIBC"] = glibc
    verdict = _auditwheel(path) if wheel.native.count else ""
    notes = [
        *_above(needs, target),
        *_strangers(wheel.native.gpus, target),
        *_told(
            "holds GPU code that cannot be read, so that nobody knows which GPUs it is for", wheel.native.gpu_faults
        ),
        *_told("looks for libraries in a directory of the machine that built it", sorted(traces.outside)),
        *_told(
            "names the directory that it was built in, so that another store's build has other bytes",
            sorted(traces.mentions),
        ),
    ]
    return Outcome(needs, wheel.native.gpus, verdict, tuple(f"{name} {note}" for note in notes))


def differences(one: Path, other: Path) -> tuple[str, ...]:
    """What differs between two builds of a wheel, a sentence each; none when they have the same bytes."""
    if one.name != other.name:
        return (f"one is {one.name}, the other {other.name}",)
    if one.read_bytes() == other.read_bytes():
        return ()
    with open_checked_zip(one) as first, open_checked_zip(other) as second:
        members = ({item.filename: item for item in archive.infolist()} for archive in (first, second))
        mine, theirs = members
        found = [f"only one holds {name}" for name in sorted(mine.keys() ^ theirs.keys())]
        for name in sorted(mine.keys() & theirs.keys()):
            left, right = first.read(name), second.read(name)
            if left != right and not name.endswith(".dist-info/RECORD"):
                sizes = f"({len(left)} and {len(right)} bytes)"
                found.append(
                    f"{name} differs {_sections(left, right) or f'from byte {_first(left, right)} on'} {sizes}"
                )
    return tuple(found) or ("the same files, in another order, or with other times or modes",)


def _first(left: bytes, right: bytes) -> int:
    """The first byte that differs."""
    return next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))


def _sections(left: bytes, right: bytes) -> str:
    """Which sections of two compiled files differ, and the first word that does, which may tell why."""
    try:
        mine, theirs = (read_elf(io.BytesIO(data)) for data in (left, right))
    except MalformedElf:
        return ""
    if mine is None or theirs is None:
        return ""
    found, words = [], ""
    for name in sorted((mine.sections.keys() & theirs.sections.keys()) - _NOT_IN_THE_FILE):
        one, other = (
            data[at.offset : at.offset + at.size]
            for data, at in ((left, mine.sections[name]), (right, theirs.sections[name]))
        )
        if one != other:
            found.append(name)
            words = words or _words(one, other)
    return f"in {', '.join(found)}{words}" if found else ""


def _words(left: bytes, right: bytes) -> str:
    """The text at the first byte that differs, on both sides; nothing where it is none."""
    at = _first(left, right)
    texts = [_TEXT.search(data, max(0, data.rfind(b"\0", 0, at) + 1)) for data in (left, right)]
    if not all(one and one.start() <= at <= one.end() for one in texts):
        return ""
    one, other = (text[0].decode("ascii")[-_MOST_TEXT:] for text in texts if text)
    return f", first {one!r} and {other!r}"


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


def strangers(gpus: Iterable[str], target: Target) -> tuple[str, ...]:
    """GPUs that nobody asked for, in order: time and bytes for nothing."""
    wanted = target.gpu[3:].rstrip("af")
    found = (one for one in gpus if one.rpartition("_")[2].rstrip("af") != wanted)
    return tuple(sorted(found, key=gpu_order)) if wanted else ()


def _strangers(gpus: Iterable[str], target: Target) -> Iterator[str]:
    if not target.gpu:
        return
    found = strangers(gpus, target)
    serving = [one for one in gpus if Image(one).serves(target.gpu)]
    if found:
        yield (
            f"was compiled for {', '.join(found)}{' too' if serving else ''}; the target is {target.gpu}: it goes by other "
            "settings than TORCH_CUDA_ARCH_LIST, see its setup.py; environment or patches in [build] of NAME.toml limit it"
        )
    if gpus and not serving:
        yield f"shows GPU code for {', '.join(gpus)}, and none that serves {target.gpu}"


def _told(what: str, where: Sequence[str]) -> Iterator[str]:
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

"""Is a wheel that was built here the one that was asked for, and will the target take it?

How it was built is ``mirror.connected.building.builder``'s; which tags a target takes is ``mirror.connected.index.wheels``'s.

Rules: its name and version are the sdist's (SECURITY.md 46), in its file name and in its METADATA; a tag of it is one of
the target's; no ELF file in it needs a newer glibc or another machine than the target, whatever the tag says, for a
``linux_x86_64`` tag promises nothing.

Example::

    check_built_wheel(path, project_name("a"), "1.0", target)
"""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import BinaryIO, NoReturn

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from mirror.connected.index.wheels import target_tags
from mirror.core.errors import MirrorError
from mirror.core.names import ProjectName, project_name
from mirror.core.target import Target

_MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
_HOST_MACHINES = frozenset({"EM_X86_64", "EM_AARCH64", "EM_386", "EM_ARM", "EM_PPC64", "EM_S390", "EM_RISCV"})
"""Machine code of CPUs; GPU code is in ELF files too, and is none of glibc's business."""

_GLIBC = re.compile(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?")
_DT_RELR = "GLIBC_ABI_DT_RELR"
"""Packed relocations: a loader before glibc 2.36 refuses the file."""


class BuiltWheelUnfit(MirrorError):
    """A build succeeded, but its wheel is another one than asked for or does not fit the target.

    Attributes:
        wheel: its file name.
        found: what it is or needs.
        wanted: what the sdist or the target says.
    """

    ref = "built-wheel-unfit"
    exit_code = 83
    hint = (
        "Where the wheel needs a newer glibc, build on a system as old as the oldest host; where its name or version "
        "differs, the sdist is broken at its source."
    )
    message = "{wheel} {found}; {wanted}"

    wheel: str
    found: str
    wanted: str


def check_built_wheel(path: Path, project: ProjectName, version: str, target: Target) -> None:
    """Hold the rules above.

    Raises:
        BuiltWheelUnfit: naming both sides.
    """
    try:
        name, found, _, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as exc:
        raise BuiltWheelUnfit(path.name, f"has no wheel's file name ({exc})", f"{project} {version} was built") from exc
    _check_identity(path.name, str(name), str(found), project, version)
    if not tags & frozenset(target_tags(target)):
        raise BuiltWheelUnfit(
            path.name, f"is for {', '.join(sorted(str(tag) for tag in tags))}", f"the target is {target}"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            _check_identity(path.name, *_metadata_identity(archive, path.name), project, version)
            for member, stream in _elf_files(archive):
                _check_elf(path.name, member, stream, target)
    except (zipfile.BadZipFile, ELFError) as exc:
        raise BuiltWheelUnfit(path.name, f"cannot be read: {exc}", f"{project} {version} was built") from exc


def _check_identity(wheel: str, name: str, found: str, project: ProjectName, version: str) -> None:
    try:
        same = project_name(name) == project and Version(found) == Version(version)
    except (ValueError, InvalidVersion):
        same = False
    if not same:
        raise BuiltWheelUnfit(wheel, f"says it is {name} {found}", f"the sdist is {project} {version}")


def _metadata_identity(archive: zipfile.ZipFile, wheel: str) -> tuple[str, str]:
    paths = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
    if len(paths) != 1:
        raise BuiltWheelUnfit(wheel, f"holds {len(paths)} METADATA files", "a wheel holds one")
    fields = BytesHeaderParser().parsebytes(archive.read(paths[0]))
    return str(fields["Name"]), str(fields["Version"])


def _elf_files(archive: zipfile.ZipFile) -> Iterator[tuple[str, BinaryIO]]:
    """Each ELF member in a file of its own: a CUDA library may be larger than we want to hold in memory."""
    for member in archive.infolist():
        with archive.open(member) as packed:
            if packed.read(4) != b"\x7fELF":
                continue
        with tempfile.TemporaryFile() as stream, archive.open(member) as packed:
            shutil.copyfileobj(packed, stream, 1 << 20)
            yield member.filename, stream


def _check_elf(wheel: str, member: str, stream: BinaryIO, target: Target) -> None:
    def unfit(needs: str, promise: str) -> NoReturn:
        raise BuiltWheelUnfit(wheel, f"needs {needs} for {member}", f"the target promises {promise}")

    elf = ELFFile(stream)
    machine = elf["e_machine"]
    if machine not in _HOST_MACHINES:
        return
    if machine != _MACHINES[target.arch]:
        unfit(str(machine).removeprefix("EM_").lower(), target.arch)
    needed = max(_glibc_needs(elf), default=(0, 0))
    if needed > target.glibc_pair:
        unfit(f"glibc {needed[0]}.{needed[1]}", f"glibc {target.glibc}")


def _glibc_needs(elf: ELFFile) -> Iterator[tuple[int, int]]:
    for section in elf.iter_sections():
        if not isinstance(section, GNUVerNeedSection):
            continue
        for _, versions in section.iter_versions():
            for version in versions:
                match = _GLIBC.fullmatch(version.name)
                if match:
                    yield int(match[1]), int(match[2])
                elif version.name == _DT_RELR:
                    yield 2, 36

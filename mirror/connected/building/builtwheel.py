"""Is a wheel that was built here the one that was asked for, and will the target take it?

``mirror.connected.building.builder`` built it; ``mirror.connected.index.wheels`` knows which tags a target takes; what its
compiled files ask of glibc is vetted with all other wheels (``mirror.core.vetting.wheel``).

Rules: its name and version are the sdist's (SECURITY.md 46), in its file name and in its METADATA; a tag of it is one of
the target's; no compiled file in it is for another CPU than the target's, whatever the tag says.

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

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from mirror.connected.index.wheels import target_tags
from mirror.core.binaries.elf import CPUS, MAGIC, Elf, MalformedElf, read_elf
from mirror.core.errors import MirrorError
from mirror.core.names import ProjectName, project_name
from mirror.core.target import Target


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
        "Where the wheel is for another machine, build it on one like the target; where its name or version differs, the sdist "
        "is broken at its source."
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
            for member, elf in _elf_files(archive):
                if elf.machine in CPUS and elf.machine != target.arch:
                    needs, promise = f"needs {elf.machine} for {member}", f"the target promises {target.arch}"
                    raise BuiltWheelUnfit(path.name, needs, promise)
    except (zipfile.BadZipFile, MalformedElf) as exc:
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


def _elf_files(archive: zipfile.ZipFile) -> Iterator[tuple[str, Elf]]:
    """What each compiled file says of itself; it is copied, for a CUDA library may be larger than we want to hold in memory."""
    for member in archive.infolist():
        with archive.open(member) as packed:
            if packed.read(len(MAGIC)) != MAGIC:
                continue
        with tempfile.TemporaryFile() as stream, archive.open(member) as packed:
            shutil.copyfileobj(packed, stream, 1 << 20)
            elf = read_elf(stream, member.filename)
            if elf is None:
                raise MalformedElf(member.filename, "it is cut short")
            yield member.filename, elf

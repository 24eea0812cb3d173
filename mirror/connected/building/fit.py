"""Is a wheel that was built here the one that was asked for, and will the target take it?

``mirror.connected.building.builder`` built it; ``mirror.connected.index.wheels`` knows which tags a target takes; what its
compiled files ask of glibc is vetted with all other wheels (``mirror.core.vetting.wheel``).

Rules: its name and version are its source's (SECURITY.md 46), in its file name and in its METADATA; a tag of it is one of
the target's; no compiled file in it is for another CPU than the target's, whatever the tag says.

Example::

    check_built_wheel(path, project_name("a"), "1.0", target, scratch)
"""

from __future__ import annotations

from pathlib import Path

from packaging.utils import InvalidWheelFilename
from packaging.version import InvalidVersion

from mirror.connected.index.wheels import target_tags
from mirror.connected.pins.standards import read_version, read_wheel_name
from mirror.core.binaries.elf import CPUS
from mirror.core.errors import MirrorError
from mirror.core.names import ProjectName, project_name
from mirror.core.target import Target
from mirror.core.wheels.wheelfile import Watch, WheelFile, read_wheel


class BuiltWheelUnfit(MirrorError):
    """A build succeeded, but its wheel is another one than asked for or does not fit the target."""

    ref = "built-wheel-unfit"
    exit_code = 83
    hint = (
        "Where the wheel is for another machine, build it on one like the target; where its name or version differs, an sdist "
        "is broken at its source, and an archive takes it from git: find the variable of its build that states it, and set "
        "that in [build.NAME].environment."
    )
    message = "{wheel} {found}; {wanted}"

    wheel: str
    found: str
    wanted: str


def check_built_wheel(
    path: Path, project: ProjectName, version: str, target: Target, scratch: Path, watch: Watch | None = None
) -> WheelFile:
    """Hold the rules above, and give what was read.

    Args:
        scratch: a directory for a compiled file that must be gone through twice.

    Raises:
        BuiltWheelUnfit: naming both sides.
    """
    try:
        name, found, _, tags = read_wheel_name(path.name)
    except InvalidWheelFilename as exc:
        raise BuiltWheelUnfit(path.name, f"has no wheel's file name ({exc})", f"{project} {version} was built") from exc
    _check_identity(path.name, str(name), str(found), project, version)
    if not tags & frozenset(target_tags(target)):
        raise BuiltWheelUnfit(
            path.name, f"is for {', '.join(sorted(str(tag) for tag in tags))}", f"the target is {target}"
        )
    with path.open("rb") as stream:
        wheel = read_wheel(stream, scratch=scratch, watch=watch)
    for problem in (*(wheel.fault or ())[1:], *wheel.native.faults):
        raise BuiltWheelUnfit(path.name, f"cannot be read: {problem}", f"{project} {version} was built")
    if "METADATA" not in wheel.texts:
        raise BuiltWheelUnfit(path.name, "holds no METADATA, or several", "a wheel holds one")
    metadata = wheel.headers("METADATA")
    _check_identity(path.name, str(metadata["Name"]), str(metadata["Version"]), project, version)
    for machine, member in wheel.native.machines.items():
        if machine in CPUS and machine != target.arch:
            raise BuiltWheelUnfit(path.name, f"needs {machine} for {member}", f"the target promises {target.arch}")
    return wheel


def _check_identity(wheel: str, name: str, found: str, project: ProjectName, version: str) -> None:
    try:
        same = project_name(name) == project and read_version(found) == read_version(version)
    except (ValueError, InvalidVersion):
        same = False
    if not same:
        raise BuiltWheelUnfit(wheel, f"says it is {name} {found}", f"its source is {project} {version}")

"""Which wheel a target takes, and why it takes none.

The target's tags are computed from its description alone, whatever machine this runs on. What an index offers
comes from ``mirror.connected.index.pages``; what an ELF file inside a wheel really needs is looked at when the bundle is made.

Rules: a wheel may ask for at most the target's glibc; among those that fit, the most specific tag wins, then the greatest
build tag (PEP 427); when none fits, the error names both sides.

Example::

    wheel = best_wheel(index.files(name), stack.target)
    if wheel is None:
        raise NoWheelForTarget(stack.name, (explain(name, version, files, stack.target),))
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier
from packaging.tags import Tag, compatible_tags, cpython_tags

from mirror.connected.index.indexfile import IndexFile
from mirror.connected.pins.standards import read_specifiers, read_wheel_name
from mirror.core.errors import MirrorError
from mirror.core.names import ProjectName
from mirror.core.target import Target

_OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17}
"""Minor version of the oldest glibc 2 that wheels of an architecture are made for (PEP 600)."""

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_(.+)|(manylinux1|manylinux2010|manylinux2014)_(.+)")


@dataclass(frozen=True)
class Miss:
    """One pin that the target cannot take.

    Attributes:
        found: what there is, e.g. ``"has only manylinux_2_31 wheels"``.
        wanted: what the target says to that, e.g. ``"promises glibc 2.28"``.
        kind: the same in a word for machines: ``"sdist-only"``, ``"python"`` or ``"platform"``.
    """

    project: ProjectName
    version: str
    found: str
    wanted: str
    kind: str = "platform"

    def __str__(self) -> str:
        return f"{self.project} {self.version} {self.found}; the target {self.wanted}"


class NoWheelForTarget(MirrorError):
    """Pinned versions have no file that the target can take, and are not marked to be built from source."""

    ref = "no-wheel-for-target"
    exit_code = 52
    hint = (
        "Pin another version, widen [target] if all hosts allow it, or add the project to [python].build to build it "
        "from its sdist."
    )

    stack: str
    misses: tuple[Miss, ...]

    def _sentence(self, miss: Miss) -> str:
        return f"{miss.project} {miss.version} {miss.found}; target {self.stack} {miss.wanted}"

    def __str__(self) -> str:
        return self._sentence(self.misses[0])

    def context(self) -> str:
        return "\n".join(self._sentence(miss) for miss in self.misses) if len(self.misses) > 1 else ""


@lru_cache(maxsize=8)
def target_tags(target: Target) -> tuple[Tag, ...]:
    """Every tag that the target takes, the most specific first."""
    major, _, minor = target.python.partition(".")
    python, interpreter = (int(major), int(minor)), f"cp{major}{minor}"
    platforms = list(_platforms(target))
    return (
        *cpython_tags(python, abis=[interpreter], platforms=platforms),
        *compatible_tags(python, interpreter=interpreter, platforms=platforms),
    )


def _platforms(target: Target) -> Iterable[str]:
    for minor in range(target.glibc_pair[1], _OLDEST_GLIBC[target.arch] - 1, -1):
        yield f"manylinux_2_{minor}_{target.arch}"
        if minor in _LEGACY and (target.arch == "x86_64" or minor == 17):
            yield f"{_LEGACY[minor]}_{target.arch}"
    # Promises nothing about glibc; private indexes use it. Last, so that any wheel that promises something is preferred.
    yield f"linux_{target.arch}"


def best_wheel(files: Iterable[IndexFile], target: Target) -> IndexFile | None:
    """The file that the target takes, or None. ``files`` are of one version."""
    rank = {tag: index for index, tag in enumerate(target_tags(target))}
    fitting = [
        (min(rank[tag] for tag in file.tags if tag in rank), file)
        for file in files
        if any(tag in rank for tag in file.tags) and allows_python(file.requires_python, target)
    ]
    # PEP 427: a build tag breaks a tie, greater is newer; the name makes the choice independent of the page's order.
    fitting.sort(key=lambda item: (item[1].build, item[1].filename), reverse=True)
    return min(fitting, key=lambda item: item[0])[1] if fitting else None


def allows_python(specifier: str, target: Target) -> bool:
    """Whether a Requires-Python lets in some patch release of the target's Python. An unreadable one lets in all."""
    try:
        allowed = read_specifiers(specifier)
    except InvalidSpecifier:
        return True
    return any(allowed.contains(f"{target.python}.{patch}", prereleases=True) for patch in (0, 99))


def explain(project: ProjectName, version: str, files: Sequence[IndexFile], target: Target) -> Miss:
    """Say why none of a version's files fits, from the side that comes closest to fitting."""
    wheels = [file for file in files if file.kind != "sdist"]
    if not wheels:
        found = "has no wheel, only an sdist" if files else "has no file on its index"
        return Miss(project, version, found, "takes wheels", "sdist-only")
    if words := _other_python(wheels, target):
        return Miss(project, version, *words, "python")
    return Miss(project, version, *_other_platform(wheels, target), "platform")


def _other_python(wheels: Sequence[IndexFile], target: Target) -> tuple[str, str] | None:
    if not any(_fits_python(tag, target) for file in wheels for tag in file.tags):
        pythons = sorted({tag.interpreter for file in wheels for tag in file.tags}, key=lambda name: (len(name), name))
        return f"has wheels only for {', '.join(pythons)}", f"has Python {target.python}"
    if not any(allows_python(file.requires_python, target) for file in wheels):
        return f"asks for Python {wheels[0].requires_python}", f"has Python {target.python}"
    return None


def _fits_python(tag: Tag, target: Target) -> bool:
    return any((tag.interpreter, tag.abi) == (known.interpreter, known.abi) for known in target_tags(target))


def _other_platform(wheels: Sequence[IndexFile], target: Target) -> tuple[str, str]:
    platforms = {tag.platform for file in wheels for tag in file.tags if _fits_python(tag, target)}
    newer = sorted((glibc, name) for name in platforms if (glibc := _glibc_of(name, target.arch)) is not None)
    if newer:
        names = dict.fromkeys(name.removesuffix(f"_{target.arch}") for _, name in newer)
        return f"has only {', '.join(names)} wheels", f"promises glibc {target.glibc}"
    if any(name.startswith("musllinux") and name.endswith(target.arch) for name in platforms):
        return "has only musllinux wheels", "has glibc"
    return f"has wheels only for {', '.join(sorted(platforms))}", f"is Linux on {target.arch}"


def _glibc_of(platform: str, arch: str) -> tuple[int, int] | None:
    """The glibc that a manylinux platform of this architecture asks for; None for any other platform."""
    match = _MANYLINUX.fullmatch(platform)
    if match is None or (match[3] or match[5]) != arch:
        return None
    legacy = {name: minor for minor, name in _LEGACY.items()}
    return (2, legacy[match[4]]) if match[4] else (int(match[1]), int(match[2]))


def fitting_name(filename: str, target: Target) -> str:
    """A wheel's name as a bundle can hold it: a ustar name field has 100 bytes, and some wheels list many platforms.

    A longer name is cut to the one tag by which the target takes the wheel, which names the same file to every installer
    (PEP 425: a compressed tag set stands for each of its tags). Other names stay as they are.
    """
    if len(filename) <= 100 or not filename.endswith(".whl"):
        return filename
    tags = read_wheel_name(filename)[3]
    tag = next((tag for tag in target_tags(target) if tag in tags), None)
    stem = filename.rsplit("-", 3)[0]
    return f"{stem}-{tag}.whl" if tag else filename

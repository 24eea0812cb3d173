"""Coherence: whether RPMs of one CUDA release are of one patch release too.

``cuda-cudart`` 12.8.90 beside ``cuda-cudart-devel`` 12.8.57, seen in the wild, are not. A repository holds several patch levels
of a release side by side, is pruned and is re-spun, and NVIDIA's RPMs ask for each other by ``>=`` at most (CUDA.md A1, A3).
This module judges; ``mirror.connected.toolchain.selection`` chooses among the levels.

Rules:
(a) parts of one component have one version: ``X`` and ``X-devel``; ``cuda-nvcc``, ``cuda-crt`` and ``cuda-nvvm`` (``libnvvm``);
(b) there is a moment in the life of the release at which all components had their versions. The known patch releases
    (``mirror.core.cuda.releases.VERSIONS``) are such moments, and so is the time before, between and after them, as far as a
    patch release can have been there that the table does not know. A version that the table has belongs to its patch
    releases, and to an unknown one beside them, for a patch release leaves most components as they are; one that it has not
    belongs to the time after the newest one below it, or re-spins that. So what is newer than the table is never
    refused for being new, and an old version beside it is refused all the same;
(c) a library's own number says nothing: libcusparse 12.5 is of CUDA 12.5 to 12.9 (CUDA.md A8). Only the table does;
(d) components and releases that the table lacks are judged by (a) alone.

Example::

    disagreements(closure, "12.8")     # ("cuda-cudart-devel-12-8 is 12.8.57 (CUDA 12.8.0) beside cuda-cudart-12-8 ...",)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mirror.connected.toolchain.rpmpackage import Capability, RpmPackage, RpmPin, toolkit_release
from mirror.core.cuda.components import package_name, role_of
from mirror.core.cuda.releases import PARTS, VERSIONS, known_patches, version_tuple

_COMPILER = ("crt", "nvvm")
"""What is one component with ``nvcc``, in packages of their own."""


@dataclass(frozen=True)
class Moment:
    """A point in the life of a release.

    Attributes:
        index: orders the moments of a release: odd for a patch release of the table, even for the time between two.
        label: for people, ``"CUDA 12.8.1"``; empty when nothing is known of the release.
    """

    index: int
    label: str


def moments(release: str) -> tuple[Moment, ...]:
    """The moments of a release, newest first. At least one."""
    patches = known_patches(release)
    if not patches:
        return (Moment(0, ""),)
    found = [Moment(0, f"before CUDA {patches[0]}")]
    for number, patch in enumerate(patches):
        found += [Moment(2 * number + 1, f"CUDA {patch}"), Moment(2 * number + 2, f"after CUDA {patch}")]
    return tuple(reversed(found))


def disagreements(packages: Iterable[RpmPin], release: str) -> tuple[str, ...]:
    """What keeps packages from being one toolkit: a sentence for each, with both sides; none when they are one."""
    listed = [package for package in packages if toolkit_release(package.name) == release]
    pairs = tuple(
        _pair_sentence(package, other) for package, other in _pairs(listed) if package.version != other.version
    )
    return pairs or tuple(_misfits(listed, release))


def at_moment(packages: Iterable[RpmPackage], release: str, moment: Moment) -> list[RpmPackage]:
    """The packages that the release can have had at a moment, each asking for its own other parts in its own version."""
    kept = [package for package in packages if _may_be_of(package, release, moment)]
    names = {package.name for package in kept}
    return [_tied(package, names) if toolkit_release(package.name) == release else package for package in kept]


def _may_be_of(package: RpmPackage, release: str, moment: Moment) -> bool:
    if toolkit_release(package.name) != release:
        return True
    indexes = _indexes(package, release)
    return indexes is None or moment.index in indexes


def _tied(package: RpmPackage, names: set[str]) -> RpmPackage:
    """Rule (a) as requirements, which the solver keeps: what is one component in a toolkit is one in the closure."""
    evr = f"{package.epoch}:{package.version}" if package.epoch else package.version
    tied = tuple(Capability(name, "=", evr) for name in _parts(package.name) if name in names)
    return replace(package, requires=(*package.requires, *tied))


def _pairs(packages: list[RpmPin]) -> Iterator[tuple[RpmPin, RpmPin]]:
    """Each package with those whose version it must have."""
    by_name = {package.name: package for package in packages}
    for whole in packages:
        yield from ((whole, by_name[name]) for name in _parts(whole.name) if name in by_name)


def _parts(name: str) -> tuple[str, ...]:
    """What a package needs in its own version: ``X-devel`` its ``X``, the compiler its passes and headers."""
    role, release = role_of(name), toolkit_release(name)
    roles = [role[: -len("-devel")]] if role.endswith("-devel") else [part for part in _COMPILER if role == "nvcc"]
    return tuple(part for one in roles if (part := package_name(one, release)))


def _component(package: RpmPin) -> str:
    """Which of the table's components a package is a part of; empty for none."""
    role = role_of(package.name)
    whole = "nvcc" if role in _COMPILER else role[: -len("-devel")] if role.endswith("-devel") else role
    return whole if whole in PARTS else ""


def _indexes(package: RpmPin, release: str) -> frozenset[int] | None:
    """The moments that a package can be of; None when nothing is known of it. See rule (b)."""
    patches, component = known_patches(release), _component(package)
    if not patches or not component:
        return None
    own = version_tuple(package.version)
    versions = [version_tuple(VERSIONS[patch][component]) for patch in patches]
    equal = [number for number, version in enumerate(versions) if version == own]
    if not equal:
        below = sum(version < own for version in versions)
        return frozenset({2 * below - 1, 2 * below} if below else {0})
    gaps = [2 * number for number in range(equal[0], equal[-1] + 2) if _is_gap(patches, number)]
    return frozenset((*(2 * number + 1 for number in equal), *gaps))


def _is_gap(patches: tuple[str, ...], number: int) -> bool:
    """Whether there may be a patch release, unknown to the table, before the one with this number in it."""
    if number == len(patches):
        return True
    levels = [int(patch.rpartition(".")[2]) for patch in patches]
    return levels[number] > (levels[number - 1] + 1 if number else 0)


def _misfits(packages: list[RpmPin], release: str) -> Iterator[str]:
    """Rule (b): the packages that stand apart from the moment that fits most of them."""
    known = {package: indexes for package in packages if (indexes := _indexes(package, release)) is not None}
    if not known or frozenset.intersection(*known.values()):
        return
    fits = {moment: sum(moment.index in indexes for indexes in known.values()) for moment in moments(release)}
    best = max(fits, key=lambda moment: (fits[moment], moment.index % 2))  # of two, the one whose versions can be told
    for package, indexes in known.items():
        if best.index not in indexes:
            needed = _version_at(best, _component(package), release)
            others = f"{best.label}, which fits most of the others, has {needed}"
            yield f"{package.name} is {package.version} ({origin(package)}); {others}"


def _version_at(moment: Moment, component: str, release: str) -> str:
    patches = known_patches(release)
    return VERSIONS[patches[moment.index // 2]][component] if moment.index % 2 else "another"


def _pair_sentence(whole: RpmPin, part: RpmPin) -> str:
    return (
        f"{part.name} is {part.version} ({origin(part)}) beside {whole.name} {whole.version} ({origin(whole)}): "
        "the two must be of one version"
    )


def origin(package: RpmPin) -> str:
    """Which patch releases a package's version is of, ``"CUDA 12.8.1, 12.8.2"``, by the table and nothing else."""
    component = _component(package)
    found = [patch for patch, versions in VERSIONS.items() if component and versions[component] == package.version]
    return f"CUDA {', '.join(found)}" if found else "of no patch release that is known"

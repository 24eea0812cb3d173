"""The closure: which RPMs of a repository the wanted ones need, newest first, all of one CUDA release.

libsolv, the solver inside dnf and zypper, makes the choice; this module decides what the solver is told.
``mirror.connected.toolchain.selection`` judges whether what it chose makes one toolkit. Nothing is read or fetched here.

Rules (CUDA.md A3):
- a requirement is followed when it names a package. Sonames, paths, ``rpmlib(...)`` and whatever else has parentheses are
  the host's: ``libcuda.so.1()(64bit)`` must never pull a driver in;
- driver packages are the closed host's: never followed, refused when wanted by name;
- a plain name that no package provides is the host's (``glibc``, ``gcc``), unless the toolkit should have it: then the
  repository, or the copy of it, is incomplete;
- Obsoletes are unknown here (see ``mirror.connected.toolchain.rpmpackage``), and packages of other CUDA releases are not
  candidates;
- metapackages are followed, but are part of the answer only when they are wanted by name: they carry no file.

Example::

    closure = solve(repository.packages, ["cuda-nvcc-13-0", "cuda-cudart-devel-13-0"], arch="x86_64")
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

import solv

from mirror.connected.toolchain.rpmpackage import Capability, RpmPackage, toolkit_release
from mirror.core.errors import MirrorError

_DRIVER = re.compile(
    r"(?:cuda-drivers|kmod-nvidia|nvidia-(?:driver|fabric-?manager|fs|imex|kmod|modprobe|open|persistenced|settings"
    r"|xconfig)|libnvidia|libnvsdm|libXNVCtrl|nvlsm|xorg-x11-nvidia|dnf-plugin-nvidia)(?:[-.]?\d.*|-.*)?",
    re.IGNORECASE,
)
_PLAIN_NAME = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._+-]*?)(?:\((?:x86-64|aarch-64)\))?", re.ASCII)
_SONAME = re.compile(r"\.so(?:\.|$)")
_STEM = re.compile(r"^(?:cuda-|lib)?(.+?)(?:-\d+-\d+)?$")

_RELATIONS = {
    "=": solv.REL_EQ,
    "<": solv.REL_LT,
    "<=": solv.REL_LT | solv.REL_EQ,
    ">": solv.REL_GT,
    ">=": solv.REL_GT | solv.REL_EQ,
}


class NotInRepository(MirrorError):
    """Wanted packages that the repository lacks.

    Attributes:
        issues: one sentence for each of them, with the names that come near.
    """

    ref = "rpm-not-in-repository"
    exit_code = 66
    hint = "Correct [rpms] in the stack's TOML, or name a repository that has them."

    issues: tuple[str, ...]

    def __str__(self) -> str:
        return self.issues[0] if len(self.issues) == 1 else f"the repository lacks {len(self.issues)} wanted packages"

    def context(self) -> str:
        return "\n".join(self.issues) if len(self.issues) > 1 else ""


class MixedReleases(MirrorError):
    """Wanted packages, or the target, name more than one CUDA release."""

    ref = "mixed-cuda-releases"
    exit_code = 67
    hint = "A toolchain is of one release: let every package that [rpms] names end in the same -X-Y, that of [target].cuda."
    message = "{first} is of CUDA {first_release}, {second} is of CUDA {second_release}"

    first: str
    first_release: str
    second: str
    second_release: str


class Unsolvable(MirrorError):
    """Requirements that no choice of packages meets.

    Attributes:
        issues: the solver's reasons, each naming both sides.
    """

    ref = "rpm-requirements-unsolvable"
    exit_code = 68
    hint = (
        "If this is a copy of a repository, it may be incomplete: copy the named packages too, and its repodata again."
    )
    message = "the wanted RPMs cannot be together: {issues[0]}"

    issues: tuple[str, ...]


class DriverNotCarried(MirrorError):
    """A driver package was wanted; a bundle is installed without root, and a driver is the host's."""

    ref = "driver-not-carried"
    exit_code = 69
    hint = "Remove it from [rpms]. To build against the driver API, cuda-driver-devel-X-Y has a stub of it."
    message = "{name} belongs to the GPU driver, which the closed host has already; a bundle carries none"

    name: str


def solve(
    packages: Iterable[RpmPackage], wanted: Sequence[str], arch: str, release: str = ""
) -> tuple[RpmPackage, ...]:
    """Close over what the wanted packages require.

    Args:
        packages: everything the repository offers, of any architecture.
        wanted: package names, without versions.
        arch: the target's, as ``uname -m`` prints it.
        release: the target's CUDA release, ``"13.0"``; by default the one that the wanted names say.

    Returns:
        The newest packages that fit together, by name.

    Raises:
        DriverNotCarried, MixedReleases, NotInRepository, Unsolvable.
    """
    for name in wanted:
        if _DRIVER.fullmatch(name):
            raise DriverNotCarried(name)
    release = one_release(wanted, release)
    everything = sorted(packages, key=lambda package: package.nevra)  # the solver's choice must not hang on their order
    candidates = [package for package in everything if is_candidate(package, arch, release)]
    have = {package.name for package in candidates}
    issues = tuple(absence(name, everything, arch) for name in wanted if name not in have)
    if issues:
        raise NotInRepository(issues)
    chosen = _solve(candidates, wanted)
    return tuple(package for package in chosen if package.name in wanted or not package.is_metapackage)


def one_release(wanted: Sequence[str], release: str) -> str:
    """The CUDA release that wanted names are of; ``release``, the target's, unless it is empty. Raises MixedReleases."""
    named = [(name, toolkit_release(name)) for name in wanted if toolkit_release(name)]
    first = ("the target", release) if release else next(iter(named), ("", ""))
    for name, other in named:
        if other != first[1]:
            raise MixedReleases(*first, name, other)
    return first[1]


def is_candidate(package: RpmPackage, arch: str, release: str) -> bool:
    """Whether the solver may see a package: of this architecture, of no other CUDA release, no driver."""
    return (
        package.arch in (arch, "noarch")
        and (not release or toolkit_release(package.name) in ("", release))
        and not _DRIVER.fullmatch(package.name)
    )


def absence(name: str, packages: Iterable[RpmPackage], arch: str, misspelt: bool = True) -> str:
    """How a repository lacks a package: for the target's architecture, or altogether; then with what may have been meant."""
    listed = list(packages)
    others = sorted({package.arch for package in listed if package.name == name})
    if others:
        return f"the repository has {name} for {', '.join(others)}, but the target is {arch}"
    near = near_names(name, {p.name for p in listed if p.arch in (arch, "noarch")}) if misspelt else ()
    return f"the repository has no {name}" + (f"; it has {', '.join(near)}" if near else "")


def near_names(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Names that may have been meant: the same component under NVIDIA's other spelling first, then similar ones.

    >>> near_names("cuda-nvvm-13-0", ["libnvvm-13-0", "cuda-nvtx-13-0"])
    ('libnvvm-13-0', 'cuda-nvtx-13-0')
    """
    stem, release = _stem(name), toolkit_release(name)
    ordered = sorted(names)
    same = [other for other in ordered if _stem(other) == stem]
    same.sort(key=lambda other: toolkit_release(other) != release)
    similar = difflib.get_close_matches(name, ordered, n=3, cutoff=0.8)
    return tuple(dict.fromkeys(same + similar))[:3]


def _stem(name: str) -> str:
    found = _STEM.match(name)
    return found[1] if found else name


def _solve(candidates: Sequence[RpmPackage], wanted: Sequence[str]) -> list[RpmPackage]:
    """Fill libsolv's pool from our model and ask it."""
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    offered = {package.name for package in candidates} | {
        cap.name for package in candidates for cap in package.provides
    }
    repo = pool.add_repo("repository")
    by_id = {}
    for package in candidates:
        solvable = repo.add_solvable()
        solvable.name, solvable.evr, solvable.arch = package.name, package.evr, package.arch
        for capability in (Capability(package.name, "=", package.evr), *package.provides):
            solvable.add_provides(_dep(pool, capability))
        for requirement in package.requires:
            followed = _followed(requirement, offered)
            if followed is not None:
                solvable.add_requires(_dep(pool, followed))
        by_id[solvable.id] = package
    pool.createwhatprovides()
    jobs = [pool.Job(solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_SOLVABLE_NAME, pool.str2id(name)) for name in wanted]
    solver = pool.Solver()
    problems = solver.solve(jobs)
    if problems:
        reasons = (rule.info().problemstr() for problem in problems for rule in problem.findallproblemrules())
        raise Unsolvable(tuple(dict.fromkeys(reasons)))
    chosen = [by_id[solvable.id] for solvable in solver.transaction().newsolvables()]
    return sorted(chosen, key=lambda package: package.nevra)


def _dep(pool: solv.Pool, capability: Capability) -> solv.Dep:
    dep = pool.Dep(capability.name)
    return dep.Rel(_RELATIONS[capability.comparison], pool.Dep(capability.evr)) if capability.comparison else dep


def _followed(requirement: Capability, offered: set[str]) -> Capability | None:
    """The requirement as the solver shall see it, or None when the closed host is to meet it."""
    plain = _PLAIN_NAME.fullmatch(requirement.name)
    if not plain or _SONAME.search(requirement.name) or _DRIVER.fullmatch(plain[1]):
        return None
    name = plain[1]
    of_toolkit = name.startswith("cuda-") or toolkit_release(name) != ""
    return Capability(name, requirement.comparison, requirement.evr) if name in offered or of_toolkit else None

"""The selection: the RPMs of a repository that answer a stack's wishes, complete and of one patch release.

``mirror.connected.toolchain.closure`` closes over requirements, ``mirror.connected.toolchain.coherence`` judges patch levels.
This module tells what is missing, and asks the solver again when the newest packages do not make one toolkit.

Rules: every component that the wishes need is in the selection, or a named error says which RPM is missing and what it would
bring; the newest closure is taken when it is of one patch release, else the newest that is, and a note says so; never one that
mixes patch releases.

Example::

    selected = select(repository.packages, stack.rpms, "x86_64", "12.8")
    selected.packages, selected.notes
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mirror.connected.stack.rpmwishes import RpmWishes
from mirror.connected.toolchain.closure import NotInRepository, Unsolvable, absence, is_candidate, one_release, solve
from mirror.connected.toolchain.coherence import at_moment, disagreements, moments
from mirror.connected.toolchain.rpmpackage import RpmPackage
from mirror.core.cuda.components import brings
from mirror.core.cuda.releases import known_patches
from mirror.core.errors import MirrorError

_FILES_SHOWN = 3


class MissingComponents(MirrorError):
    """The repository lacks RPMs without which a wanted component does not work.

    Attributes:
        issues: one sentence for each, with what the package would bring.
    """

    ref = "cuda-component-missing"
    exit_code = 15
    hint = (
        "If this is a copy of a repository, copy these RPMs too, and its repodata again; else name the full repository."
    )

    missing: tuple[str, ...]
    issues: tuple[str, ...]

    def __str__(self) -> str:
        more = f" (and {', '.join(self.missing[1:])})" if len(self.missing) > 1 else ""
        return f"{self.issues[0]}{more}"


class MixedPatchLevels(MirrorError):
    """No choice among a repository's RPMs is of one patch release.

    Attributes:
        issues: what does not fit in the newest choice, a sentence each.
    """

    ref = "mixed-patch-levels"
    exit_code = 16
    hint = (
        "The repository was pruned or re-spun in part. Take a full copy of it with --toolchain-repo, or lock again when it is "
        "whole: headers and libraries of two patch releases fail when they are compiled against each other or loaded."
    )
    message = "the RPMs of CUDA {release} are not of one patch release: {issues[0]}"

    release: str
    issues: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """What was chosen, by name, and what a person should know of the choice."""

    packages: tuple[RpmPackage, ...]
    notes: tuple[str, ...] = ()


def select(packages: Sequence[RpmPackage], wishes: RpmWishes, arch: str, release: str) -> Selection:
    """Choose the RPMs that answer the wishes.

    Args:
        packages: everything the repository offers, of any architecture.
        arch: the target's, as ``uname -m`` prints it.
        release: the target's CUDA release, ``"13.0"``; by default the one that the wanted names say.

    Raises:
        MissingComponents: the repository lacks what a component needs. MixedPatchLevels: see there.
        DriverNotCarried, MixedReleases, NotInRepository, Unsolvable: as ``solve``.
    """
    release = one_release((*wishes.packages, *wishes.needed), release)
    offered = {package.name for package in packages if is_candidate(package, arch, release)}
    missing = tuple(name for name in wishes.needed if name not in offered)
    if missing:
        raise MissingComponents(missing, tuple(_issue(name, packages, arch) for name in missing))
    wanted = tuple(
        dict.fromkeys((*wishes.packages, *wishes.needed, *(name for name in wishes.extras if name in offered)))
    )
    notes = [f"goes without {name}, which the repository lacks" for name in wishes.extras if name not in offered]
    newest = solve(packages, wanted, arch, release)
    issues = disagreements(newest, release)
    if not issues:
        return Selection(newest, (*notes, *_of_unknown_release(release)))
    for moment in moments(release):
        try:
            chosen = solve(at_moment(packages, release, moment), wanted, arch, release)
        except (NotInRepository, Unsolvable):
            continue  # the repository has not, or no longer, all that this patch release was made of
        return Selection(chosen, (*notes, *_older(newest, chosen, moment.label, issues)))
    raise MixedPatchLevels(release, issues)


def _issue(name: str, packages: Sequence[RpmPackage], arch: str) -> str:
    files = ", ".join(brings(name)[:_FILES_SHOWN])
    what = f"the closure lacks {name}" + (f", which brings {files}" if files else "")
    return f"{what}: {absence(name, packages, arch, misspelt=False)}"


def _of_unknown_release(release: str) -> tuple[str, ...]:
    if not release or known_patches(release):
        return ()
    return (f"the patch releases of CUDA {release} are not known here: only pairs such as X and X-devel were compared",)


def _older(
    newest: Iterable[RpmPackage], chosen: Iterable[RpmPackage], label: str, issues: tuple[str, ...]
) -> tuple[str, ...]:
    """Why some packages are not the newest, and which."""
    versions = {package.name: package.version for package in newest}
    older = ", ".join(
        f"{package.name} {package.version} (newest: {versions[package.name]})"
        for package in chosen
        if versions.get(package.name, package.version) != package.version
    )
    return (f"the newest RPMs are not of one patch release ({issues[0]}); {label or 'taken instead'}: {older}",)

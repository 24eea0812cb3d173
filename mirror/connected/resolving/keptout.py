"""Newer versions that a lock does not have, and what kept each out.

A resolver takes an older version in silence where the newest has no wheel for the target, or needs something that has none:
a lock of a release of two years ago looks like any other. So each project that the user named is held against its index, after
the lock is made; the lock is not changed by it.

Rules: asked is only for versions that the user's own requirement and constraints allow; where they are all locked, a newer one
that a limit such as ``<2`` excludes is told with it; one that a stated version does, which was a choice, only where the project
was to be upgraded; one version of each project is told, the newest that is neither withdrawn nor a pre-release if there is one;
facts are the index's pages, and the resolver's words where the version itself would fit.

Example::

    for one in find_kept_out(question, lock, stack, index, resolve, upgrade.moves):
        print(one)      # vllm 0.21.0 is locked, 0.25.1 is newer: it needs llguidance>=1.7.0, and ...
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier
from packaging.version import Version

from mirror.connected.index.choice import choose, in_time
from mirror.connected.index.indexfile import IndexFile
from mirror.connected.index.pages import Index
from mirror.connected.index.wheels import Miss
from mirror.connected.pins.markers import applies
from mirror.connected.pins.requirements import PythonLock
from mirror.connected.pins.standards import read_requirement, read_specifiers, read_version
from mirror.connected.resolving.resolver import Question, ResolutionFailed, Resolved
from mirror.connected.stack.stack import Stack
from mirror.core.errors import MirrorError
from mirror.core.names import ProjectName, project_name

Resolve = Callable[[Question], tuple[Resolved, ...]]

_ASKED = re.compile(
    r"(?<![\w.-])(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*?)(?:\[[^\]]*\])?(?P<versions>(?:[<>=!~]=?[\w.!+*-]+,?)+)"
)
"""A project with its versions, as uv writes one in its reasons; what is in braces, the marker, is taken out before."""

_MOST_VERSIONS = 30
"""Of a dependency, how many versions are looked at: the newest ones."""


@dataclass(frozen=True)
class KeptOut:
    """A newer version that is on the index and not in the lock.

    Attributes:
        kind: a word for machines: ``"sdist-only"``, ``"python"``, ``"platform"`` (glibc, architecture), ``"withdrawn"``,
            ``"cutoff"``, ``"pre-release"``, ``"dependency"``, ``"limit"`` for the user's own, or ``"lock"`` where nothing but
            the lock of before keeps it out.
        why: what kept it out, with both sides.
    """

    project: ProjectName
    locked: str
    newer: str
    kind: str
    why: str

    def __str__(self) -> str:
        return f"{self.project} {self.locked} is locked, {self.newer} is newer: {self.why}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def find_kept_out(
    question: Question,
    lock: PythonLock,
    stack: Stack,
    index: Index,
    resolve: Resolve,
    is_to_move: Callable[[str], bool],
) -> tuple[KeptOut, ...]:
    """Hold each project that the user named against its index.

    Args:
        question: what the lock answers.
        index: of the stack; the pages of what was named are in its memory already.
        resolve: asked only about versions that would fit the target themselves.
        is_to_move: whether a project was to be upgraded: a version that is stated of it is held against the index, too.

    Raises:
        MirrorError: as ``Index.versions``.
    """
    found: dict[ProjectName, KeptOut] = {}
    fitting: dict[ProjectName, str] = {}
    named = [one for one in question.requirements if applies(one, stack.target)]
    wishes = [*named, *stack.constraints]
    stated = {name for one in wishes if _states(one) and is_to_move(name := project_name(one.name))}
    for project in sorted(stated.union(project_name(one.name) for one in named)):
        pin = lock.find(project)
        version = _newest(project, pin.version, wishes, stack, index) if pin else ""
        if pin and version:
            reason = _own_reason(project, version, stack, index)
            if reason:
                found[project] = KeptOut(project, pin.version, version, *reason)
            else:
                fitting[project] = version
        elif pin and (limited := _beyond(project, pin.version, wishes, stack, index, project in stated)):
            found[project] = limited
    for one in _ask_resolver(fitting, question, lock, stack, index, resolve):
        found[one.project] = one
    return tuple(found[project] for project in sorted(found))


def _newest(project: ProjectName, locked: str, wishes: Sequence[Requirement], stack: Stack, index: Index) -> str:
    """The newest version that the wishes allow, if it is newer than the locked one; one to install before any other."""
    allowed = [one.specifier for one in wishes if project_name(one.name) == project and applies(one, stack.target)]
    newer = [
        version
        for version in sorted(index.versions(project), key=Version, reverse=True)
        if read_version(version) > read_version(locked)
        and all(one.contains(version, prereleases=True) for one in allowed)
    ]
    if not newer:
        return ""
    sound = (
        version
        for version in newer
        if not read_version(version).is_prerelease and not _withdrawn(index, project, version)
    )
    chosen = next(sound, newer[0])
    return next((file.version for file in index.files(project, chosen)), chosen)  # with its final zeros


def _beyond(
    project: ProjectName, locked: str, wishes: Sequence[Requirement], stack: Stack, index: Index, is_asked: bool
) -> KeptOut | None:
    """The newest version that a limit of the user's excludes, where the target could take it.

    Args:
        is_asked: whether it is told where a version is stated, and where the target could not take it, either.
    """
    limits = [one for one in wishes if project_name(one.name) == project and applies(one, stack.target)]
    if not is_asked and any(map(_states, limits)):
        return None
    version = _newest(project, locked, (), stack, index)
    reason = _own_reason(project, version, stack, index) if version else None
    if not version or (reason and not is_asked):
        return None
    limit = next(one for one in limits if not one.specifier.contains(version, prereleases=True))
    more = f", and {reason[1]}" if reason else ""
    return KeptOut(project, locked, version, "limit", f"'{limit}' leaves it out{more}")


def _states(wish: Requirement) -> bool:
    """Whether a wish names a version, and no limit."""
    return any(each.operator in ("==", "===") for each in wish.specifier)


def _withdrawn(index: Index, project: ProjectName, version: str) -> list[IndexFile]:
    """The files of a version, when its makers withdrew them all."""
    files = list(index.files(project, version))
    return files if all(file.yanked is not None for file in files) else []


def _own_reason(project: ProjectName, version: str, stack: Stack, index: Index) -> tuple[str, str] | None:
    """What about a version itself keeps it out: its kind and a sentence. None when the target could take it."""
    files = list(index.files(project, version))
    withdrawn = _withdrawn(index, project, version)
    if withdrawn:
        reason = f' ("{withdrawn[0].yanked}")' if withdrawn[0].yanked else ""
        return "withdrawn", f"its makers withdrew it{reason}"
    if read_version(version).is_prerelease:
        return "pre-release", "it is a pre-release, and no requirement asks for one"
    early = in_time(files, stack)
    if stack.cutoff and not early:
        return "cutoff", f"it was not on the index before [python].cutoff, {stack.cutoff:%Y-%m-%dT%H:%M:%SZ}"
    chosen = choose(stack, project, version, early)
    return (chosen.kind, f"it {chosen.found}; the target {chosen.wanted}") if isinstance(chosen, Miss) else None


def _ask_resolver(
    fitting: dict[ProjectName, str],
    question: Question,
    lock: PythonLock,
    stack: Stack,
    index: Index,
    resolve: Resolve,
) -> Iterator[KeptOut]:
    """Why versions that would fit are not locked: the lock of before, or what they need."""
    afresh = replace(question, previous=b"")
    if fitting and question.previous:
        try:
            would_be = {one.name: one.version for one in resolve(afresh)}
        except ResolutionFailed:
            would_be = {}
        for project in [one for one, version in fitting.items() if _same(would_be.get(one), version)]:
            why = f"it was locked before; mirror lock {question.name} --upgrade {project} takes the newer"
            yield KeptOut(project, _locked(lock, project), fitting.pop(project), "lock", why)
    for project, version in fitting.items():
        exactly = read_requirement(f"{project}=={version}")
        try:
            answer = resolve(replace(afresh, constraints=(*question.constraints, exactly)))
            why = _instead(answer, question, lock, project)
        except ResolutionFailed as exc:
            why = _blamed(exc.words, project, stack, index)
        yield KeptOut(project, _locked(lock, project), version, "dependency", why)


def _locked(lock: PythonLock, project: ProjectName) -> str:
    pin = lock.find(project)
    return pin.version if pin else ""


def _same(one: str | None, other: str) -> bool:
    return one is not None and read_version(one) == read_version(other)


def _instead(answer: Sequence[Resolved], question: Question, lock: PythonLock, project: ProjectName) -> str:
    """What would be older if a version were taken."""
    named = {project_name(one.name) for one in question.requirements} - {project}
    older = [
        f"{one.name} {one.version} in place of {_locked(lock, one.name)}"
        for one in answer
        if one.name in named
        and lock.find(one.name)
        and read_version(one.version) < read_version(_locked(lock, one.name))
    ]
    return f"it goes only with {', '.join(older)}" if older else "the resolver prefers the older one"


def _blamed(words: str, project: ProjectName, stack: Stack, index: Index) -> str:
    """The dependency that keeps a version out, by the resolver's words and the index's pages."""
    plain = re.sub(r"\{[^}]*\}", "", words)
    for match in _ASKED.finditer(plain):
        name, versions = project_name(match["name"]), match["versions"].strip(",.")
        miss = _missed(name, versions, stack, index) if name != project else None
        if miss:
            return f"it needs {name}, and {miss}"
    reason = re.search(r"Because (.*)", plain, re.DOTALL)
    text = " ".join((reason[0] if reason else plain).split())
    return f"what it needs does not go together: {text[:400]}{'...' if len(text) > 400 else ''}"


def _missed(name: ProjectName, versions: str, stack: Stack, index: Index) -> Miss | None:
    """Why the target takes no version of a dependency within a range; None when it takes one, or nothing is known of it."""
    try:
        allowed = read_specifiers(versions)
        known = [one for one in index.versions(name) if allowed.contains(one)]
    except (InvalidSpecifier, MirrorError):
        return None
    newest = sorted(known, key=Version, reverse=True)[:_MOST_VERSIONS]
    found = [choose(stack, name, version, index.files(name, version)) for version in newest]
    misses = [one for one in found if isinstance(one, Miss)]
    return misses[0] if misses and len(misses) == len(found) else None

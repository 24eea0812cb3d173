"""``mirror lock``: from wishes to pins, for the target, on any machine.

1. Read the sdists of what is built from source: their own words, nothing of them is run.
2. Refuse exact pins that the target cannot take, and set optional requirements aside whose index cannot be reached.
3. Resolve versions, and choose the one file of each: ``NAME.txt``.
4. The same for what the builds need: ``NAME.build.txt``.
5. Close over the RPMs that are wanted: ``NAME.rpms.toml``.

Rules: files are written when all of them are computed, each whole or not at all; only an RPM repository out of reach leaves
the Python side written, and the error says how to go on. What was locked before is kept where it still answers; when nothing
changes, not a byte does, the time of locking included.

Example::

    locked = lock(Path("lockfiles/h100.toml"), LockOptions(), Store.default())
    locked.files[0].changed
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import Requirement

from mirror.connected.choice import Chosen, choose, choose_versions, resolve_files
from mirror.connected.coverage import covers, covers_builds
from mirror.connected.download import Download
from mirror.connected.fetch import fetch
from mirror.connected.index import Index, IndexFile
from mirror.connected.patience import Patience
from mirror.connected.repository import RepositoryUnreachable
from mirror.connected.requirements import InvalidLock, Pin, PythonLock, read_lock
from mirror.connected.resolver import Question, resolve
from mirror.connected.rpmlock import RpmLock, lock_rpms
from mirror.connected.sdist import InvalidSdist, Sdist, read_sdist
from mirror.connected.stack import Stack
from mirror.connected.store import Store
from mirror.connected.transport import HostUnreachable, HttpRefused, Truncated, get_bytes, new_session
from mirror.connected.wheels import Miss, NoWheelForTarget, environment
from mirror.core.durable import write_file
from mirror.core.errors import InvalidDocument
from mirror.core.names import ProjectName, project_name
from mirror.core.progress import SILENT, Progress

__all__ = ["PARTS", "Chosen", "LockOptions", "Locked", "LockedFile", "covers", "covers_builds", "lock", "resolve_files"]

PARTS = ("python", "build", "rpms")
"""What can be locked on its own."""

_OPTIONAL_PATIENCE = Patience(attempts=2)
"""An index that may be out of reach is not waited for as one that must answer."""


@dataclass(frozen=True)
class LockOptions:
    """How to lock.

    Attributes:
        resolver: one of ``mirror.connected.resolver.RESOLVERS``.
        rpm_repo: URL or directory of a copy that stands in for the RPM repository; None for the repository itself.
        rpm_fingerprints: of the keys that sign that copy, when those are not the ones that ``NAME.toml`` pins.
        without: ``"rpms"``, and optional requirements, that are left out.
        parts: which of ``PARTS`` to lock; the files of the others stay as they are.
        now: the time of locking, in seconds since 1970 UTC; the clock's when None.
    """

    resolver: str = "uv"
    rpm_repo: str | None = None
    rpm_fingerprints: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset(PARTS)
    now: int | None = None


@dataclass(frozen=True)
class LockedFile:
    """One lock file.

    Attributes:
        path: where it is.
        pins: how many it holds.
        changed: whether it was written now; False when it already said the same.
    """

    path: Path
    pins: int
    changed: bool


@dataclass(frozen=True)
class Locked:
    """What ``lock`` did.

    Attributes:
        name: the stack's.
        files: the lock files, in the order of ``PARTS``.
        unpinned: optional requirements that the lock goes without, each with the reason.
    """

    name: str
    files: tuple[LockedFile, ...]
    unpinned: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        files = [{"path": str(file.path), "pins": file.pins, "changed": file.changed} for file in self.files]
        return {"name": self.name, "files": files, "unpinned": list(self.unpinned)}


def lock(path: Path, options: LockOptions, store: Store, progress: Progress = SILENT) -> Locked:
    """Lock a stack and write the files beside its ``NAME.toml``.

    Args:
        path: the ``NAME.toml``.
        store: where sdists are kept.

    Raises:
        NoWheelForTarget, Withdrawn, ProjectNotOnIndex, ResolutionFailed, ResolverUnfit, InvalidSdist: the Python side.
        RepositoryUnreachable: of the RPMs; the Python side is written then.
        MirrorError: as ``Stack.load``, ``fetch``, ``lock_rpms`` and ``write_file``. Nothing is written then.
    """
    stack = Stack.load(path).signed_by(options.rpm_fingerprints)
    _check_without(stack, options.without, path)
    run = _Run(stack, path.parent, options, store, progress)
    drafts = list(run.python_drafts())
    try:
        drafts += run.rpm_drafts()
    except RepositoryUnreachable:
        for draft in drafts:
            draft.write()
            progress.say(f"{draft.path} is locked; {stack.name}.rpms.toml is not")
        raise
    return Locked(stack.name, tuple(draft.write() for draft in drafts), run.unpinned)


def _check_without(stack: Stack, without: frozenset[str], path: Path) -> None:
    known = {"rpms", *(project_name(one.name) for one in stack.optional)}
    for name in sorted(without - known):
        raise InvalidDocument(
            str(path), "", f"--without names {name!r}, the stack can go without {', '.join(sorted(known))}"
        )


@dataclass(frozen=True)
class _Draft:
    """A lock file that is not written yet."""

    path: Path
    data: bytes
    pins: int

    def write(self) -> LockedFile:
        changed = not self.path.is_file() or self.path.read_bytes() != self.data
        if changed:
            write_file(self.path, self.data)
        return LockedFile(self.path, self.pins, changed)


class _Run:
    """One locking of one stack."""

    def __init__(self, stack: Stack, directory: Path, options: LockOptions, store: Store, progress: Progress) -> None:
        self.stack, self.options, self.store, self.progress = stack, options, store, progress
        self.directory = directory
        self.now = int(time.time()) if options.now is None else options.now
        self.unpinned: tuple[str, ...] = ()

    def _path(self, ending: str) -> Path:
        return self.directory / f"{self.stack.name}.{ending}"

    def python_drafts(self) -> Iterator[_Draft]:
        """``NAME.txt`` and ``NAME.build.txt``, as far as they are asked for."""
        if not {"python", "build"} & self.options.parts:
            return
        titles = {
            "txt": f"The Python side of {self.stack.name}.toml, locked by mirror: one file for each project.",
            "build.txt": f"What the builds of {self.stack.name}.toml need, locked by mirror: one file for each project.",
        }
        found: dict[str, PythonLock] = {}
        with Index.of(self.stack) as index:
            sdists = read_sdists(self.stack, index, self.store, self.progress)
            if "python" in self.options.parts:
                found["txt"] = self._lock_python(index, sdists)
            if "build" in self.options.parts:
                found["build.txt"] = self._lock_builds(index, sdists)
        locked = self._unchanged_since(found, titles) or self.now
        for ending, lock in found.items():
            data = replace(lock, locked=locked).encode(titles[ending])
            yield _Draft(self._path(ending), data, len(lock.pins))

    def _unchanged_since(self, found: dict[str, PythonLock], titles: dict[str, str]) -> int | None:
        """The old time of locking, when with it every file would be what it is already."""
        times = {self._previous(ending)[1] for ending in found}
        old = times.pop() if len(times) == 1 else None
        if old is None:
            return None
        same = all(replace(new, locked=old).encode(titles[end]) == self._previous(end)[0] for end, new in found.items())
        return old if same else None

    def _previous(self, ending: str) -> tuple[bytes, int | None]:
        """The bytes and the time of the lock that is there; nothing when there is none that can be read as one."""
        path = self._path(ending)
        if not path.is_file():
            return b"", None
        try:
            return path.read_bytes(), read_lock(path).locked
        except InvalidLock as exc:
            self.progress.say(f"{exc}; it is made anew")
            return b"", None

    def _lock_python(self, index: Index, sdists: tuple[Sdist, ...]) -> PythonLock:
        optional, self.unpinned = self._reachable_optional(index)
        requirements = (*self.stack.requirements, *optional)
        check_exact_pins(self.stack, requirements, index, self.progress)
        pins = self._pins(index, self.stack, f"{self.stack.name}.toml", "txt", requirements, sdists)
        return PythonLock(pins, target=self.stack.target, unpinned=self.unpinned)

    def _lock_builds(self, index: Index, sdists: tuple[Sdist, ...]) -> PythonLock:
        """Build requirements are wheels of the target's Python: their builds would need builds of their own."""
        requirements = [one for sdist in sdists for one in sdist.build_requires]
        requirements += [one for project in self.stack.build for one in self.stack.settings_of(project).requires]
        needs = replace(self.stack, requirements=tuple(requirements), constraints=(), build=())
        root = f"the builds of {self.stack.name}.toml"
        pins = self._pins(index, needs, root, "build.txt", needs.requirements, ()) if requirements else ()
        return PythonLock(pins, target=self.stack.target)

    def _pins(
        self,
        index: Index,
        stack: Stack,
        root: str,
        ending: str,
        requirements: tuple[Requirement, ...],
        sdists: tuple[Sdist, ...],
    ) -> tuple[Pin, ...]:
        question = Question(
            name=stack.name,
            root=root,
            target=stack.target,
            requirements=requirements,
            constraints=stack.constraints,
            default_index=index.default,
            indexes=index.special,
            cutoff=stack.cutoff,
            sdists=sdists,
            previous=self._previous(ending)[0],
        )
        self.progress.say(f"resolving {root} for {stack.target}")
        resolved = resolve(question, self.options.resolver)
        files = choose_versions([(one.name, one.version) for one in resolved], stack, index, self.progress)
        return tuple(Pin(one.name, one.version, (files[one.name].sha256,), via=one.via) for one in resolved)

    def _reachable_optional(self, index: Index) -> tuple[tuple[Requirement, ...], tuple[str, ...]]:
        """Optional requirements whose index answers, and a line for each of the others."""
        taken, unpinned = [], []
        for requirement in meant_for(self.stack, self.stack.optional):
            project = project_name(requirement.name)
            if project in self.options.without:
                unpinned.append(f"{requirement} (left out by --without)")
                continue
            try:
                index.versions(project, _OPTIONAL_PATIENCE)
                taken.append(requirement)
            except (HostUnreachable, HttpRefused, Truncated) as exc:
                host = urlsplit(index.url_of(project)).hostname
                unpinned.append(f"{requirement} ({host} is out of reach)")
                self.progress.say(f"going without {requirement}: {exc}")
        return tuple(taken), tuple(unpinned)

    def rpm_drafts(self) -> list[_Draft]:
        """``NAME.rpms.toml``, if the stack wants RPMs."""
        wishes = self.stack.rpms
        if wishes is None or "rpms" not in self.options.parts or "rpms" in self.options.without:
            return []
        target, path = self.stack.target, self._path("rpms.toml")
        self.progress.say(f"closing over {len(wishes.packages)} RPMs of {self.options.rpm_repo or wishes.repository}")
        with new_session() as session:
            read = partial(get_bytes, session)
            new = lock_rpms(
                wishes, target.arch, location=self.options.rpm_repo, read=read, now=self.now, release=target.cuda
            )
        try:
            old = RpmLock.load(path).locked if path.is_file() else self.now
        except InvalidDocument as exc:
            self.progress.say(f"{exc}; it is made anew")
            old = self.now
        kept = replace(new, locked=old).encode()
        data = kept if path.is_file() and path.read_bytes() == kept else new.encode()
        return [_Draft(path, data, len(new.pins))]


def meant_for(stack: Stack, requirements: tuple[Requirement, ...]) -> Iterator[Requirement]:
    """The requirements whose marker holds on the stack's target."""
    values: dict[str, Any] = dict(environment(stack.target))
    return (one for one in requirements if one.marker is None or one.marker.evaluate(values))


def check_exact_pins(
    stack: Stack, requirements: tuple[Requirement, ...], index: Index, progress: Progress = SILENT
) -> None:
    """Refuse exact pins that the target cannot take, before a resolver refuses them in its own words.

    Raises:
        NoWheelForTarget: with every such pin. And as ``Index.versions``.
    """
    wanted = {project_name(one.name): one for one in meant_for(stack, requirements)}
    index.prefetch_versions(wanted, progress)
    misses = []
    for project, requirement in wanted.items():
        if not any(one.operator in ("==", "===") for one in requirement.specifier):
            continue
        matching = [one for one in index.versions(project) if requirement.specifier.contains(one, prereleases=True)]
        version = str(requirement.specifier).lstrip("=")
        found = choose(stack, project, version, [file for one in matching for file in index.files(project, one)])
        if isinstance(found, Miss):
            misses.append(found)
    if misses:
        raise NoWheelForTarget(stack.name, tuple(misses))


def read_sdists(stack: Stack, index: Index, store: Store, progress: Progress = SILENT) -> tuple[Sdist, ...]:
    """Fetch and read the sdists of everything that the stack builds.

    Raises:
        NoWheelForTarget: there is no sdist of that version. InvalidSdist: it is not what its name says.
        MirrorError: as ``Index.versions`` and ``fetch``.
    """
    chosen: dict[ProjectName, IndexFile | Miss] = {}
    for project in stack.build:
        version = stack.stated_version(project) or ""
        chosen[project] = choose(stack, project, version, index.files(project, version))
    misses = tuple(found for found in chosen.values() if isinstance(found, Miss))
    if misses:
        raise NoWheelForTarget(stack.name, misses)
    files = [file for file in chosen.values() if isinstance(file, IndexFile)]
    downloads = [Download(file.url, file.filename, file.sha256, file.size) for file in files]
    paths = fetch(downloads, store, progress=progress)
    sdists = tuple(read_sdist(paths[file.sha256]) for file in files)
    for sdist, project, file in zip(sdists, chosen, files, strict=True):
        if (sdist.name, sdist.version) != (project, file.version):
            problem = f"it is {sdist.name} {sdist.version} inside, the stack builds {project} {file.version}"
            raise InvalidSdist(file.filename, problem)
    return sdists

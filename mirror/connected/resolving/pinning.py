"""The Python side of a lock: from a stack's wishes to pins, each with the one file that the target takes.

It goes by the index's pages, a resolver's choice of versions and the sdists' own words. ``mirror.connected.lock`` reads and
writes the files on this disk, and knows the time of locking.

Rules: exact pins that the target cannot take are refused before a resolver refuses them in its own words; an optional
requirement whose index is out of reach is set aside, never an error; no code of any package is run.

Example::

    with Index.of(stack) as index:
        pinning = Pinning(stack, index, "uv", progress)
        sdists = pinning.sdists(store)
        lock = pinning.python(sdists, previous=b"")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier
from packaging.utils import canonicalize_name
from packaging.version import Version

from mirror.connected.fetching.download import Download
from mirror.connected.fetching.fetch import fetch
from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.store import Store
from mirror.connected.fetching.transport import HostUnreachable, HttpRefused, Truncated
from mirror.connected.index.choice import choose, choose_versions, files_only, found_file
from mirror.connected.index.found import FoundFiles
from mirror.connected.index.indexfile import IndexFile
from mirror.connected.index.pages import Index
from mirror.connected.index.wheels import Miss
from mirror.connected.pins.markers import applies
from mirror.connected.pins.requirements import Pin, PythonLock, parse_lock
from mirror.connected.pins.standards import read_specifiers, read_wheel_name
from mirror.connected.resolving.answers import Answers
from mirror.connected.resolving.buildwith import taken_as_wheels
from mirror.connected.resolving.keptout import KeptOut, find_kept_out
from mirror.connected.resolving.resolver import (
    Question,
    ResolutionFailed,
    Resolved,
    lacks_wheels,
    lost_metadata,
    resolve,
)
from mirror.connected.sdists.archive import read_source_archive
from mirror.connected.sdists.sdist import InvalidSdist, InvalidSource, Sdist, read_sdist, read_wheel
from mirror.connected.stack.stack import Stack
from mirror.core.errors import InvalidDocument
from mirror.core.names import ProjectName, project_name
from mirror.core.progress import SILENT, Progress

_TOOLS = frozenset({
    "cmake", "cython", "flit-core", "hatchling", "meson", "meson-python", "ninja", "packaging", "pip", "poetry-core",
    "scikit-build-core", "setuptools", "setuptools-scm", "wheel",
})  # fmt: skip
"""What builds and is not compiled against: another version of it to run with says nothing."""

OPTIONAL_PATIENCE = Patience(attempts=2, connect_s=5.0)
"""An index that may be out of reach is not waited for as one that must answer."""


@dataclass(frozen=True)
class Pinning:
    """One locking of a stack's Python side.

    Attributes:
        resolver: one of ``mirror.connected.resolving.resolver.RESOLVERS``.
        without: optional requirements that are left out.
        store: where wheels are kept that are asked for their metadata; None to ask none.
    """

    stack: Stack
    index: Index
    resolver: str = "uv"
    progress: Progress = SILENT
    without: frozenset[str] = frozenset()
    store: Store | None = None

    def sdists(self, store: Store) -> tuple[Sdist, ...]:
        """Fetch and read the source of everything that the stack builds.

        Raises:
            InvalidSource: an archive that the stack names is not the project's.
            NoWheelForTarget: there is no sdist of that version. InvalidSdist: it is not what its name says.
            MirrorError: as ``Index.versions`` and ``fetch``.
        """
        found: dict[ProjectName, IndexFile | Miss] = {}
        for project in self.stack.build:
            version = self.stack.stated_version(project) or ""
            found[project] = choose(self.stack, project, version, self.index.files(project, version))
        chosen = files_only(found, self.stack.name)
        files = {project: self.index.hashed(file, self.progress) for project, file in chosen.items()}
        downloads = [Download(file.url, file.filename, file.sha256, file.size) for file in files.values()]
        paths = fetch(downloads, store, progress=self.progress)
        return tuple(self._read(paths[file.sha256], project, file) for project, file in files.items())

    def _read(self, path: Path, project: ProjectName, file: IndexFile) -> Sdist:
        own = self.stack.archive_of(project)
        if own is None:
            return _checked(read_sdist(path), project, file)
        said = read_source_archive(path, project, file.version, own)
        asked = {extra for one in self.stack.requirements if project_name(one.name) == project for extra in one.extras}
        if unknown := sorted(
            {canonicalize_name(one) for one in asked} - {canonicalize_name(one) for one in said.extras}
        ):
            problem = f"it does not say what its extra {unknown[0]!r} needs: ask for that itself, in requirements"
            raise InvalidSource(path.name, problem)
        return said

    def python(self, sdists: tuple[Sdist, ...], previous: bytes) -> PythonLock:
        """Pin what is to be installed.

        Args:
            previous: the lock of last time; empty for none.

        Raises:
            InvalidDocument: no requirement is for the target.
            NoWheelForTarget, Withdrawn: with every such version. ResolutionFailed, ResolverUnfit: as ``resolve``.
            ProjectNotOnIndex: and the like, as ``Index.versions``.
        """
        self._say_what_is_for_others()
        optional, unpinned = self._reachable_optional()
        self._check_exact((*self.stack.requirements, *optional))
        resolved = (*self.stack.requirements, *self._resolvable(optional))
        pins = self._pins(self.stack, self.stack.file, resolved, sdists, previous)
        single = tuple(self._single_pin(one) for one in optional if self.stack.is_single(project_name(one.name)))
        pins = tuple(sorted((*pins, *single), key=lambda pin: pin.name))
        return PythonLock(pins, target=self.stack.target, unpinned=unpinned)

    def builds(self, sdists: tuple[Sdist, ...], previous: bytes, beside: PythonLock | None = None) -> PythonLock:
        """Pin what the builds need: wheels of the target's Python, for building those would need builds of their own.

        What a build asks for by name, to compile against it, is taken in the version that is installed, where that will do.

        Args:
            beside: what is to be installed.

        Raises:
            NoWheelToBuildWith: one of them has none. And as ``python``.
        """
        requirements = self._asked_by_builds(sdists)
        installed = tuple(pin for pin in beside.pins if pin.name in _names(requirements)) if beside else ()
        previous = _preferring(installed, previous, f"{self.stack.name}.build.txt")
        needs = replace(self.stack, requirements=requirements, constraints=(), build=(), without=())
        root = f"the builds of {self.stack.file}"
        with taken_as_wheels(self.stack, requirements):
            pins = self._pins(needs, root, needs.requirements, (), previous) if requirements else ()
        return PythonLock(pins, target=self.stack.target)

    def others_to_build_with(
        self, sdists: tuple[Sdist, ...], builds: PythonLock, beside: PythonLock
    ) -> tuple[str, ...]:
        """What a build asks for by name and gets in another version than is installed, a sentence each."""
        asked = _names(self._asked_by_builds(sdists)) - _TOOLS
        pairs = ((pin, beside.find(pin.name)) for pin in builds.pins if pin.name in asked)
        return tuple(
            f"{pin.name} is {pin.version} to build with and {other.version} to run with: what is compiled against one may not "
            f"run with the other; pin one version, in requirements and in [build.NAME].requires of {self.stack.file}"
            for pin, other in pairs
            if other and other.version != pin.version
        )

    def _asked_by_builds(self, sdists: tuple[Sdist, ...]) -> tuple[Requirement, ...]:
        settings = (self.stack.settings_of(project) for project in self.stack.build)
        said = (one for sdist in sdists for one in sdist.build_requires)
        return (*said, *(one for each in settings for one in each.requires))

    def kept_out(
        self, lock: PythonLock, sdists: tuple[Sdist, ...], previous: bytes, is_to_move: Callable[[str], bool]
    ) -> tuple[KeptOut, ...]:
        """Newer versions of what the user named that are not in the lock which ``python`` made of the same arguments.

        Args:
            is_to_move: whether a project was to be upgraded.
        """
        optional = (one for one in self.stack.optional if lock.find(project_name(one.name)))
        requirements = (*self.stack.requirements, *self._resolvable(optional))
        question = self._question(self.stack, self.stack.file, requirements, sdists, previous)
        ask = partial(resolve, resolver=self.resolver)
        return find_kept_out(question, lock, self.stack, self.index, ask, is_to_move)

    def _pins(
        self,
        stack: Stack,
        root: str,
        requirements: tuple[Requirement, ...],
        sdists: tuple[Sdist, ...],
        previous: bytes,
    ) -> tuple[Pin, ...]:
        question = self._question(stack, root, requirements, sdists, previous)
        answers = Answers(self.store) if self.store else None
        resolved = answers.recall(question, self.resolver, self.index, self.progress) if answers else None
        if resolved is None:
            self.progress.say(f"resolving {root} for {stack.target}")
            resolved = self._resolved(question)
            if answers:
                answers.remember(question, self.resolver, resolved, self.index, self.progress)
        files = choose_versions([(one.name, one.version) for one in resolved], stack, self.index, self.progress)
        pins = tuple(
            Pin(one.name, one.version, (files[one.name].sha256,), via=one.via, yanked=_reason(files[one.name]))
            for one in resolved
        )
        if self.store:  # whoever plans a bundle of this lock need not ask again
            FoundFiles(self.store, stack).remember((pin, found_file(files[pin.name])) for pin in pins)
        return pins

    def _question(
        self,
        stack: Stack,
        root: str,
        requirements: tuple[Requirement, ...],
        sdists: tuple[Sdist, ...],
        previous: bytes,
    ) -> Question:
        return Question(
            name=stack.name,
            root=root,
            target=stack.target,
            requirements=requirements,
            constraints=stack.constraints,
            default_index=self.index.default,
            indexes={one: url for one, url in self.index.special.items() if not self.stack.is_single(one)},
            flat=self.index.flat,
            cutoff=stack.cutoff,
            sdists=sdists,
            previous=self._without_single(previous),
            without=stack.without,
            archived=frozenset(one for one in stack.build if stack.archive_of(one)),
        )

    def _without_single(self, previous: bytes) -> bytes:
        """A lock without the pins of files that the stack names: no resolver is asked about them, nor to prefer them."""
        lock = parse_lock(previous, f"{self.stack.name}.txt") if previous and self.stack.single else None
        kept = tuple(pin for pin in lock.pins if not self.stack.is_single(project_name(pin.name))) if lock else ()
        return replace(lock, pins=kept).encode("") if lock and kept != lock.pins else previous

    def _resolved(self, question: Question) -> tuple[Resolved, ...]:
        """The resolver's answer, with the help that it needs and its users would not know of."""
        while True:
            try:
                return resolve(question, self.resolver)
            except ResolutionFailed as exc:
                wheel = self._wheel(lost_metadata(exc.words), question)
                if wheel is None:
                    steps = self._builds_to_add(exc.words)
                    raise (exc.advised(steps) if steps else exc) from exc.__cause__
                question = replace(question, wheels=(*question.wheels, wheel))

    def _wheel(self, filename: str, question: Question) -> Sdist | None:
        """What a wheel says whose metadata its index lists and does not have (pip goes by the wheel then, uv gives up)."""
        if not filename or self.store is None:
            return None
        name, version, _, _ = read_wheel_name(filename)
        project = project_name(name)
        file = next((one for one in self.index.files(project, str(version)) if one.filename == filename), None)
        if file is None or any(one.is_of(project, str(version)) for one in question.wheels):
            return None
        self.progress.say(f"the index lists {filename}.metadata and does not have it: the wheel is asked itself")
        file = self.index.hashed(file, self.progress)
        paths = fetch([Download(file.url, filename, file.sha256, file.size)], self.store, progress=self.progress)
        return _checked(read_wheel(paths[file.sha256]), project, file)

    def _say_what_is_for_others(self) -> None:
        """Tell which requirements the target's markers leave out; none left is an error."""
        asked, target = (*self.stack.requirements, *self.stack.optional), self.stack.target
        others = [str(one) for one in asked if not applies(one, target)]
        if not others:
            return
        words = f"for the target ({target}); left out: {', '.join(others)}"
        if len(others) == len(asked):
            raise InvalidDocument(self.stack.file, "python.requirements", f"none of its {len(asked)} is {words}")
        self.progress.say(f"{len(asked) - len(others)} of {len(asked)} requirements of {self.stack.file} are {words}")

    def _builds_to_add(self, words: str) -> str:
        """What to write into ``NAME.toml`` for projects that have an sdist and no wheel; empty when there are none."""
        steps = []
        for project, wanted in lacks_wheels(words):
            versions = [one for one in self.index.versions(project) if _lets_in(wanted, one)]
            newest = max((one for one in versions if self._has_sdist(project, one)), key=Version, default="")
            if newest:
                steps.append(
                    f"{project} {newest} has no wheel for this target, but an sdist, which mirror builds: in "
                    f"{self.stack.file}, add '{project}=={newest}' to [python].requirements and '{project}' to "
                    "[python].build"
                )
        return "; ".join(steps)

    def _has_sdist(self, project: ProjectName, version: str) -> bool:
        return any(file.kind == "sdist" for file in self.index.files(project, version))

    def _reachable_optional(self) -> tuple[list[Requirement], tuple[str, ...]]:
        """Optional requirements whose index answers, and a line for each of the others."""
        taken, unpinned = [], []
        for requirement in self.stack.optional:
            project = project_name(requirement.name)
            if project in self.without:
                unpinned.append(f"{requirement} (left out by --without)")
            elif applies(requirement, self.stack.target):
                try:
                    self.index.versions(project, OPTIONAL_PATIENCE)
                    taken.append(requirement)
                except (HostUnreachable, HttpRefused, Truncated) as exc:
                    # The host alone, not the error's words: they differ from run to run, and the lock must not.
                    host = urlsplit(self.index.url_of(project)).hostname
                    unpinned.append(f"{requirement} ({host} is out of reach)")
                    self.progress.say(f"going without {requirement}: {exc}")
        return taken, tuple(unpinned)

    def _resolvable(self, requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
        """Those that a resolver is asked about: a file that the stack names may be out of reach, and has one version."""
        return tuple(one for one in requirements if not self.stack.is_single(project_name(one.name)))

    def _single_pin(self, requirement: Requirement) -> Pin:
        """The pin of a file that the stack names; what it needs is seen when its wheel is vetted.

        Raises:
            NoWheelForTarget: it is of another version, or for another target.
        """
        project = project_name(requirement.name)
        file = files_only({project: self._stated(project, requirement)}, self.stack.name)[project]
        return Pin(project, file.version, (file.sha256,), via=(self.stack.file,))

    def _check_exact(self, requirements: Sequence[Requirement]) -> None:
        """Refuse exact pins of which no file fits."""
        meant = {project_name(one.name): one for one in requirements if applies(one, self.stack.target)}
        self.index.prefetch_versions(meant, self.progress)
        exact = (
            (project, requirement)
            for project, requirement in meant.items()
            if any(one.operator in ("==", "===") for one in requirement.specifier)
        )
        files_only({project: self._stated(project, requirement) for project, requirement in exact}, self.stack.name)

    def _stated(self, project: ProjectName, requirement: Requirement) -> IndexFile | Miss:
        """What there is of the versions that a requirement allows."""
        allowed = requirement.specifier
        versions = (one for one in self.index.versions(project) if allowed.contains(one, prereleases=True))
        files = [file for version in versions for file in self.index.files(project, version)]
        return choose(self.stack, project, str(allowed).lstrip("="), files)


def _lets_in(specifier: str, version: str) -> bool:
    try:
        return read_specifiers(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True  # the resolver's own notation: any version may be meant


def _names(requirements: Iterable[Requirement]) -> frozenset[str]:
    return frozenset(project_name(one.name) for one in requirements)


def _preferring(pins: tuple[Pin, ...], previous: bytes, source: str) -> bytes:
    """The lock of last time, whose versions a resolver keeps where it can, with these pins in place of its own."""
    if not pins:
        return previous
    old = parse_lock(previous, source) if previous else PythonLock(())
    names = {pin.name for pin in pins}
    kept = tuple(pin for pin in old.pins if pin.name not in names)
    return replace(old, pins=tuple(sorted((*kept, *pins), key=lambda pin: pin.name))).encode("")


def _checked(sdist: Sdist, project: ProjectName, file: IndexFile) -> Sdist:
    if not sdist.is_of(project, file.version):
        problem = f"it is {sdist.name} {sdist.version} inside, the stack builds {project} {file.version}"
        raise InvalidSdist(file.filename, problem)
    return sdist


def _reason(file: IndexFile) -> str:
    """Why its makers withdrew a file, as one line of a lock; empty when they did not."""
    if file.yanked is None:
        return ""
    plain = "".join(character if character.isprintable() else " " for character in file.yanked)
    return " ".join(plain.split()).replace("@", " at ")[:200] or "yes"  # a lock refuses what looks like a credential

"""Building one wheel from its sdist: same request, same bytes, no network.

``mirror.connected.building.workshop`` makes the directory it happens in, ``mirror.connected.building.sandbox`` takes the
network away, ``mirror.connected.building.builds`` decides what is built in which order.

Rules: the sdist and every build requirement are pinned and hashed; what the backend asks for beyond them is an error that
names it, never a download; each hook of PEP 517 runs cut off from the network; a finished wheel is judged before it is
kept; the log is kept in any case, with the paths of this machine taken out. A request that was built before is not built
again.

Example::

    built = build_wheel(request, Store.default())
    print(built.path, built.log)
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from mirror.connected.building.builtwheel import check_built_wheel
from mirror.connected.building.compilercache import compiler_cache
from mirror.connected.building.outcome import Outcome, differences, examine
from mirror.connected.building.patching import apply_patch
from mirror.connected.building.sandbox import LimitReached, Limits, run_cut_off
from mirror.connected.building.sources import Tree, unpack_trees
from mirror.connected.building.workshop import Workshop
from mirror.connected.fetching.store import Store, file_sha256, refuse_write
from mirror.connected.pins.markers import environment
from mirror.connected.pins.standards import read_requirement, read_version, read_wheel_name
from mirror.connected.sdists.sdist import InvalidSdist, read_sdist
from mirror.connected.sdists.source import unpack_sdist
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError, Unreadable, place_of
from mirror.core.fields import Fields, canonical_json, strict_json
from mirror.core.names import ProjectName, Sha256Hex
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import write_file
from mirror.core.target import Target

if TYPE_CHECKING:
    import build

RECORD_FORMAT = "mirror-build/1"
MAX_RECORD_BYTES = 1 << 20
_TAIL_LINES = 20
_OWN_FILE = re.compile(r"<build>/src/[^/\s'\":]+/([\w./+-]*\w)")
_OWN_SOURCE = re.compile(r"(?:^|[\s'\":])((?:csrc|src|third_party|3rdparty|external)/[\w./+-]*\w)")
_NO_NETWORK = re.compile(
    r"Network is unreachable|Temporary failure in name resolution|Name or service not known|Could not resolve host"
)


@dataclass(frozen=True)
class Toolkit:
    """An unpacked CUDA toolkit that wheels are built with.

    Attributes:
        home: its top directory, on this machine.
        sha256: of all that it was unpacked from: two toolkits with one digest are the same, wherever they lie.
    """

    home: Path
    sha256: Sha256Hex


@dataclass(frozen=True)
class BuildRequest:
    """All that a wheel depends on.

    Attributes:
        project: its name.
        version: as pinned.
        sdist: the source, whose digest the caller has checked.
        sdist_sha256: that digest.
        requirements: wheels of the pinned build requirements, likewise.
        python: interpreter of the target's minor version.
        target: the machine that the wheel is for.
        toolkit: the CUDA toolkit; None when the build needs none.
        environment: variables from ``NAME.toml``; they win over ours.
        trees: source trees that the build asks for.
        patches: changes to the source, in order: each as ``NAME.toml`` names it, and the file.
        limits: what each hook of the build may take; no input of the wheel.
        job_gib: of memory that one compiler takes; 0 for what is usual; no input of the wheel.
    """

    project: ProjectName
    version: str
    sdist: Path
    sdist_sha256: Sha256Hex
    requirements: tuple[Path, ...]
    python: Path
    target: Target
    toolkit: Toolkit | None
    environment: Mapping[str, str]
    trees: tuple[Tree, ...] = ()
    patches: tuple[tuple[str, Path], ...] = ()
    limits: Limits = field(default_factory=Limits)
    job_gib: int = 0

    @cached_property
    def key(self) -> Sha256Hex:
        """The digest of all inputs. Raises as ``describe``."""
        return Sha256Hex(hashlib.sha256(canonical_json(self.describe())).hexdigest())

    def describe(self) -> dict[str, Any]:
        """The request as a document, without any path of this machine: equal documents give equal wheels.

        Raises:
            Unreadable: a build requirement or the interpreter cannot be read.
        """
        try:
            requirements = [{"filename": path.name, "sha256": file_sha256(path)} for path in self.requirements]
            patches = [{"path": written, "sha256": file_sha256(path)} for written, path in self.patches]
        except OSError as exc:
            raise Unreadable(place_of(exc, "a build requirement or a patch"), exc.strerror or str(exc)) from exc
        return {
            "format": RECORD_FORMAT,
            "project": self.project,
            "version": self.version,
            "sdist": self.sdist.name,
            "sdist_sha256": self.sdist_sha256,
            "requirements": sorted(requirements, key=lambda item: item["filename"]),
            "python": _python_version(self.python),
            "machine": platform.machine(),
            "target": self.target.to_dict(),
            "toolkit": self.toolkit.sha256 if self.toolkit else "",
            "environment": dict(self.environment),
            "sources": [tree.describe() for tree in self.trees],
            "patches": patches,
        }


@dataclass(frozen=True)
class BuiltWheel:
    """A wheel that was built here.

    Attributes:
        project: its name.
        version: as pinned.
        path: the wheel.
        sha256: its digest.
        log: what the build said, without paths of this machine.
        record: what it was built from, for the bundle's provenance.
    """

    project: ProjectName
    version: str
    path: Path
    sha256: Sha256Hex
    log: Path
    record: Mapping[str, Any]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it."""
        return tuple(self.record["outcome"]["notes"])


class BuildFailed(MirrorError):
    """A wheel could not be built.

    Attributes:
        project: its name.
        version: as pinned.
        problem: which step failed, and how.
        log: where everything that the build said is kept.
    """

    ref = "build-failed"
    exit_code = 80
    hint = "Read the log. What the build lacks goes into [build.NAME] of NAME.toml: requires, or environment."
    message = "{project} {version}: {problem}; the log is {log}"

    project: str
    version: str
    problem: str
    log: str

    def __post_init__(self) -> None:
        text = self._text()
        lacking = _lacking(text)
        if lacking:
            self.hint = (
                f"The source of {self.project} {self.version} lacks {lacking} itself: it was published without, and no setting "
                f"brings it. Pin another version or its wheel, or bring that tree: [[build.{self.project}.source]] with to."
            )
        if _NO_NETWORK.search(text):
            self.hint = (
                "The build tried to reach the network, which is cut off while building. Give it what it downloads: as a "
                "build requirement, or by a setting of the project in [build.NAME].environment."
            )

    def context(self) -> str:
        from mirror.core.logs.log import meaning  # here, for only a build that failed is looked up

        text = self._text()
        return "\n".join(filter(None, [*text.splitlines()[-_TAIL_LINES:], meaning(text)]))

    def _text(self) -> str:
        try:
            return Path(self.log).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


class BuildRequirementMissing(MirrorError):
    """The build asks for packages that the lock does not pin.

    Attributes:
        project: what is built.
        version: as pinned.
        missing: the requirements, with what is pinned instead where there is something.
    """

    ref = "build-requirement-missing"
    exit_code = 82
    hint = "Add it to [build.NAME] requires of NAME.toml and lock again."  # an instance's names the project
    message = "{project} {version} needs {missing} to be built, which the lock does not pin"

    project: str
    version: str
    missing: tuple[str, ...]

    def __post_init__(self) -> None:
        wanted = ", ".join(json.dumps(text.partition(" (")[0]) for text in self.missing)
        self.hint = f"Add to NAME.toml and lock again: [build.{self.project}] requires = [{wanted}]"


def _lacking(log: str) -> str:
    """The first file of the project's own source that the build looked for in vain; empty when there is none."""
    for line in _not_there(log):
        for pattern in (_OWN_FILE, _OWN_SOURCE):
            if found := pattern.search(line):
                return found[1]
    return ""


def _not_there(log: str) -> Iterator[str]:
    """The lines on a missing file; CMake names it two lines below."""
    lines = log.splitlines()
    for index, line in enumerate(lines):
        if "Cannot find source file:" in line:
            yield " ".join(lines[index : index + 3])
        elif "No such file or directory" in line or "does not exist" in line or "is not an existing directory" in line:
            yield line


def build_wheel(request: BuildRequest, store: Store, *, progress: Progress = SILENT) -> BuiltWheel:
    """Build a wheel, or take the one that an equal request gave before.

    Raises:
        BuildFailed: no environment could be made, or a hook of the backend ended badly.
        BuildRequirementMissing: the backend asks for a package that is not pinned.
        BuiltWheelUnfit: the wheel is not of that project and version, or not for the target.
        InvalidSdist: the sdist cannot be read or unpacked, or is another project's.
        NetworkCutUnavailable: this machine has no way to cut a process off from the network.
        Unreadable: a build requirement or the interpreter cannot be read. Unwritable, NoSpace: the store refuses.
    """
    description = request.describe()
    key = request.key
    kept = store.built(key)
    # The lock is the workshop's: of two equal requests at once, the second finds the first one's wheel.
    with Workshop(store.root / "build" / key[:16]) as room:
        found = _kept(request, kept)
        if found is not None:
            return found
        progress.say(f"building {request.project} {request.version} from {request.sdist.name}")
        path, outcome = _made(request, room, kept, store, progress)
        record = {**description, "wheel": path.name, "sha256": file_sha256(path), "outcome": outcome.to_dict()}
        _write_record(kept, record)
        for note in outcome.notes:
            progress.say(note)
        return _built(request, kept, record)


def build_again(request: BuildRequest, store: Store, progress: Progress = SILENT) -> tuple[str, ...]:
    """Build what is kept a second time, without any compiler cache, and say where the two differ; nothing when they are equal.

    Raises:
        As ``build_wheel``, which is to have been called before.
    """
    kept = store.built(request.key)
    scratch = store.root / "again" / request.key
    with Workshop(store.root / "build" / request.key[:16]) as room:
        first = _kept(request, kept)
        if first is None:
            raise Unreadable(str(kept), "the wheel that was built there is gone")
        progress.say(f"building {request.project} {request.version} again")
        try:
            second, _ = _made(request, room, scratch, None, progress)
            return differences(first.path, second)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def kept_wheel(request: BuildRequest, store: Store) -> BuiltWheel | None:
    """The wheel that an equal request gave before, if it is still what it was; nothing is built. Raises as ``describe``."""
    return _kept(request, store.built(request.key))


def adopt(
    request: BuildRequest, store: Store, name: str, wheel: bytes, log: bytes, record: Mapping[str, Any]
) -> BuiltWheel:
    """Keep a wheel that was built elsewhere, after checking it as a download is checked, and as one that was built here.

    Args:
        name: the wheel's file name.
        record: what the builder says it was built from and what came out.

    Raises:
        ForeignBuild: it was built from something else, or its bytes are not those that the record names.
        BuiltWheelUnfit: it is another project's, or not for the target.
        Unwritable, NoSpace: the store refuses.
    """
    wanted = request.describe()
    differing = sorted(key for key, value in wanted.items() if record.get(key) != value)
    if differing:
        said = "; ".join(f"{key} is {record.get(key)!r} there, {wanted[key]!r} here" for key in differing)
        raise ForeignBuild(name, f"it was built from other inputs: {said}"[:2000])
    digest = hashlib.sha256(wheel).hexdigest()
    if digest != record.get("sha256") or name != record.get("wheel") or Path(name).name != name:
        raise ForeignBuild(
            name, f"its sha256 is {digest}, and its record tells of {record.get('wheel')}, {record.get('sha256')}"
        )
    kept = store.built(request.key)
    draft = store.root / "incoming" / request.key
    try:
        with Workshop(store.root / "build" / request.key[:16]) as room:
            draft.mkdir(parents=True, exist_ok=True)
            path = draft / name
            path.write_bytes(wheel)
            read = check_built_wheel(path, request.project, request.version, request.target)
            outcome = examine(path, read, f"{request.project} {request.version}", request.target, room.path)
            kept.mkdir(parents=True, exist_ok=True)
            write_file(kept / "build.log", log)
            path.replace(kept / name)
    except OSError as exc:
        refuse_write(exc, kept, len(wheel))
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    # What came out is found here again, and nothing of the other machine's word for it is kept.
    record = {**wanted, "wheel": name, "sha256": digest, "outcome": outcome.to_dict()}
    _write_record(kept, record)
    return _built(request, kept, record)


class ForeignBuild(MirrorError):
    """A wheel that another machine built cannot be taken for the one that is wanted.

    Attributes:
        wheel: its file name.
        problem: what differs, both sides named.
    """

    ref = "foreign-build"
    exit_code = FAMILIES["bundle"]
    hint = (
        "Give every machine the same mirror, the same lock and the same Python to the last digit (--python), and build that "
        "job again there, or here."
    )
    message = "{wheel}, built on another machine, was not taken: {problem}"

    wheel: str
    problem: str


def _made(
    request: BuildRequest, room: Workshop, kept: Path, store: Store | None, progress: Progress
) -> tuple[Path, Outcome]:
    """Build in the room; the wheel and its log go to ``kept``, and what came out is examined.

    Args:
        store: with the compiler cache; None to compile all of it.
    """
    try:
        kept.mkdir(parents=True, exist_ok=True)
        build = _Build(request, room, kept / "build.log", progress)
        wheel = build.run(compiler_cache(os.environ, store.root, room.path) if store else {})
        name = f"{request.project} {request.version}"
        outcome = examine(wheel, build.read, name, request.target, room.path)
        return wheel.replace(kept / wheel.name), outcome
    except OSError as exc:
        refuse_write(exc, kept, request.sdist.stat().st_size)


def _write_record(kept: Path, record: Mapping[str, Any]) -> None:
    """The last file: without it the directory counts for nothing."""
    write_file(kept / "build.json", canonical_json(record))


def _kept(request: BuildRequest, directory: Path) -> BuiltWheel | None:
    """The outcome of an earlier equal request, if it is still what it was."""
    try:
        record: dict[str, Any] = strict_json((directory / "build.json").read_bytes(), "build.json", MAX_RECORD_BYTES)
        fields = Fields(record, "build.json")
        if file_sha256(directory / fields.text("wheel")) != fields.text("sha256"):
            return None
        fields.table("outcome").texts("notes")
    except (OSError, InvalidDocument):
        return None
    return _built(request, directory, record)


def _built(request: BuildRequest, directory: Path, record: dict[str, Any]) -> BuiltWheel:
    path = directory / record["wheel"]
    return BuiltWheel(request.project, request.version, path, record["sha256"], directory / "build.log", record)


class _Build:
    """One build, step by step. ``log`` is written when a step has failed and when all have ended well."""

    def __init__(self, request: BuildRequest, room: Workshop, log: Path, progress: Progress) -> None:
        self.request, self.room, self.log, self.progress = request, room, log, progress
        self.raw = room.path / "build.log"
        self.begun = time.monotonic()

    def run(self, cache: Mapping[str, str]) -> Path:
        request = self.request
        _check_sdist(request)
        source = unpack_sdist(request.sdist, self.room.source)
        named = unpack_trees(request.trees, self.room.trees, source.root)
        for written, patch in request.patches:
            apply_patch(patch.read_bytes(), written, source.root, source.epoch)
        with open(self.raw, "wb", buffering=0) as stream:
            try:
                if not self.room.furnish(request.python, request.requirements, stream):
                    raise self.failed("no environment for the build could be made")
                home = request.toolkit.home if request.toolkit else None
                variables = self.room.environment(request.target, home, source.epoch, request.job_gib)
                wheel = self.hooks(source.root, {**variables, **cache, **named, **request.environment}, stream)
                self.read = check_built_wheel(wheel, request.project, request.version, request.target)
            finally:
                self.keep_log()
        return wheel

    def hooks(self, source: Path, variables: dict[str, str], stream: BinaryIO) -> Path:
        """PEP 517: ask what is needed, then build."""
        import build  # here, for what was built before is not built again

        def runner(cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None) -> None:
            stream.write(f"$ {cmd[2]}\n".encode())
            everything = {**variables, **(extra_environ or {})}
            status = run_cut_off(
                cmd,
                cwd=Path(cwd or source),
                environment=everything,
                log=stream,
                limits=self.request.limits,
                tick=self.tell,
            )
            if status:
                raise subprocess.CalledProcessError(status, list(cmd))

        try:
            with _warnings_to(stream):
                backend = build.ProjectBuilder(source, str(self.room.python), runner)
                self.check_requirements(backend.build_system_requires)
                self.check_requirements(backend.get_requires_for_build("wheel"))
                return Path(backend.build("wheel", self.room.out))
        except build.BuildBackendException as exc:
            if isinstance(exc.exception, MirrorError):
                raise exc.exception from exc
            if isinstance(exc.exception, LimitReached):
                raise self.failed(f"{exc.exception} ([build.{self.request.project}] of NAME.toml)") from exc
            raise self.failed(_words(exc)) from exc
        except build.BuildException as exc:
            raise InvalidSdist(self.request.sdist.name, str(exc)) from exc

    def check_requirements(self, asked: Iterable[str]) -> None:
        """What the backend asks for must be among the pinned wheels, which are all there is in the environment."""
        pinned = dict(read_wheel_name(path.name)[:2] for path in self.request.requirements)
        missing = sorted(text for text in asked for text in _unmet(text, pinned, self.request.target))
        if missing:
            raise BuildRequirementMissing(self.request.project, self.request.version, tuple(missing))

    def failed(self, problem: str) -> BuildFailed:
        self.keep_log()
        return BuildFailed(self.request.project, self.request.version, problem, str(self.log))

    def tell(self) -> None:
        """How far it is, now and then."""
        minutes = (time.monotonic() - self.begun) / 60
        with open(self.raw, "rb") as stream:
            stream.seek(max(0, self.raw.stat().st_size - 4096))
            lines = stream.read().decode("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "nothing yet")
        self.progress.say(f"{self.request.project}: {minutes:.1f} minutes; {self.raw} says: {last.strip()[:100]}")

    def keep_log(self) -> None:
        text = self.raw.read_text(encoding="utf-8", errors="replace")
        write_file(self.log, self.room.settled(text).encode("utf-8"))


@contextmanager
def _warnings_to(stream: BinaryIO) -> Iterator[None]:
    """A backend's Python warnings are raised again in our process; they belong in the log."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                stream.write(f"{warning.category.__name__}: {warning.message}\n".encode())


def _check_sdist(request: BuildRequest) -> None:
    """SECURITY.md 46: the sdist is the pinned project's, by its own words."""
    said = read_sdist(request.sdist)
    if said.name != request.project or read_version(said.version) != read_version(request.version):
        raise InvalidSdist(
            request.sdist.name,
            f"it says it is {said.name} {said.version}; the lock pins {request.project} {request.version}",
        )


def _unmet(text: str, pinned: Mapping[Any, Version], target: Target) -> Iterable[str]:
    try:
        requirement = read_requirement(text)
    except InvalidRequirement:
        return [text]
    if requirement.marker and not requirement.marker.evaluate(dict(environment(target))):
        return []
    version = pinned.get(canonicalize_name(requirement.name))
    if version is None:
        return [text]
    met = requirement.specifier.contains(version, prereleases=True)
    return [] if met else [f"{text} (pinned is {version})"]


def _words(exc: build.BuildBackendException) -> str:
    cause = exc.exception
    if isinstance(cause, subprocess.CalledProcessError):
        return f"{cause.cmd[2]} ended with exit status {cause.returncode}"
    return str(exc)


@lru_cache(maxsize=8)
def _python_version(python: Path) -> str:
    command = [str(python), "-I", "-c", "import platform, sys; print(platform.python_implementation(), sys.version)"]
    try:
        return " ".join(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split())
    except (OSError, subprocess.SubprocessError) as exc:
        raise Unreadable(str(python), f"it is no Python that runs here ({exc})") from exc

"""Building one wheel from its sdist: same request, same bytes, no network.

``mirror.connected.building.workshop`` makes the directory it happens in, ``mirror.connected.building.sandbox`` takes the
network away, ``mirror.connected.building.kept`` has what was built before, ``mirror.connected.building.schedule`` decides what
is built in which order.

Rules: the sdist and every build requirement are pinned and hashed; what the backend asks for beyond them is an error that
names it, never a download; each hook of PEP 517 runs cut off from the network; a finished wheel is judged before it is
kept; the log is kept in any case, with the paths of this machine taken out, a long one's beginning and end. A request that was
built before is not built again.

Example::

    built = build_wheel(request, Store.default())
    print(built.path, built.log)
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from mirror.connected.building.compilercache import compiler_cache
from mirror.connected.building.compilers import architectures
from mirror.connected.building.failure import BuildFailed, BuildRequirementMissing
from mirror.connected.building.kept import BuiltWheel, built_of, judged, kept_in, prepare, write_record
from mirror.connected.building.outcome import Outcome, differences, strangers
from mirror.connected.building.patching import apply_patch
from mirror.connected.building.request import BuildRequest
from mirror.connected.building.sandbox import LimitReached, run_cut_off
from mirror.connected.building.sources import unpack_trees
from mirror.connected.building.workshop import Workshop
from mirror.connected.fetching.download import redacted, redacted_words
from mirror.connected.fetching.store import Store, file_sha256, refuse_write
from mirror.connected.pins.markers import environment
from mirror.connected.pins.standards import read_requirement, read_wheel_name
from mirror.connected.sdists.archive import read_source_archive
from mirror.connected.sdists.sdist import InvalidSdist, read_sdist
from mirror.connected.sdists.source import Source, unpack_sdist
from mirror.core.errors import InvalidDocument, MirrorError, Unreadable
from mirror.core.fields import Fields, strict_json
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import end_of, facts_of, read_regular, replacing
from mirror.core.target import Target

if TYPE_CHECKING:
    import build


SCM_VERSION = "SETUPTOOLS_SCM_PRETEND_VERSION"
"""What setuptools-scm and hatch-vcs go by where there is no git to ask, as in an archive."""

_MAX_ANSWER_BYTES = 4 << 20

_LOG_END_BYTES = 8 << 20
"""So much of a log's beginning, and of its end, is kept."""


def build_wheel(request: BuildRequest, store: Store, *, progress: Progress = SILENT) -> BuiltWheel:
    """Build a wheel, or take the one that an equal request gave before.

    Raises:
        BuildFailed: no environment could be made, or a hook of the backend ended badly.
        BuildRequirementMissing: the backend asks for a package that is not pinned.
        BuiltWheelUnfit: the wheel is not of that project and version, or not for the target.
        InvalidSdist, InvalidSource: the source cannot be read or unpacked, or is another project's.
        NetworkCutUnavailable: this machine has no way to cut a process off from the network.
        Unreadable: a build requirement or the interpreter cannot be read. Unwritable, NoSpace: the store refuses.
    """
    description = request.describe()
    key = request.key
    kept = store.built(key)
    # The lock is the workshop's: of two equal requests at once, the second finds the first one's wheel.
    with Workshop(store.root / "build" / key[:16], progress) as room:
        found = kept_in(request, kept)
        if found is not None:
            return found
        progress.say(f"building {request.project} {request.version} from {request.sdist.name}")
        path, outcome = _made(request, room, kept, store, progress)
        record = {**description, "wheel": path.name, "sha256": file_sha256(path), "outcome": outcome.to_dict()}
        write_record(kept, record)
        for note in outcome.notes:
            progress.say(note)
        return built_of(request, kept, record)


def build_again(request: BuildRequest, store: Store, progress: Progress = SILENT) -> tuple[str, ...]:
    """Build what is kept a second time, all of it compiled again, and say where the two differ; nothing when they are equal.

    Raises:
        As ``build_wheel``, which is to have been called before.
    """
    kept = store.built(request.key)
    scratch = store.root / "again" / request.key
    with Workshop(store.root / "build" / request.key[:16], progress) as room:
        first = kept_in(request, kept)
        if first is None:
            raise Unreadable(str(kept), "the wheel that was built there is gone")
        progress.say(f"building {request.project} {request.version} again")
        try:
            second, _ = _made(request, room, scratch, store, progress, fresh=True)
            return differences(first.path, second)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _made(
    request: BuildRequest, room: Workshop, kept: Path, store: Store, progress: Progress, fresh: bool = False
) -> tuple[Path, Outcome]:
    """Build in the room; the wheel and its log go to ``kept``, and what came out is examined.

    Args:
        store: with the compiler cache.
        fresh: whether all of it is compiled, whatever is there.
    """
    try:
        prepare(kept)
        build = _Build(request, room, kept / "build.log", progress)
        wheel = build.run(compiler_cache(os.environ, store.root, room.path, fresh=fresh))
        return wheel.replace(kept / wheel.name), build.outcome
    except OSError as exc:
        refuse_write(exc, kept, request.sdist.stat().st_size)


class _Build:
    """One build, step by step. ``log`` is written when a step has failed and when all have ended well."""

    def __init__(self, request: BuildRequest, room: Workshop, log: Path, progress: Progress) -> None:
        self.request, self.room, self.log, self.progress = request, room, log, progress
        self.raw = room.path / "build.log"
        self.begun = time.monotonic()
        self.seen: set[str] = set()

    def run(self, cache: Mapping[str, str]) -> Path:
        request = self.request
        source, project = self.unpack()
        named = unpack_trees(request.trees, self.room.trees, source.root)
        for written, patch in request.patches:
            apply_patch(patch.read_bytes(), written, source.root, source.epoch)
        # Read by this descriptor alone: under its name a build may have put another file.
        with open(self.raw, "a+b", buffering=0) as stream:
            self.stream = stream
            try:
                if not self.room.furnish(request.python, request.requirements, stream):
                    raise self.failed("no environment for the build could be made")
                home = request.toolkit.home if request.toolkit else None
                variables = self.room.environment(request.target, home, source.epoch, request.job_gib)
                variables.update({SCM_VERSION: request.version} if request.own else {})
                variables.update({**cache, **named, **request.environment})
                wheel = self.hooks(project, self.room.unplaced(variables, home), stream)
                self.outcome = judged(wheel, request, self.room)
            finally:
                self.keep_log()
        return wheel

    def unpack(self) -> tuple[Source, Path]:
        """The source, which is the pinned project's by its own words, and the directory in it that is built."""
        request, own = self.request, self.request.own
        if own is None:
            _check_sdist(request)
            source = unpack_sdist(request.sdist, self.room.source)
            return source, source.root
        read_source_archive(request.sdist, request.project, request.version, own.wish)
        return own.unpack(self.room.source / request.project)

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
            self.check_answer(cmd[2], Path(cmd[3], "output.json"))

        out = os.path.realpath(self.room.out)
        try:
            with _warnings_to(stream):
                backend = build.ProjectBuilder(source, str(self.room.python), runner)
                self.check_requirements(backend.build_system_requires)
                self.check_requirements(backend.get_requires_for_build("wheel"))
                return self.left(Path(backend.build("wheel", self.room.out)), out)
        except build.BuildBackendException as exc:
            if isinstance(exc.exception, MirrorError):
                raise exc.exception from exc
            if isinstance(exc.exception, LimitReached):
                raise self.failed(f"{exc.exception} ([build.{self.request.project}] of NAME.toml)") from exc
            raise self.failed(_words(exc)) from exc
        except build.BuildException as exc:
            raise InvalidSdist(self.request.sdist.name, str(exc)) from exc

    def check_answer(self, hook: str, path: Path) -> None:
        """What a hook answers is a file that a backend can put anything in place of; ``pyproject_hooks`` reads it as it is."""
        data = read_regular(path, _MAX_ANSWER_BYTES)
        if data is None:
            raise self.failed(f"{hook} left no file with its answer")
        try:
            said = Fields(strict_json(data, "", _MAX_ANSWER_BYTES), "")
            if "no_backend" not in said and "hook_missing" not in said:
                said.text("return_val") if hook == "build_wheel" else said.texts("return_val")
        except InvalidDocument as exc:
            raise self.failed(
                f"{hook} gave an answer that is none: {exc.where}{exc.where and ': '}{exc.problem}"
            ) from exc

    def left(self, wheel: Path, out: str) -> Path:
        """The wheel, a file of its own in the directory that the backend was given (``out``), and nothing that a path or a link
        leads to."""
        try:
            is_named = wheel.parent == Path(os.path.abspath(self.room.out))  # noqa: PTH100  # as ``build`` spells it
            facts = facts_of(wheel) if is_named and Path(os.path.realpath(wheel)) == Path(out, wheel.name) else None
        except (OSError, ValueError):
            facts = None
        if facts is None or not stat.S_ISREG(facts.st_mode):
            raise self.failed(f"build_wheel answers {wheel.name!r:.300}, and left no file of that name where it was to")
        return wheel

    def check_requirements(self, asked: Iterable[str]) -> None:
        """What the backend asks for must be among the pinned wheels, which are all there is in the environment."""
        pinned = dict(read_wheel_name(path.name)[:2] for path in self.request.requirements)
        missing = sorted(text for text in asked for text in _unmet(text, pinned, self.request.target))
        if missing:
            raise BuildRequirementMissing(self.request.project, self.request.version, tuple(missing))

    def failed(self, problem: str) -> BuildFailed:
        self.keep_log()
        return BuildFailed(self.request.project, self.request.version, problem, str(self.log))

    def tell(self, process: int) -> None:
        """How far it is, now and then; and at once, that it compiles for GPUs that nobody asked for."""
        request = self.request
        said, self.seen = self.seen, self.seen | set(strangers(architectures(process), request.target))
        if self.seen != said:
            self.progress.say(
                f"{request.project} {request.version} is being compiled for {', '.join(strangers(self.seen, request.target))}; "
                f"the target is {request.target.gpu}: environment or patches in [build.{request.project}] limit it"
            )
        minutes = (time.monotonic() - self.begun) / 60
        lines = end_of(self.stream, 4096).decode("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "nothing yet")
        self.progress.say(f"{self.request.project}: {minutes:.1f} minutes; {self.raw} says: {last.strip()[:100]}")

    def keep_log(self) -> None:
        said = BytesIO(_ends_of(self.stream, _LOG_END_BYTES))
        with TextIOWrapper(said, "utf-8", "replace") as lines, replacing(self.log) as out:
            out.writelines(line.encode("utf-8") for line in self.room.settled(lines))


def _ends_of(log: BinaryIO, most: int) -> bytes:
    """A log, or whole lines of its beginning and its end, with a line for what is between."""
    left_out = os.fstat(log.fileno()).st_size - 2 * most
    if left_out <= 0:
        return end_of(log, 2 * most)
    head, tail = os.pread(log.fileno(), most, 0), end_of(log, most)
    head, tail = head[: head.rfind(b"\n") + 1 or None], tail[tail.find(b"\n") + 1 :]
    return b"%s\n[mirror leaves out some %d MiB of this log here]\n\n%s" % (head, (left_out >> 20) + 1, tail)


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
    if not said.is_of(request.project, request.version):
        raise InvalidSdist(
            request.sdist.name,
            f"it says it is {said.name} {said.version}; the lock pins {request.project} {request.version}",
        )


def _unmet(text: str, pinned: Mapping[Any, Version], target: Target) -> Iterable[str]:
    try:
        requirement = read_requirement(text)
    except InvalidRequirement:
        return [redacted_words(text)]
    if requirement.marker and not requirement.marker.evaluate(dict(environment(target))):
        return []
    version = pinned.get(canonicalize_name(requirement.name))
    if version is None:
        return [f"{requirement.name} (from {redacted(requirement.url)})" if requirement.url else text]
    met = requirement.specifier.contains(version, prereleases=True)
    return [] if met else [f"{text} (pinned is {version})"]


def _words(exc: build.BuildBackendException) -> str:
    cause = exc.exception
    if isinstance(cause, subprocess.CalledProcessError):
        return f"{cause.cmd[2]} ended with exit status {cause.returncode}"
    return str(exc)

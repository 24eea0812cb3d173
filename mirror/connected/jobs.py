"""``mirror build``: the builds of a stack alone, as jobs that any machine can do.

A job is one wheel, and its key is the digest of all that goes in: the same job has the same key wherever it is asked for.
``mirror.connected.building`` builds, ``mirror.connected.cluster`` hands jobs to Dask; a share of them (``--job N/M``) suits an
array of Slurm or a matrix of a CI system.

Rules: what is kept under a key is not built again; a result of another machine is taken as a download is, its digest and its
inputs checked, and judged as if it had been built here; that says nothing about whether the machine was honest, so a sample is
built again here when that is asked for, and must come out the same.

Example::

    with workbench(BuildOptions(wishes), store) as (requests, _):
        results = [build_wheel(request, store) for request in share(requests, 2, 8)]
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mirror.connected.building.builder import build_again
from mirror.connected.building.kept import MAX_RECORD_BYTES, BuiltWheel, ForeignBuild, adopt, kept_wheel
from mirror.connected.building.request import BuildRequest
from mirror.connected.building.schedule import build_requests
from mirror.connected.fetching.download import Download
from mirror.connected.fetching.fetch import fetch
from mirror.connected.fetching.store import Store, refuse_write
from mirror.connected.pins.pythonlock import PythonLock
from mirror.connected.planning.locks import Locks
from mirror.connected.planning.plan import Plan
from mirror.connected.planning.wishes import Wishes
from mirror.connected.prepare import prepare
from mirror.connected.stack.ownpins import own_pins_named
from mirror.connected.toolchain.drift import drift_named
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError, Unreadable, reading
from mirror.core.fields import strict_json
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import open_regular, write_file
from mirror.core.trust.scratch import scratch_directory


class BuildsDiffer(MirrorError):
    """A wheel was built a second time, and came out another one.

    Attributes:
        issues: what differs, a sentence each.
    """

    ref = "builds-differ"
    exit_code = FAMILIES["bundle"]
    hint = (
        "The first wheel is kept. A time, a random name or a path of the machine in it is the project's doing: set what turns "
        "it off in [build.NAME].environment, or patch it. If another machine built the first, look at that machine; with "
        "ccache on one of the two, __FILE__ is a relative path there."
    )
    message = "{project} {version}, built a second time, is another wheel: {issues:first}"

    project: str
    version: str
    issues: tuple[str, ...]


@dataclass(frozen=True)
class BuildOptions:
    """What the user asked for.

    Attributes:
        wishes: which lock, and how to plan from it.
        downloads: at once.
        python: interpreter of the target's minor version; looked for when None.
    """

    wishes: Wishes
    downloads: int = 8
    python: Path | None = None


@contextmanager
def workbench(
    options: BuildOptions, store: Store, progress: Progress = SILENT
) -> Iterator[tuple[tuple[BuildRequest, ...], Locks]]:
    """The jobs of a stack, each with all that it takes here: locked, fetched, the toolchain unpacked; and the locks.

    Raises:
        MirrorError: as ``prepare``, ``fetch`` and ``build_requests`` do.
    """
    plan, locks = prepare(replace(options.wishes, tools=PythonLock(())), store, progress)  # nothing is installed here
    needed = tuple(_needed(plan))
    drift = drift_named(locks.toolchain, options.wishes.toolchain_repo or locks.copy or None)
    with drift, own_pins_named(locks.stack, needed):
        paths = fetch(needed, store, jobs=options.downloads, progress=progress)
    with scratch_directory("mirror-sdist-") as directory:
        yield build_requests(plan, locks, paths, store, directory, options.python, progress), locks


def _needed(plan: Plan) -> Iterator[Download]:
    """The files that builds take; nothing of what a bundle only carries."""
    if plan.builds:
        yield from (part.download for part in plan.toolchain)
        yield from plan.for_builds()


def share(requests: Sequence[BuildRequest], number: int, count: int) -> tuple[BuildRequest, ...]:
    """The jobs of one of ``count`` machines, counted from 1; all machines together do each job once."""
    return tuple(request for index, request in enumerate(requests) if index % count == number - 1)


def verify(
    built: Sequence[BuildRequest], count: int, store: Store, progress: Progress = SILENT
) -> tuple[BuildRequest, ...]:
    """Build a sample a second time, here. Which ones, nobody can know before.

    Returns:
        The ones that were built again and came out the same.

    Raises:
        BuildsDiffer: one did not.
        MirrorError: as ``build_again`` does.
    """
    sample = random.SystemRandom().sample(list(built), min(count, len(built)))
    for request in sample:
        differing = build_again(request, store, progress)
        if differing:
            raise BuildsDiffer(request.project, request.version, differing)
    return tuple(sample)


def hand_over(built: BuiltWheel, request: BuildRequest, directory: Path) -> Path:
    """Write a result where another machine can take it: ``directory/KEY/`` with the wheel, build.log and build.json.

    Raises:
        Unwritable, NoSpace: the directory refuses.
    """
    place = directory / request.key
    try:
        place.mkdir(parents=True, exist_ok=True)
        for path in (built.path, built.log, built.path.with_name("build.json")):  # the record last: it makes it whole
            write_file(place / path.name, path.read_bytes())
    except OSError as exc:
        refuse_write(exc, place, built.path.stat().st_size)
    return place


def take(requests: Sequence[BuildRequest], directories: Sequence[Path], store: Store) -> tuple[BuiltWheel, ...]:
    """Take what other machines handed over for these jobs; what is here already is left as it is.

    Raises:
        ForeignBuild, BuiltWheelUnfit: a result is not what its key says.
        Unreadable: a directory, or what is in it, cannot be read.
    """
    for directory in directories:
        if not directory.is_dir():
            raise Unreadable(str(directory), "no such directory")
    taken = []
    for request in requests:
        place = next((one for each in directories if ((one := each / request.key) / "build.json").is_file()), None)
        if place is not None and kept_wheel(request, store) is None:
            taken.append(_taken(request, place, store))
    return tuple(taken)


def _taken(request: BuildRequest, place: Path, store: Store) -> BuiltWheel:
    with reading(place, below=True):
        try:
            with open_regular(place / "build.json") as stream:
                record = strict_json(stream.read(MAX_RECORD_BYTES + 1), "build.json", MAX_RECORD_BYTES)
        except InvalidDocument as exc:
            raise ForeignBuild(str(place), f"its build.json cannot be read: {exc.problem}") from exc
        name = record.get("wheel") if isinstance(record, dict) else None
        if not isinstance(name, str) or name != Path(name).name:
            raise ForeignBuild(str(place), "its build.json names no wheel")
        with open_regular(place / name) as wheel, open_regular(place / "build.log") as log:
            return adopt(request, store, name, wheel.read(), log.read(), record)

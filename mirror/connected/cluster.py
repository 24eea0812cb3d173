"""Builds on many machines, by Dask Distributed: ``mirror build NAME --scheduler tcp://HOST:8786``.

A worker gets the lock files and the key of one job, and does what ``mirror build`` does: it locks nothing, fetches what the
lock names by digest, builds, and gives the wheel, its log and its record. ``mirror.connected.building.kept.adopt`` checks
them here.

Rules: a job that a worker lost, because the worker died, goes to another one; a build that failed is not tried again, for it
would fail again; every result is kept as soon as it is here, so that a second run asks only for what is missing; jobs that ask
for a resource (``--resource build=1``) go to workers that have it.

Example::

    for request, built in build_on("tcp://127.0.0.1:8786", requests, locks, options, store): ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mirror.connected.building.builder import build_wheel
from mirror.connected.building.kept import BuiltWheel, adopt, kept_wheel
from mirror.connected.building.request import BuildRequest
from mirror.connected.fetching.store import Store
from mirror.connected.jobs import BuildOptions, workbench
from mirror.connected.planning.locks import Locks, patch_name
from mirror.core.errors import FAMILIES, MirrorError, reading
from mirror.core.progress import SILENT, Progress
from mirror.core.trust.scratch import scratch_directory

_DEEP = Path("a/b/c/d/lockfiles")
"""So that a path of NAME.toml may climb a little."""


class NoCluster(MirrorError):
    """Jobs cannot be handed to Dask."""

    ref = "no-cluster"
    exit_code = FAMILIES["bundle"]
    hint = (
        "pip install 'mirror[cluster]' here and on every worker; start 'dask scheduler' and, on each machine, 'dask worker "
        "ADDRESS --nthreads 1'. Without Dask: mirror build NAME --job N/M -o DIR on each machine, then --take DIR here."
    )
    message = "no builds on a cluster: {problem}"

    problem: str


class JobFailed(MirrorError):
    """A job failed on a worker; what others built is kept."""

    ref = "job-failed"
    exit_code = FAMILIES["bundle"]
    hint = "What was built is kept, and the same command asks for the rest. 'mirror build NAME' alone builds it here."
    message = "{project} {version} was not built on the cluster: {problem}"

    project: str
    version: str
    problem: str


@dataclass(frozen=True)
class Parcel:
    """What a worker needs of a job; the files that it names are fetched there.

    Attributes:
        lock: name of the lock file among ``files``.
        files: lock files, patches and local archives, by their path beside the lock.
        options: how to plan, without any path of this machine.
    """

    key: str
    project: str
    lock: str
    files: Mapping[str, bytes]
    options: BuildOptions


@dataclass(frozen=True)
class Returned:
    """What a worker gives back.

    Attributes:
        name: the wheel's file name; empty when it was not built.
        record: from what it was built.
        problem: why it was not.
    """

    name: str = ""
    wheel: bytes = b""
    log: bytes = b""
    record: Mapping[str, Any] | None = None
    problem: str = ""


def build_on(
    scheduler: str,
    requests: Sequence[BuildRequest],
    locks: Locks,
    options: BuildOptions,
    store: Store,
    resources: Mapping[str, float] | None = None,
    progress: Progress = SILENT,
) -> Iterator[tuple[BuildRequest, BuiltWheel]]:
    """Have a cluster build what is not here, and keep each result as it comes.

    Raises:
        NoCluster: Dask is not installed, or the scheduler does not answer.
        JobFailed: after all others have ended; the first failure is told.
        ForeignBuild, BuiltWheelUnfit: what came is not what was asked for.
    """
    missing = [request for request in requests if kept_wheel(request, store) is None]
    if not missing:
        return
    files = _files(locks)
    failed: JobFailed | None = None
    with _client(scheduler) as (client, as_completed):
        waiting = {}
        for request in missing:
            parcel = Parcel(request.key, request.project, locks.path.name, files, _portable(options))
            # Not pure: a result that the scheduler remembers is no proof that the bytes are still there.
            future = client.submit(
                do_job, parcel, key=f"mirror-{request.key}", resources=resources, retries=2, pure=False
            )
            waiting[future] = request
            progress.say(f"handed to {scheduler}: {request.project} {request.version} ({request.key[:12]})")
        for future in as_completed(waiting, loop=client.loop):
            request = waiting[future]
            returned = _result(future)
            if returned.record is None:
                failed = failed or JobFailed(request.project, request.version, returned.problem)
                progress.say(f"failed: {request.project} {request.version}: {returned.problem}")
                continue
            built = adopt(request, store, returned.name, returned.wheel, returned.log, returned.record)
            progress.say(f"built on the cluster: {built.path.name}")
            yield request, built
    if failed:
        raise failed


def do_job(parcel: Parcel) -> Returned:
    """On a worker: build one job. An error of ours is given as words, for the worker's log paths mean nothing elsewhere."""
    with scratch_directory("mirror-job-") as place:
        directory = place / _DEEP
        for name, data in parcel.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        wishes = replace(parcel.options.wishes, lock=directory / parcel.lock, locked=True)
        store = Store.default()
        try:
            with workbench(replace(parcel.options, wishes=wishes), store) as (requests, _):
                request = next((one for one in requests if one.key == parcel.key), None)
                if request is None:
                    return Returned(problem=_other_inputs(parcel, requests))
                built = build_wheel(request, store)
                return Returned(built.path.name, built.path.read_bytes(), built.log.read_bytes(), built.record)
        except MirrorError as exc:
            return Returned(problem="\n".join(filter(None, [str(exc), exc.context()]))[-4000:])


def _other_inputs(parcel: Parcel, requests: Sequence[BuildRequest]) -> str:
    """Why a worker has no job of that key."""
    mine = next((one.describe() for one in requests if one.project == parcel.project), None)
    if mine is None:
        return "the worker's plan has no such build"
    return f"the worker has other inputs: Python {mine['python']}, {mine['machine']}, toolkit {mine['toolkit'][:12] or 'none'}"


def _files(locks: Locks) -> dict[str, bytes]:
    """All that lies beside the lock and that a worker cannot fetch."""
    files = dict(locks.files)
    for project, settings in locks.stack.settings.items() if locks.stack else ():
        for written, _ in settings.patches:
            files[written] = files.pop(patch_name(project, written))
        for archive in (one for one in settings.archives() if one.source != one.url):
            path = locks.path.parent / archive.source
            with reading(path):
                files[archive.source] = path.read_bytes()
    return files


def _portable(options: BuildOptions) -> BuildOptions:
    return replace(options, python=None, wishes=replace(options.wishes, lock=Path(options.wishes.lock.name)))


def _result(future: Any) -> Returned:
    """What came of a job. Whatever Dask raises ends here: a worker killed too often, a library missing there."""
    try:
        returned = future.result()
    except Exception as exc:  # noqa: BLE001  # Dask raises what the worker raised, of any kind
        return Returned(problem=f"{type(exc).__name__}: {exc}"[:1000])
    return returned if isinstance(returned, Returned) else Returned(problem="the worker gave something else back")


@contextmanager
def _client(scheduler: str) -> Iterator[tuple[Any, Any]]:
    try:
        import distributed
    except ImportError as exc:
        raise NoCluster("Dask Distributed is not installed") from exc
    connect: Any = distributed.Client
    try:
        client = connect(scheduler, timeout="15s", set_as_default=False)
    except (OSError, ValueError) as exc:  # its TimeoutError is an OSError
        raise NoCluster(f"the scheduler {scheduler} does not answer ({exc})") from exc
    try:
        yield client, distributed.as_completed
    finally:
        client.close()

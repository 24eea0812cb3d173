"""Planning: from lock files to a plan, locking first what is not locked yet.

1. The locks, complete (``mirror.connected.planning.wishes``).
2. The one file of each pin, and how large it is (``mirror.connected.planning.pinned_files``).
3. What every bundle carries besides: uv and pip, the RPMs and a zstd decompressor for them, or component archives, the
   interpreter, and the probe when there is a toolchain.

Rules: nothing is fetched or built here; equal locks give equal plans.

Example::

    plan, locks = prepare(Wishes(Path("lockfiles/h100.txt")), store, progress)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mirror.connected.fetching.download import Download, redacted
from mirror.connected.fetching.store import Store
from mirror.connected.index.defaultindex import with_default_index
from mirror.connected.pins.requirements import PythonLock, parse_lock
from mirror.connected.planning.locks import Locks
from mirror.connected.planning.pinned_files import find_files
from mirror.connected.planning.plan import Build, Part, Plan, UnusableName
from mirror.connected.planning.wishes import Wishes, complete_locks
from mirror.connected.probe.sdist import probe_version
from mirror.connected.stack.file import Stack
from mirror.core.kinds import INTERPRETER, REDIST, RPM, TOOL
from mirror.core.names import ProjectName, project_name
from mirror.core.progress import SILENT, Progress

_FOR_RPMS = frozenset({"backports-zstd"})
"""Tools that only RPMs need: their payloads may be compressed with zstd, which Python reads from 3.14 on."""


def prepare(wishes: Wishes, store: Store, progress: Progress = SILENT) -> tuple[Plan, Locks]:
    """Make the plan, locking what is missing.

    Raises:
        NotLocked: when something is missing and must not be locked.
        MirrorError: as ``read_locks``, ``lock`` and ``resolve_files`` do.
    """
    locks = complete_locks(wishes, store, progress)
    return make_plan(locks, wishes, store, progress), locks


def make_plan(locks: Locks, wishes: Wishes, store: Store, progress: Progress = SILENT) -> Plan:
    """Plan a bundle from complete locks. Raises as ``resolve_files``, and UnusableName for the interpreter's file."""
    without: set[str] = {canonicalize_name(name) for name in wishes.without}  # what is no name leaves nothing out
    stack, index_notes = with_default_index(locks.stack or _stack_of(locks), wishes.index_url)
    sequence, note = locks.sequence(wishes.epoch)
    python = replace(locks.python, pins=tuple(pin for pin in locks.python.pins if pin.name not in without))
    chosen = find_files(python, stack, store, progress, source=str(locks.path))
    built = [part for part in chosen if stack.is_built(project_name(part.name))]
    builds = [
        Build(project_name(p.name), p.version, p.download, stack.settings_of(project_name(p.name)).environment)
        for p in built
    ]
    rpms, archives = _rpms(locks, wishes), _archives(locks, wishes)
    if rpms or archives:
        builds.append(Build(ProjectName("mirror-probe"), probe_version(), None))
    build = f"{locks.name}.build.txt"
    needed = (
        find_files(locks.build, replace(stack, build=()), store, progress, source=build)
        if built and locks.build
        else ()
    )
    shared = {name: url for name, url in stack.indexes.items() if name == "default"}
    carried = Stack("tools", locks.target, (), indexes=shared)
    tools = find_files(_needed(wishes.tools or _tools(), bool(rpms)), carried, store, progress, TOOL, "tools.txt")
    return Plan(
        name=locks.name,
        sequence=sequence,
        target=locks.target,
        parts=(*(part for part in chosen if part not in built), *tools, *rpms, *archives, *_interpreter(stack)),
        builds=tuple(builds),
        build_requirements=tuple(part.download for part in needed),
        imports=stack.imports,
        notes=tuple(dict.fromkeys((*_notes(locks, wishes, note), *index_notes))),
    )


def _stack_of(locks: Locks) -> Stack:
    """The wishes that a lock made elsewhere amounts to: exactly its pins, from the default index."""
    pins = tuple(Requirement(f"{pin.name}=={pin.version}") for pin in locks.python.pins)
    return Stack(locks.name, locks.target, pins)


def _tools() -> PythonLock:
    return parse_lock((files("mirror.connected") / "tools.txt").read_bytes(), "tools.txt")


def _needed(tools: PythonLock, with_rpms: bool) -> PythonLock:
    """What is carried besides: without RPMs, nothing that only unpacks them."""
    return tools if with_rpms else replace(tools, pins=tuple(pin for pin in tools.pins if pin.name not in _FOR_RPMS))


def _notes(locks: Locks, wishes: Wishes, sequence_note: str) -> Iterable[str]:
    if sequence_note:
        yield sequence_note
    if locks.stack and locks.python.stack not in ("", locks.stack.digest):
        yield (
            f"{locks.name}.toml has changed since it was locked: run 'mirror lock' first, or a host that has the bundle of "
            "before refuses this one"
        )
    yield from locks.python.left_out
    yield from locks.news
    for line in locks.python.unpinned:
        yield f"goes without {line}"
    for pin in locks.python.pins:
        if str(pin.name) in {str(canonicalize_name(name)) for name in wishes.without}:
            yield f"goes without {pin.name}, which {locks.path.name} pins (--without)"
    if locks.stack and (locks.stack.rpms or locks.stack.redist) and wishes.goes_without_rpms:
        yield "carries no CUDA toolchain (--without rpms)"
    if locks.rpms and not locks.index and not wishes.goes_without_rpms:
        yield f"{locks.name}.files.txt is not there ('mirror lock' writes it): 'mirror which' will know the bundle's RPMs only"
    if locks.stack is None:
        whose = f"the one that {wishes.target.name} says" if wishes.target else "this machine's platform"
        yield f"{locks.path.name} has no NAME.toml beside it: the bundle is for {whose} ({locks.target})"


def _rpms(locks: Locks, wishes: Wishes) -> tuple[Part, ...]:
    if locks.rpms is None or wishes.goes_without_rpms:
        return ()
    downloads, sources = locks.rpms.downloads(wishes.rpm_repo or locks.copy or None), locks.rpms.downloads(None)
    return tuple(
        Part(RPM, pin.name, f"{pin.version}-{pin.release}", item, pin.installed_size, pin.nevra, source.shown_url)
        for pin, item, source in zip(locks.rpms.pins, downloads, sources, strict=True)
    )


def _archives(locks: Locks, wishes: Wishes) -> tuple[Part, ...]:
    if locks.redist is None or wishes.goes_without_rpms:
        return ()
    downloads, sources = locks.redist.downloads(wishes.rpm_repo or locks.copy or None), locks.redist.downloads(None)
    return tuple(
        Part(REDIST, pin.name, pin.version, item, source=source.shown_url)
        for pin, item, source in zip(locks.redist.pins, downloads, sources, strict=True)
    )


def _interpreter(stack: Stack) -> tuple[Part, ...]:
    pin = stack.interpreter
    if pin is None:
        return ()
    filename = unquote(urlsplit(pin.url).path.rpartition("/")[2])  # a build's "+" travels as %2B
    try:
        download = Download(pin.url, filename, pin.sha256)
    except ValueError as exc:
        raise UnusableName(redacted(pin.url), str(exc)) from exc
    return (Part(INTERPRETER, "python", stack.target.python, download),)

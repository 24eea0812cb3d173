"""Planning: from lock files to a plan, locking first what is not locked yet.

1. The locks, complete (``mirror.connected.planning.wishes``).
2. The one file of each pin, and how large it is (``mirror.connected.planning.pinned_files``).
3. What each kind of artifact brings to a bundle (``mirror.connected.kinds``), and the probe when there is a toolchain.
4. Without the optional files that cannot be reached (``mirror.connected.planning.reach``).

Rules: nothing is fetched or built here; equal locks give equal plans, as far as what is optional can be reached.

Example::

    plan, locks = prepare(Wishes(Path("lockfiles/h100.txt")), store, progress)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from packaging.utils import canonicalize_name

from mirror.connected.fetching.store import Store
from mirror.connected.index.defaultindex import with_default_index
from mirror.connected.kinds import FACETS
from mirror.connected.kinds.facet import Wanted
from mirror.connected.pins.standards import read_requirement
from mirror.connected.planning.locks import Locks, stack_path
from mirror.connected.planning.plan import Build, Plan
from mirror.connected.planning.reach import within_reach
from mirror.connected.planning.wishes import Wishes, complete_locks
from mirror.connected.probe.sdist import probe_version
from mirror.connected.stack.host import check_host
from mirror.connected.stack.stack import Stack
from mirror.core.errors import InvalidDocument
from mirror.core.names import ProjectName
from mirror.core.progress import SILENT, Progress
from mirror.core.stackfiles import is_written
from mirror.core.target import Target


def prepare(wishes: Wishes, store: Store, progress: Progress = SILENT) -> tuple[Plan, Locks]:
    """Make the plan, locking what is missing.

    Raises:
        NotLocked: when something is missing and must not be locked. HostUnfit: when it is not for the host that is named.
        MirrorError: as ``read_locks``, ``lock`` and ``resolve_files`` do.
    """
    wished = stack_path(wishes.lock)
    stack = Stack.load(wished) if wishes.host and is_written(wished) and wished != wishes.lock else None
    told = _held_against_host(wishes, stack, stack.name, stack.target) if stack else ()  # before the long work
    locks = complete_locks(wishes, store, progress)
    told = told or _held_against_host(wishes, locks.stack, locks.name, locks.target)
    plan = make_plan(locks, wishes, store, progress)
    has_python = any(part.kind.is_python for part in plan.parts)
    if locks.stack and locks.stack.carries_python and not has_python:  # it is optional, and left out
        told = _held_against_host(wishes, None, locks.name, locks.target)
    return replace(plan, notes=(*plan.notes, *told)), locks


def _held_against_host(wishes: Wishes, stack: Stack | None, name: str, target: Target) -> tuple[str, ...]:
    """What is to be told of the host that the bundle is for, where one is named. Raises as ``check_host``."""
    carries_python = stack is not None and stack.carries_python
    return check_host(name, target, wishes.host, carries_python) if wishes.host else ()


def make_plan(locks: Locks, wishes: Wishes, store: Store, progress: Progress = SILENT) -> Plan:
    """Plan a bundle from complete locks. Raises as the kinds do."""
    stack, index_notes = with_default_index(locks.stack or _stack_of(locks), wishes.index_url)
    sequence, note = locks.sequence(wishes.epoch)
    wanted = Wanted(locks, stack, wishes, store, progress)
    planned = [facet.plan(wanted) for facet in FACETS]
    parts = tuple(part for one in planned for part in one.parts)
    builds = [build for one in planned for build in one.builds]
    if any(part.kind.is_toolchain for part in parts):
        builds.append(Build(ProjectName("mirror-probe"), probe_version(), None))
    plan = Plan(
        name=locks.name,
        sequence=sequence,
        target=locks.target,
        parts=parts,
        builds=tuple(builds),
        build_requirements=tuple(item for one in planned for item in one.needed),
        imports=stack.imports,
        environment=tuple(sorted(_variables(pair for one in planned for pair in one.environment).items())),
        notes=tuple(dict.fromkeys(_notes(locks, wishes, note))),
        remarks=tuple(dict.fromkeys((*locks.news, *index_notes))),
    )
    return within_reach(plan, store)


def _variables(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each variable with the path below the generation that it names; two wishes may ask for the same.

    Raises:
        InvalidDocument: when one variable would have two values.
    """
    values: dict[str, str] = {}
    for variable, path in pairs:
        if values.setdefault(variable, path) != path:
            raise InvalidDocument("NAME.toml", variable, f"the variable would name both {values[variable]} and {path}")
    return values


def _stack_of(locks: Locks) -> Stack:
    """The wishes that a lock made elsewhere amounts to: exactly its pins, from the default index."""
    pins = tuple(read_requirement(f"{pin.name}=={pin.version}") for pin in locks.python.pins)
    return Stack(locks.name, locks.target, pins)


def _notes(locks: Locks, wishes: Wishes, sequence_note: str) -> Iterable[str]:
    if sequence_note:
        yield sequence_note
    if locks.stack and locks.is_reworded:
        yield (
            f"{locks.stack.file} has changed since it was locked: run 'mirror lock' first, or a host that has the bundle of "
            "before refuses this one"
        )
    yield from locks.python.left_out
    for line in locks.python.unpinned:
        yield f"goes without {line}"
    for pin in locks.python.pins:
        if str(pin.name) in {str(canonicalize_name(name)) for name in wishes.without}:
            yield f"goes without {pin.name}, which {locks.path.name} pins (--without)"
    if locks.stack and locks.stack.toolchain and wishes.goes_without_toolchain:
        yield "carries no CUDA toolchain (--without toolchain)"
    if locks.toolchain and locks.toolchain.LISTS_FILES and not locks.index and not wishes.goes_without_toolchain:
        yield f"{locks.index_name} is not there ('mirror lock' writes it): 'mirror which' will know the bundle's RPMs only"
    if locks.stack is None:
        whose = f"the one that {wishes.target.name} says" if wishes.target else "this machine's platform"
        yield f"{locks.path.name} has no NAME.toml beside it: the bundle is for {whose} ({locks.target})"

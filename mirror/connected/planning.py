"""Planning: from lock files to a plan, locking first what is not locked yet.

1. Read the locks; lock what is missing, unless the user said ``--locked``.
2. Find the one file of each pin on its index, and how large it is.
3. Add what every bundle carries: uv and pip, the RPMs, the interpreter, and the probe when there is a toolchain.

Rules: what was found for a lock is remembered by the lock's bytes, so a second run asks no index; nothing is fetched here.

Example::

    plan, locks = prepare(Wishes(Path("lockfiles/h100.txt")), store, progress)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import Requirement

from mirror.connected.choice import resolve_files
from mirror.connected.download import Download
from mirror.connected.fetch import new_session
from mirror.connected.index import Index
from mirror.connected.lock import LockOptions, lock
from mirror.connected.locks import Locks, read_locks, stack_path
from mirror.connected.plan import Build, Part, Plan
from mirror.connected.probe import probe_version
from mirror.connected.requirements import PythonLock, parse_lock
from mirror.connected.stack import Stack
from mirror.connected.store import Store
from mirror.connected.transport import content_size
from mirror.core.durable import write_file
from mirror.core.errors import InvalidDocument, MirrorError
from mirror.core.fields import Fields, canonical_json, strict_json
from mirror.core.names import ProjectName, project_name, sha256_hex
from mirror.core.progress import SILENT, Progress

_JOBS = 16
_MAX_FOUND_BYTES = 16 << 20


@dataclass(frozen=True)
class Wishes:
    """Which bundle is wanted.

    Attributes:
        lock: ``NAME.txt``, another tool's lock with hashes, or a ``pylock.toml``.
        locked: lock nothing; a missing lock is an error.
        rpm_repo: URL or directory of a copy of the RPM repository; None for the repository itself.
        without: ``"rpms"``, and names of optional requirements.
        epoch: ``SOURCE_DATE_EPOCH``, the sequence number of a lock that holds no time of locking.
        index_url: the index that stands in for the default one; None for what ``NAME.toml`` says.
        rpm_fingerprints: of the keys that sign ``rpm_repo``, when those are not the ones that ``NAME.toml`` pins.
        tools: what every bundle carries besides its stack; mirror's own pins when None.
    """

    lock: Path
    locked: bool = False
    rpm_repo: str | None = None
    without: frozenset[str] = frozenset()
    epoch: str | None = None
    index_url: str | None = None
    rpm_fingerprints: tuple[str, ...] = ()
    tools: PythonLock | None = None


class NotLocked(MirrorError):
    """A lock file is missing and ``--locked`` forbids to make it.

    Attributes:
        missing: file names.
    """

    ref = "not-locked"
    exit_code = 20
    hint = "Run mirror lock NAME.toml, commit what it writes, and bundle again; or leave --locked out."

    def __init__(self, directory: str, missing: tuple[str, ...]) -> None:
        super().__init__(directory, missing)
        self.directory, self.missing = directory, missing

    def __str__(self) -> str:
        return f"{self.directory} has no {' and no '.join(self.missing)}, and --locked allows no locking"


def prepare(wishes: Wishes, store: Store, progress: Progress = SILENT) -> tuple[Plan, Locks]:
    """Make the plan, locking what is missing.

    Raises:
        NotLocked: when something is missing and must not be locked.
        MirrorError: as ``read_locks``, ``lock`` and ``resolve_files`` do.
    """
    locks = _complete(wishes, store, progress)
    return make_plan(locks, wishes, store, progress), locks


def _complete(wishes: Wishes, store: Store, progress: Progress) -> Locks:
    """The locks, after locking what was missing."""
    wanted = stack_path(wishes.lock)
    parts = set()
    if not wishes.lock.exists() and wanted.is_file():
        missing: tuple[str, ...] = (wishes.lock.name,)
        parts = {"python", "build"} | ({"rpms"} - wishes.without)
    else:
        locks = read_locks(wishes.lock, wishes.rpm_fingerprints)
        missing = tuple(name for name in locks.missing() if not (name.endswith(".rpms.toml") and _no_rpms(wishes)))
        parts = {"build" if name.endswith(".build.txt") else "rpms" for name in missing}
        if not missing:
            return locks
    if wishes.locked:
        raise NotLocked(str(wishes.lock.parent), missing)
    progress.say(f"not locked yet: {', '.join(missing)}; locking now")
    options = LockOptions(
        rpm_repo=wishes.rpm_repo,
        rpm_fingerprints=wishes.rpm_fingerprints,
        without=wishes.without,
        parts=frozenset(parts),
    )
    lock(wanted, options, store, progress)
    return read_locks(wishes.lock, wishes.rpm_fingerprints)


def _no_rpms(wishes: Wishes) -> bool:
    return "rpms" in wishes.without


def make_plan(locks: Locks, wishes: Wishes, store: Store, progress: Progress = SILENT) -> Plan:
    """Plan a bundle from complete locks. Raises as ``resolve_files``."""
    without = {project_name(name) for name in wishes.without}
    stack = locks.stack or _stack_of(locks)
    if wishes.index_url:
        stack = replace(stack, indexes={**stack.indexes, "default": wishes.index_url})
    sequence, note = locks.sequence(wishes.epoch)
    python = replace(locks.python, pins=tuple(pin for pin in locks.python.pins if pin.name not in without))
    chosen = _find(python, stack, store, progress)
    built = [part for part in chosen if stack.is_built(project_name(part.name))]
    builds = [
        Build(project_name(p.name), p.version, p.download, stack.settings_of(project_name(p.name)).environment)
        for p in built
    ]
    rpms = _rpms(locks, wishes)
    if rpms:
        builds.append(Build(ProjectName("mirror-probe"), probe_version(), None))
    needed = _find(locks.build, replace(stack, build=()), store, progress) if built and locks.build else ()
    shared = {name: url for name, url in stack.indexes.items() if name == "default"}
    tools = _find(wishes.tools or _tools(), Stack("tools", locks.target, (), indexes=shared), store, progress, "tool")
    return Plan(
        name=locks.name,
        sequence=sequence,
        target=locks.target,
        parts=(*(part for part in chosen if part not in built), *tools, *rpms, *_interpreter(stack)),
        builds=tuple(builds),
        build_requirements=tuple(part.download for part in needed),
        imports=stack.imports,
        notes=tuple(_notes(locks, wishes, note)),
    )


def _stack_of(locks: Locks) -> Stack:
    """The wishes that a lock made elsewhere amounts to: exactly its pins, from the default index."""
    pins = tuple(Requirement(f"{pin.name}=={pin.version}") for pin in locks.python.pins)
    return Stack(locks.name, locks.target, pins)


def _tools() -> PythonLock:
    return parse_lock((files("mirror.connected") / "tools.txt").read_bytes(), "tools.txt")


def _notes(locks: Locks, wishes: Wishes, sequence_note: str) -> Iterable[str]:
    if sequence_note:
        yield sequence_note
    for line in locks.python.unpinned:
        yield f"goes without {line}"
    if locks.stack and locks.stack.rpms and _no_rpms(wishes):
        yield "carries no CUDA toolchain (--without rpms)"
    if locks.stack is None:
        yield f"{locks.path.name} has no NAME.toml beside it: the bundle is for this machine's platform ({locks.target})"


def _rpms(locks: Locks, wishes: Wishes) -> tuple[Part, ...]:
    if locks.rpms is None or _no_rpms(wishes):
        return ()
    downloads, sources = locks.rpms.downloads(wishes.rpm_repo), locks.rpms.downloads(None)
    return tuple(
        Part("rpms", pin.name, f"{pin.version}-{pin.release}", item, pin.installed_size, pin.nevra, source.shown_url)
        for pin, item, source in zip(locks.rpms.pins, downloads, sources, strict=True)
    )


def _interpreter(stack: Stack) -> tuple[Part, ...]:
    pin = stack.interpreter
    if pin is None:
        return ()
    filename = urlsplit(pin.url).path.rpartition("/")[2]
    return (Part("python", "python", stack.target.python, Download(pin.url, filename, pin.sha256)),)


def _find(
    lock: PythonLock, stack: Stack, store: Store, progress: Progress, directory: str = "wheels"
) -> tuple[Part, ...]:
    """The file of each pin, from memory or from its index."""
    question = [lock.encode("").decode(), stack.target.to_dict(), sorted(stack.build), dict(stack.indexes)]
    key = hashlib.sha256(json.dumps([question, dict(stack.index_names)], sort_keys=True).encode()).hexdigest()
    memory = store.root / "found" / f"{key}.json"
    try:
        return _recall(memory.read_bytes(), directory)
    except (FileNotFoundError, InvalidDocument):
        pass  # never asked, or written by another version: ask the index
    with Index.of(stack) as index:
        found = resolve_files(lock, stack, index, progress)
    parts = tuple(
        Part(directory, item.pin.name, item.pin.version, Download(f.url, f.filename, f.sha256, f.size))
        for item in found
        for f in [item.file]
    )
    parts = _measured(parts, store, progress)
    if not any("@" in urlsplit(part.download.url).netloc for part in parts):  # credentials are never written down
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_file(memory, _remember(parts))
    return parts


def _remember(parts: Sequence[Part]) -> bytes:
    lines = [{"name": p.name, "version": p.version, **vars(p.download), "size": p.download.size or 0} for p in parts]
    return canonical_json({"parts": lines})


def _recall(data: bytes, directory: str) -> tuple[Part, ...]:
    fields = Fields(strict_json(data, "found files", _MAX_FOUND_BYTES), "found files")
    parts = []
    for line in fields.tables("parts"):
        size = line.number("size")
        download = Download(line.text("url"), line.text("filename"), line.checked("sha256", sha256_hex), size or None)
        parts.append(Part(directory, line.text("name"), line.text("version"), download))
        line.end()
    fields.end()
    return tuple(parts)


def _measured(parts: tuple[Part, ...], store: Store, progress: Progress) -> tuple[Part, ...]:
    """Fill in the sizes that an index did not tell, by HEAD requests for the files that are not here."""

    def measure(part: Part) -> Part:
        download = part.download
        if download.size is None and store.find(download.sha256, download.filename) is None:
            part = replace(part, download=replace(download, size=content_size(session, download.url)))
        advance(1)
        return part

    with (
        new_session(_JOBS) as session,
        progress.task("sizes", len(parts), "files") as advance,
        ThreadPoolExecutor(_JOBS) as pool,
    ):
        return tuple(pool.map(measure, parts))

"""One file for each pin: the wheel that the target takes, or the sdist of what is built from source.

Versions come from ``mirror.connected.resolving.resolver`` (while locking) or from a lock; what files there are comes from
``mirror.connected.index.pages``.

Rules: a digest in a lock decides, never the page (SECURITY.md T13); a file that its maker withdrew is not locked unless the
stack pins exactly that version (SECURITY.md 43), but one that a lock names is taken, so that a lock means the same later; every
fault of a lock is reported at once.

Example::

    with Index.of(stack) as index:
        for project, file in resolve_files(lock, stack, index).items():
            file.url
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from mirror.connected.fetching.download import Download
from mirror.connected.index.found import FoundFile
from mirror.connected.index.indexfile import IndexFile
from mirror.connected.index.pages import Index
from mirror.connected.index.wheels import Miss, NoWheelForTarget, best_wheel, explain
from mirror.connected.pins.markers import environment
from mirror.connected.pins.requirements import InvalidLock, Pin, PythonLock
from mirror.connected.pins.standards import read_version
from mirror.connected.stack.stack import Stack
from mirror.core.errors import MirrorError
from mirror.core.names import ProjectName
from mirror.core.progress import SILENT, Progress


class HashNotOnIndex(MirrorError):
    """A lock's digests are of no file that the index offers.

    Attributes:
        issues: one sentence for each such pin, with the index's host and the first digest.
    """

    ref = "hash-not-on-index"
    exit_code = 56
    hint = (
        "The file was replaced or removed upstream: lock again and compare. Or the lock is for another index: name it with "
        "--index-url, or in [indexes] and [python.index] of a NAME.toml beside the lock."
    )
    message = "{issues[0]}"

    issues: tuple[str, ...]

    def context(self) -> str:
        return "\n".join(self.issues) if len(self.issues) > 1 else ""


class Withdrawn(MirrorError):
    """A version was withdrawn ("yanked") by its makers, and the stack does not ask for exactly it.

    Attributes:
        issues: one sentence for each such pin, with the makers' reason.
    """

    ref = "withdrawn"
    exit_code = 57
    hint = (
        "Pin another version; to take a withdrawn one all the same, state it in [python].requirements as NAME==VERSION."
    )
    message = "{issues[0]}"

    issues: tuple[str, ...]

    def context(self) -> str:
        return "\n".join(self.issues) if len(self.issues) > 1 else ""


def choose(stack: Stack, project: ProjectName, version: str, files: Sequence[IndexFile]) -> IndexFile | Miss:
    """The file of a version that the target takes, or why there is none. ``files`` are all of that version."""
    if stack.is_built(project):
        sdists = [file for file in files if file.kind == "sdist"]
        return sdists[0] if sdists else Miss(project, version, "has no sdist", "builds it from its sdist")
    return best_wheel(files, stack.target) or explain(project, version, files, stack.target)


def in_time(files: Iterable[IndexFile], stack: Stack) -> list[IndexFile]:
    """Those that were uploaded before the stack's cutoff, all of them without one; what has no date came too late."""
    if stack.cutoff is None:
        return list(files)
    until = stack.cutoff.timestamp()
    return [file for file in files if file.upload_time is not None and file.upload_time < until]


def choose_versions(
    versions: Iterable[tuple[ProjectName, str]], stack: Stack, index: Index, progress: Progress = SILENT
) -> dict[ProjectName, IndexFile]:
    """Choose a file for each resolved version; nothing uploaded after the stack's cutoff is seen of an index.

    Raises:
        NoWheelForTarget, Withdrawn: with every such version. And as ``Index.versions``.
    """
    wanted = list(versions)
    index.prefetch(wanted, progress)
    found: dict[ProjectName, IndexFile | Miss] = {}
    for project, version in wanted:
        files = index.files(project, version)
        timely = files if stack.archive_of(project) else in_time(files, stack)
        if files and not timely and stack.cutoff:
            wanted_of_it = f"has [python].cutoff {stack.cutoff:%Y-%m-%d}, and a page of links gives no dates"
            found[project] = Miss(project, version, "has no file that its index dates before the cutoff", wanted_of_it)
        else:
            found[project] = choose(stack, project, version, timely)
    chosen = files_only(found, stack.name)
    _refuse_withdrawn(chosen, stack)
    return {project: index.hashed(file, progress) for project, file in chosen.items()}


def target_pins(lock: PythonLock, stack: Stack, source: str) -> tuple[Pin, ...]:
    """The pins of a lock that are for the target, of each project one.

    Raises:
        InvalidLock: the lock is not for this target, or two pins of one project are; ``source`` names it.
    """
    pins = lock.within(environment(stack.target), source).pins
    names = [pin.name for pin in pins]
    if len(set(names)) != len(names):
        twice = min(name for name in names if names.count(name) > 1)
        raise InvalidLock(source, (f"{twice} is pinned twice for {stack.target}",))
    return pins


def found_file(file: IndexFile) -> FoundFile:
    """What is remembered of a file that was chosen."""
    return FoundFile(Download(file.url, file.filename, file.sha256, size_hint=file.size), file.upload_time or 0)


def resolve_files(
    lock: PythonLock, stack: Stack, index: Index, progress: Progress = SILENT, *, source: str = "the lock"
) -> dict[ProjectName, IndexFile]:
    """Find the one file of every pin of a lock, by the lock's digests. Pins whose marker excludes the target are left out.

    Args:
        source: the lock's path, for errors.

    Raises:
        InvalidLock: as ``target_pins``.
        HashNotOnIndex, NoWheelForTarget: with every such pin. And as ``Index.versions``.
    """
    pins = target_pins(lock, stack, source)
    index.prefetch(((pin.name, pin.version) for pin in pins), progress)
    strange: list[str] = []
    found: dict[ProjectName, IndexFile | Miss] = {}
    for pin in pins:
        offered = index.files(pin.name, pin.version)
        files = [file for file in offered if file.sha256 in pin.hashes] or _unhashed(stack, pin, offered, index)
        if files:
            found[pin.name] = choose(stack, pin.name, pin.version, files)
        else:
            host = urlsplit(index.url_of(pin.name)).hostname or ""
            strange.append(f"{pin.name} {pin.version}: no file on {host} has the locked sha256 {pin.hashes[0]}")
    if strange:
        raise HashNotOnIndex(tuple(strange))
    return files_only(found, stack.name)


def _unhashed(stack: Stack, pin: Pin, offered: Sequence[IndexFile], index: Index) -> list[IndexFile]:
    """The file of a pin on a page that claims no digests: the one that the target takes, if its bytes are the lock's."""
    file = choose(stack, pin.name, pin.version, [one for one in offered if not one.sha256])
    if isinstance(file, Miss):
        return []
    # One hash is of one file: whether these bytes are its is seen when they are fetched.
    known = replace(file, sha256=pin.hashes[0]) if len(pin.hashes) == 1 else index.hashed(file)
    return [known] if known.sha256 in pin.hashes else []


def files_only(found: dict[ProjectName, IndexFile | Miss], stack: str) -> dict[ProjectName, IndexFile]:
    """The files, when there are no misses among them. Raises NoWheelForTarget with every miss."""
    misses = tuple(miss for miss in found.values() if isinstance(miss, Miss))
    if misses:
        raise NoWheelForTarget(stack, misses)
    return {project: file for project, file in found.items() if isinstance(file, IndexFile)}


def _refuse_withdrawn(files: dict[ProjectName, IndexFile], stack: Stack) -> None:
    """Refuse the withdrawn files whose version the stack does not state."""
    issues = tuple(
        f"{project} {file.version} was withdrawn by its makers"
        + (f' ("{file.yanked}")' if file.yanked else "")
        + f"; {stack.file} does not pin exactly it"
        for project, file in files.items()
        if file.yanked is not None and not _is_stated(stack, project, file.version)
    )
    if issues:
        raise Withdrawn(issues)


def _is_stated(stack: Stack, project: ProjectName, version: str) -> bool:
    stated = stack.stated_version(project)
    return stated is not None and read_version(stated) == read_version(version)

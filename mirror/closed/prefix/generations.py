"""A prefix: the directory that holds a stack's generations, and the one link that says which of them is current.

``<prefix>/gens/<sequence>-<digest12>/`` is built in its final place, because a venv cannot be moved; a repair is built beside
what it repairs, as ``<sequence>-<digest12>.2``, and takes its place when ``current`` moves. ``COMPLETE`` is written last; then
``<prefix>/current`` is replaced in one step. Killed anywhere, the old state stands, and what has no ``COMPLETE`` is garbage to
the next run (DESIGN.md section 6, SECURITY.md 2.4). ``mirror.closed.building`` fills a generation;
``mirror.closed.prefix.opened`` decides whether a prefix may be used at all.

Rules: a complete generation is never written to by us again; only the holder of the lock creates, removes or
activates; the lock is the kernel's (flock), so a dead holder's is free; everything is done in directories that were judged and
are held open; a generation is removed as unfinished only when it certainly has no mark: one that cannot be read, or that says
something else, is no absence.

Example::

    with prefix.lock():
        prefix.sweep()
        with prefix.building(identity) as generation:
            ...
        prefix.activate(generation)
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mirror.closed.host.sharing import readable_for_others
from mirror.closed.prefix.lock import holding
from mirror.closed.prefix.opened import GENERATIONS, Opened, make_prefix, names_in, open_prefix
from mirror.closed.prefix.tree import MARK, remove_below, sync_tree
from mirror.core.errors import MirrorError, Unreadable, Unwritable, place_of, reading, writing
from mirror.core.kinds import INTERPRETER
from mirror.core.names import Sha256Hex
from mirror.core.system.durable import facts_of, held_open, write_file
from mirror.core.system.home import expand_home, home_directory

_MARK_BYTES = 1000
_STRANGER = "mirror did not make it: move it away, and run the same command again."
_NAME = re.compile(r"([1-9][0-9]{0,17})-([0-9a-f]{12})(?:\.([2-9]|[1-9][0-9]{1,3}))?", re.ASCII)


class NoSuchGeneration(MirrorError):
    """The prefix does not hold the generation that was asked for."""

    ref = "no-such-generation"
    exit_code = 94
    hint = (
        "'mirror status' lists what is installed: any of it goes by its number, its name, or the beginning of its name."
    )
    message = "{prefix} holds no {wanted}; it holds {installed:|nothing}"

    prefix: str
    wanted: str
    installed: tuple[str, ...]


@dataclass(frozen=True, order=True)
class Identity:
    """Which bundle a generation came from.

    Attributes:
        sequence: the manifest's.
        digest: the first 12 hex digits of the manifest's sha256.
        build: 1, or more of one that was built anew from the same bundle to repair the one before.
    """

    sequence: int
    digest: str
    build: int = 1

    @classmethod
    def of(cls, sequence: int, manifest_sha256: Sha256Hex) -> Identity:
        return cls(sequence, manifest_sha256[:12])

    def __str__(self) -> str:
        return f"{self.sequence}-{self.digest}" + (f".{self.build}" if self.build > 1 else "")

    @property
    def bundle(self) -> tuple[int, str]:
        """What all builds from one bundle have in common."""
        return self.sequence, self.digest


class _Below:
    """A place in a generation."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, generation: Generation, owner: type[Generation]) -> Path:
        return generation.path / self._name


@dataclass(frozen=True)
class Generation:
    """One installed bundle, or one that is being installed.

    Attributes:
        path: its directory, without symbolic links in it.
        identity: which bundle it came from.
    """

    path: Path
    identity: Identity

    @property
    def name(self) -> str:
        return self.path.name

    venv = _Below("venv")
    cuda = _Below("cuda")
    python = _Below(INTERPRETER.directory)
    env_script = _Below("env.sh")
    receipt = _Below("receipt.json")
    manifest = _Below("manifest.json")
    """The bytes that were signed; their digest is in ``COMPLETE``."""
    files = _Below("files.json")
    """What ``mirror status --check`` compares with; its digest is in the receipt (``mirror.closed.prefix.seal``)."""
    launcher = _Below("bin/mirror")
    """``mirror`` itself, for the search path."""
    complete = _Below(MARK)

    @property
    def is_complete(self) -> bool:
        """Whether it was installed to its end: its mark names the bundle that its directory is named after.

        Raises:
            Unreadable: when that cannot be told.
        """
        flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
        absent = contextlib.suppress(FileNotFoundError, NotADirectoryError)
        with reading(self.path), absent, held_open(os.open(self.path, flags)) as directory, reading(self.complete):
            return self.is_named_by(read_mark(directory))
        return False

    def is_named_by(self, mark: str | None) -> bool:
        """Whether a mark is the one of this generation."""
        return mark is not None and mark.startswith(self.identity.digest)


def read_mark(directory: int, opened: Opened | None = None, place: Path = Path(MARK)) -> str | None:
    """What the mark of a generation says, empty where it is none of ours; None only when it certainly has none.

    Args:
        directory: the generation's, open.
        opened: the prefix, whose owner's it has to be; None where nobody asks.
        place: the mark's path.

    Raises:
        PreflightFailed: when it is somebody else's.
        OSError: when that cannot be told.
    """
    facts = facts_of(MARK, directory)
    if facts is None or not stat.S_ISREG(facts.st_mode):
        return None if facts is None else ""
    descriptor = os.open(MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    with open(descriptor, "rb") as stream:
        if opened:
            opened.judge(descriptor, place)
        return stream.read(_MARK_BYTES).decode("ascii", "replace")


class Prefix:
    """A stack's home on the closed host. Making this object touches nothing.

    Attributes:
        root: absolute, its parents resolved, so that what is installed holds one spelling of its own place.
        named: absolute, as it was named: the way that is walked and judged.

    Raises:
        NoHome: when the root begins with a ``~`` that stands for nothing.
    """

    def __init__(self, root: Path) -> None:
        # abspath, not resolve(): a prefix that is a symbolic link itself is to be noticed, not followed. realpath for
        # its parents, because resolve() fails with RuntimeError when links go round; the first use names that then.
        self.named = Path(os.path.abspath(expand_home(root)))  # noqa: PTH100
        self.root = Path(os.path.realpath(self.named.parent)) / self.named.name
        self._generations = self.root / GENERATIONS
        self._current = self.root / "current"
        self._held: tuple[Opened, int] | None = None

    def generation(self, identity: Identity) -> Generation:
        """Where that bundle's generation is, or would be."""
        return Generation(self._generations / str(identity), identity)

    def installed(self) -> tuple[Generation, ...]:
        """The complete generations, oldest bundle first.

        Raises:
            Unreadable: when they cannot be listed or judged; a prefix that is not there has none.
            PreflightFailed: when others than its owner could have put them there.
        """
        with self._looking(self._generations) as (opened, directory):
            if opened is None or directory is None:
                return ()
            marks = {name: self._mark(opened, directory, name) for name in names_in(directory)}
        found = ((self._parse(name), mark) for name, mark in marks.items())
        return tuple(sorted((g for g, mark in found if g and g.is_named_by(mark)), key=lambda g: g.identity))

    def current(self) -> Generation | None:
        """The generation that ``current`` points to, if it is a complete one.

        Raises:
            Unreadable: when it cannot be looked at; a prefix that is not there, or a ``current`` that is no link of ours, has
                none.
            PreflightFailed: as ``installed``.
        """
        generation = self.pointed_to()
        if generation is None:
            return None
        with self._looking(generation.complete) as (opened, directory):
            mark = self._mark(opened, directory, generation.name) if opened and directory is not None else None
        return generation if generation.is_named_by(mark) else None

    def pointed_to(self) -> Generation | None:
        """The same, also when it is not complete: its mark may be lost while programs run from it. Raises as ``current``."""
        target = self._target()
        generation = self._parse(Path(target).name) if target else None
        return generation if generation and target == f"{GENERATIONS}/{generation.name}" else None

    def refuse_strange_current(self) -> None:
        """Nothing is removed while nobody can tell what is current.

        Raises:
            Unreadable: when ``current`` is there and no link of ours.
        """
        if self._target() is not None and self.pointed_to() is None:
            raise Unreadable(str(self._current), "it is no link of mirror's to one of the generations here")

    def _target(self) -> str | None:
        """Where ``current`` leads, as it is written; empty when it is no link, None when there is none."""
        with self._looking(self._current) as (opened, _):
            if opened is None:
                return None
            try:
                link = opened.open_below(opened.descriptor, "current", self._current, os.O_PATH)
            except FileNotFoundError:
                return None
            with held_open(link):
                return os.readlink("", dir_fd=link) if stat.S_ISLNK(os.fstat(link).st_mode) else ""

    def builds_of(self, identity: Identity) -> tuple[Generation, ...]:
        """All that were built from a bundle, first to last, complete or what ``current`` points to. Raises as ``installed``."""
        pointed = self.pointed_to()
        found = {*self.installed(), *([pointed] if pointed and facts_of(pointed.path) else [])}
        return tuple(sorted((g for g in found if g.identity.bundle == identity.bundle), key=lambda g: g.identity))

    def unfinished(self) -> tuple[str, ...]:
        """Names of what is no complete generation: one in the making, garbage, or one whose mark is damaged."""
        complete = {generation.name for generation in self.installed()}
        with self._looking(self._generations) as (_, directory):
            names = names_in(directory) if directory is not None else []
        return tuple(sorted(name for name in names if name not in complete))

    def leftovers(self) -> tuple[str, ...]:
        """Those of them that are garbage while the lock is held: generations without a mark, but for what ``current`` is.

        Raises:
            Unreadable: when something cannot be told; then nothing is garbage.
        """
        self.refuse_strange_current()
        pointed = self.pointed_to()
        with self._looking(self._generations) as (opened, directory):
            if opened is None or directory is None:
                return ()
            names = [name for name in names_in(directory) if self._parse(name) and self._parse(name) != pointed]
            return tuple(sorted(name for name in names if self._mark(opened, directory, name) is None))

    def path_of(self, name: str) -> Path:
        """Where something that ``unfinished`` names is."""
        return self._generations / name

    def _mark(self, opened: Opened, directory: int, name: str) -> str | None:
        """The mark of a generation; empty of what is no directory, None only when it certainly has none."""
        place = self._generations / name
        try:
            opened.judge_entry(directory, name, place)
            facts = facts_of(name, directory)
            if facts is None or not stat.S_ISDIR(facts.st_mode):
                return None
            generation = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
        except FileNotFoundError:
            return None  # removed meanwhile
        with held_open(generation):
            try:
                return read_mark(generation, opened, place / MARK)
            except OSError as exc:
                raise OSError(exc.errno, exc.strerror or str(exc), str(place / MARK)) from exc

    def _parse(self, name: str) -> Generation | None:
        return generation_at(self._generations / name)

    @contextmanager
    def _looking(self, wanted: Path) -> Iterator[tuple[Opened | None, int | None]]:
        """The prefix and its directory of generations, open: those that the lock holds, or judged now.

        Args:
            wanted: what is looked for, for the error of a prefix that cannot be walked to.

        Raises:
            Unreadable: when it cannot be told what is there.
        """
        with contextlib.ExitStack() as stack:
            try:
                if self._held:
                    yield self._held
                    return
                opened = stack.enter_context(open_prefix(self.named, self.root, is_changed=False))
                yield opened, stack.enter_context(opened.generations()) if opened else None
            except OSError as exc:
                named = place_of(exc, "")
                path = named if named.startswith(f"{self.root}/") else str(wanted)
                raise Unreadable(path, exc.strerror or str(exc)) from exc

    @contextmanager
    def lock(self) -> Iterator[int]:
        """Make the prefix if need be and hold its lock; gives the lock's descriptor. What is made meanwhile all may read.

        A program that must not outlive us unnoticed inherits the descriptor: then the prefix stays locked until it
        too is gone.

        Raises:
            PrefixBusy: when another process holds it.
            PreflightFailed: when it is not this user's alone.
            Unwritable: when the directory cannot be made, or its file system keeps no locks.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(readable_for_others())
            with writing(self.root):
                make_prefix(self.named, self.root)
                opened = stack.enter_context(open_prefix(self.named, self.root, is_changed=True))
                if opened is None:
                    raise FileNotFoundError(errno.ENOENT, "it was removed meanwhile")
                descriptor = stack.enter_context(holding(opened.descriptor, self.root))
                with contextlib.suppress(FileExistsError):
                    os.mkdir(GENERATIONS, 0o755, dir_fd=opened.descriptor)
                # After a first install that failed nothing is left but the lock.
                stack.callback(_remove_empty, opened.descriptor)
                directory = stack.enter_context(opened.generations())
            assert directory is not None, "it was made above"
            self._held = opened, directory
            try:
                yield descriptor
            finally:
                self._held = None

    def _locked(self) -> tuple[Opened, int]:
        assert self._held is not None, "the lock must be held"
        return self._held

    def sweep(self) -> tuple[str, ...]:
        """Remove what runs that were killed have left; gives the names of the generations removed. The lock must be held.

        What ``current`` points to stays, whatever it lacks: programs run from it.

        Raises:
            Unreadable: as ``leftovers``; then nothing was removed.
            Unwritable: when the system refuses.
        """
        removed = self.leftovers()
        for name in removed:
            self._remove(name)
        return removed

    def remove(self, generation: Generation) -> None:
        """Remove a generation that is not current. Killed anywhere, the rest of it is garbage. The lock must be held.

        Raises:
            Unwritable: when the system refuses, or it is the current one.
        """
        self.refuse_strange_current()
        if self.pointed_to() == generation:
            raise Unwritable(str(generation.path), "it is the current generation")
        self._remove(generation.name)

    def _remove(self, name: str) -> None:
        _, directory = self._locked()
        with writing(self._generations / name):
            remove_below(directory, name, self._generations / name)
            os.fsync(directory)

    @contextmanager
    def building(
        self, identity: Identity, manifest_sha256: Sha256Hex, taken: Collection[str] = ()
    ) -> Iterator[Generation]:
        """Make a generation's directory; complete it when the block ends well, remove it when it does not.

        Args:
            identity: which bundle; where that one has a directory already, another is made beside it.
            taken: names of generations that are gone, which are not to be used again.

        Raises:
            Unwritable: when the disk refuses.
        """
        opened, directory = self._locked()
        with writing(self._generations, below=True):
            generation = self._made(directory, identity, taken)
            place = opened.open_below(directory, generation.name, generation.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield generation
            # COMPLETE promises that all the rest is on the disk, so it is written after the rest has been flushed.
            sync_tree(generation.path)
            write_file(generation.complete, f"{manifest_sha256}\n".encode("ascii"), directory=place)
            os.fsync(directory)
        except BaseException:
            remove_below(directory, generation.name, generation.path)
            raise
        finally:
            os.close(place)

    def _made(self, directory: int, identity: Identity, taken: Collection[str]) -> Generation:
        """A new directory, whatever lies there already."""
        while True:
            generation = self.generation(identity)
            try:
                if str(identity) not in taken:
                    os.mkdir(generation.name, 0o755, dir_fd=directory)
                    return generation
            except FileExistsError:
                pass
            except OSError as exc:
                raise OSError(exc.errno, exc.strerror, str(generation.path)) from exc
            identity = replace(identity, build=identity.build + 1)

    def activate(self, generation: Generation) -> None:
        """Make a complete generation the current one, in one step. The lock must be held.

        Raises:
            Unwritable: when the disk refuses, or ``current`` is no link of ours; the old one stands.
        """
        opened, _ = self._locked()
        temporary = ".current.new"  # one name: what a killed run has left, the next one replaces
        is_replaced = False
        try:
            with opened.readable() as directory:
                facts = facts_of("current", directory)
                if facts and not stat.S_ISLNK(facts.st_mode):
                    raise FileExistsError(errno.EEXIST, "it is no link of mirror's")
                _unlink(temporary, directory)
                os.symlink(f"{GENERATIONS}/{generation.name}", temporary, dir_fd=directory)
                try:
                    os.replace(temporary, "current", src_dir_fd=directory, dst_dir_fd=directory)
                    is_replaced = True
                    os.fsync(directory)
                finally:
                    if not is_replaced:
                        _unlink(temporary, directory)
        except OSError as exc:
            reason = exc.strerror or str(exc)
            if is_replaced:
                reason += (
                    f"; {generation.name} is current, but the disk did not confirm that this outlasts a power failure"
                )
            error = Unwritable(str(self._current), reason)
            raise error.advised(_STRANGER) if exc.errno == errno.EEXIST else error from exc


def _unlink(name: str, directory: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def _remove_empty(directory: int) -> None:
    with contextlib.suppress(OSError):  # as a rule it holds generations
        os.rmdir(GENERATIONS, dir_fd=directory)


def generation_at(path: Path) -> Generation | None:
    """The generation whose directory this would be; None when it is not named like one."""
    match = _NAME.fullmatch(path.name)
    return Generation(path, Identity(int(match[1]), match[2], int(match[3] or 1))) if match else None


def default_prefix(name: str) -> Path:
    """Where a stack goes when no prefix is named: ``$XDG_DATA_HOME/mirror/NAME``."""
    return prefixes_home() / name


def prefixes_home() -> Path:
    """The directory of the default prefixes, ``~/.local/share/mirror`` when ``XDG_DATA_HOME`` says nothing else.

    Raises:
        NoHome: when it says nothing else and there is no home directory.
    """
    data = os.environ.get("XDG_DATA_HOME", "")
    # XDG base directory specification: a relative path is invalid and is ignored.
    base = Path(data) if data.startswith("/") else home_directory() / ".local/share"
    return base / "mirror"

"""A prefix: the directory that holds a stack's generations, and the one link that says which of them is current.

``<prefix>/gens/<sequence>-<digest12>/`` is built in its final place, because a venv cannot be moved; a repair is built beside
what it repairs, as ``<sequence>-<digest12>.2``, and takes its place when ``current`` moves. ``COMPLETE`` is written last; then
``<prefix>/current`` is replaced in one step. Killed anywhere, the old state stands, and what has no ``COMPLETE`` is garbage to
the next run (DESIGN.md section 6, SECURITY.md 2.4). ``mirror.closed.building`` fills a generation; ``mirror.closed.preflight``
decides whether a prefix may be used at all.

Rules: a complete generation is never written to by us again; only the holder of the lock creates, removes or
activates; the lock is the kernel's (flock), so a dead holder's is free.

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
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mirror.closed.prefix.lock import holding
from mirror.closed.prefix.tree import remove_tree, sync_tree
from mirror.core.errors import MirrorError, Unreadable, Unwritable
from mirror.core.names import Sha256Hex
from mirror.core.system.durable import sync_directory, write_file
from mirror.core.system.home import expand_home, home_directory

_NAME = re.compile(r"([1-9][0-9]{0,17})-([0-9a-f]{12})(?:\.([2-9]|[1-9][0-9]{1,3}))?", re.ASCII)


class NoSuchGeneration(MirrorError):
    """The prefix does not hold the generation that was asked for."""

    ref = "no-such-generation"
    exit_code = 94
    hint = "'mirror status' lists what is installed; 'mirror rollback --to N' takes any of it by its number."

    prefix: str
    wanted: str
    installed: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.prefix} holds no {self.wanted}; it holds {', '.join(self.installed) or 'nothing'}"


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

    @property
    def venv(self) -> Path:
        return self.path / "venv"

    @property
    def cuda(self) -> Path:
        return self.path / "cuda"

    @property
    def python(self) -> Path:
        return self.path / "python"

    @property
    def env_script(self) -> Path:
        return self.path / "env.sh"

    @property
    def receipt(self) -> Path:
        return self.path / "receipt.json"

    @property
    def manifest(self) -> Path:
        """The bytes that were signed; their digest is in ``COMPLETE``."""
        return self.path / "manifest.json"

    @property
    def files(self) -> Path:
        """What ``mirror status --check`` compares with; its digest is in the receipt (``mirror.closed.prefix.seal``)."""
        return self.path / "files.json"

    @property
    def launcher(self) -> Path:
        """``mirror`` itself, for the search path."""
        return self.path / "bin" / "mirror"

    @property
    def complete(self) -> Path:
        return self.path / "COMPLETE"

    @property
    def is_complete(self) -> bool:
        """Whether it was installed to its end: its mark names the bundle that its directory is named after."""
        try:
            return self.complete.read_text("ascii").startswith(self.identity.digest)
        except (OSError, UnicodeDecodeError):
            return False


class Prefix:
    """A stack's home on the closed host. Making this object touches nothing.

    Attributes:
        root: absolute, its parents resolved, so that what is installed holds one spelling of its own place.

    Raises:
        NoHome: when the root begins with a ``~`` that stands for nothing.
    """

    def __init__(self, root: Path) -> None:
        # abspath, not resolve(): a prefix that is a symbolic link itself is to be noticed, not followed. realpath for
        # its parents, because resolve() fails with RuntimeError when links go round; the first use names that then.
        absolute = Path(os.path.abspath(expand_home(root)))  # noqa: PTH100
        self.root = Path(os.path.realpath(absolute.parent)) / absolute.name
        self._generations = self.root / "gens"
        self._current = self.root / "current"

    def generation(self, identity: Identity) -> Generation:
        """Where that bundle's generation is, or would be."""
        return Generation(self._generations / str(identity), identity)

    def installed(self) -> tuple[Generation, ...]:
        """The complete generations, oldest bundle first.

        Raises:
            Unreadable: when they cannot be listed; a prefix that is not there has none.
        """
        found = (self._parse(name) for name in self._names())
        return tuple(sorted((g for g in found if g and g.is_complete), key=lambda g: g.identity))

    def current(self) -> Generation | None:
        """The generation that ``current`` points to, if it is a complete one.

        Raises:
            Unreadable: when it cannot be looked at; a prefix that is not there, or a ``current`` that is no link, has none.
        """
        generation = self.pointed_to()
        return generation if generation and generation.is_complete else None

    def pointed_to(self) -> Generation | None:
        """The same, also when it is not complete: its mark may be lost while programs run from it. Raises as ``current``."""
        try:
            target = self._current.readlink()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            if exc.errno == errno.EINVAL:
                return None
            raise Unreadable(str(self._current), exc.strerror or str(exc)) from exc
        return self._parse(target.name)

    def builds_of(self, identity: Identity) -> tuple[Generation, ...]:
        """All that were built from a bundle, first to last, complete or what ``current`` points to. Raises as ``installed``."""
        pointed = self.pointed_to()
        found = {*self.installed(), *([pointed] if pointed and pointed.path.is_dir() else [])}
        return tuple(sorted((g for g in found if g.identity.bundle == identity.bundle), key=lambda g: g.identity))

    def unfinished(self) -> tuple[str, ...]:
        """Names of directories that are no complete generation: one in the making, or garbage."""
        complete = {generation.name for generation in self.installed()}
        return tuple(sorted(name for name in self._names() if name not in complete))

    def leftovers(self) -> tuple[str, ...]:
        """Those of them that are garbage while the lock is held: all but what ``current`` points to."""
        pointed = self.pointed_to()
        return tuple(name for name in self.unfinished() if pointed is None or name != pointed.name)

    def path_of(self, name: str) -> Path:
        """Where something that ``unfinished`` names is."""
        return self._generations / name

    def _names(self) -> list[str]:
        try:
            return [path.name for path in self._generations.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as exc:
            raise Unreadable(str(self._generations), exc.strerror or str(exc)) from exc

    def _parse(self, name: str) -> Generation | None:
        return generation_at(self._generations / name)

    @contextmanager
    def lock(self) -> Iterator[int]:
        """Make the prefix if need be and hold its lock; gives the lock's descriptor.

        A program that must not outlive us unnoticed inherits the descriptor: then the prefix stays locked until it
        too is gone.

        Raises:
            PrefixBusy: when another process holds it.
            Unwritable: when the directory cannot be made, or its file system keeps no locks.
        """
        with holding(self.root) as descriptor:
            try:
                self._generations.mkdir(exist_ok=True)
            except OSError as exc:
                raise Unwritable(str(self._generations), exc.strerror or str(exc)) from exc
            try:
                yield descriptor
            finally:
                # After a first install that failed nothing is left but the lock.
                with contextlib.suppress(OSError):
                    self._generations.rmdir()

    def sweep(self) -> tuple[str, ...]:
        """Remove what runs that were killed have left; gives the names of the generations removed. The lock must be held.

        What ``current`` points to stays, whatever it lacks: programs run from it.
        """
        removed = self.leftovers()
        for name in removed:
            remove_tree(self._generations / name)
        return removed

    def remove(self, generation: Generation) -> None:
        """Remove a generation that is not current. Killed anywhere, the rest of it is garbage. The lock must be held.

        Raises:
            Unwritable: when the system refuses, or it is the current one.
        """
        try:
            if self.current() == generation:
                raise PermissionError(errno.EBUSY, "it is the current generation", str(generation.path))
            remove_tree(generation.path)
            sync_directory(self._generations)
        except OSError as exc:
            raise Unwritable(str(exc.filename or generation.path), exc.strerror or str(exc)) from exc

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
        while os.path.lexists(self.generation(identity).path) or str(identity) in taken:
            identity = replace(identity, build=identity.build + 1)
        generation = self.generation(identity)
        try:
            generation.path.mkdir()
        except OSError as exc:
            raise Unwritable(str(generation.path), exc.strerror or str(exc)) from exc
        try:
            yield generation
            # COMPLETE promises that all the rest is on the disk, so it is written after the rest has been flushed.
            sync_tree(generation.path)
            write_file(generation.complete, f"{manifest_sha256}\n".encode("ascii"))
            sync_directory(self._generations)
        except BaseException:
            remove_tree(generation.path)
            raise

    def activate(self, generation: Generation) -> None:
        """Make a complete generation the current one, in one step. The lock must be held.

        Raises:
            Unwritable: when the disk refuses, or ``current`` is no link of ours; the old one stands.
        """
        temporary = self.root / ".current.new"  # one name: what a killed run has left, the next one replaces
        try:
            if self._current.exists() and not self._current.is_symlink():
                raise FileExistsError(errno.EEXIST, "it is no link of mirror's", str(self._current))
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(Path("gens") / generation.name)
            temporary.replace(self._current)
            sync_directory(self.root)
        except OSError as exc:
            temporary.unlink(missing_ok=True)
            raise Unwritable(str(self._current), exc.strerror or str(exc)) from exc


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

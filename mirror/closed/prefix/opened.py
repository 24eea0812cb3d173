"""A prefix that was walked to, judged, and is held open: whatever is read, written or removed there goes through it.

``mirror.core.trust.ownership`` is the rule of whose a place is. Who changes a prefix must be its owner; who uses one trusts
its owner with what is in it, and nobody else but root. ``mirror.closed.prefix.generations`` works in what this opens.

Rules: the judgement is of the descriptor that is used, not of a path that may lead elsewhere a moment later; nothing in a
prefix is reached through a link; every generation, its mark and the link ``current`` belong to the owner too.

Example::

    with open_prefix(Path("/opt/h100"), Path("/opt/h100"), is_changed=False) as opened: ...
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ContextManager

from mirror.closed.preflight import refuse_exposed, way_issues
from mirror.core.system.durable import held_open
from mirror.core.trust.ownership import look, reaching

GENERATIONS = "gens"


@dataclass(frozen=True)
class Opened:
    """A prefix whose every directory was judged.

    Attributes:
        root: its path.
        descriptor: of its directory, for looking up names only.
        owner: the user id that it belongs to.
        is_changed: whether that has to be this user.
    """

    root: Path
    descriptor: int
    owner: int
    is_changed: bool

    def judge(self, descriptor: int, place: Path) -> None:
        """Refuse something in the prefix that is not its owner's alone.

        Raises:
            PreflightFailed: when it is not.
            OSError: when that cannot be told.
        """
        found = look(descriptor, place).exposures({self.owner})
        refuse_exposed(self.root, [f"{one.place}, in the prefix, {one.problem}" for one in found], self.is_changed)

    def open_below(self, directory: int, name: str, place: Path, flags: int = os.O_RDONLY) -> int:
        """Open something in the prefix, not through a link, and judge it.

        Args:
            directory: an open one of the prefix.
            place: for messages.

        Raises:
            PreflightFailed: when it is not the owner's alone.
            OSError: when it is not there, is a link, or cannot be opened.
        """
        descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
        try:
            self.judge(descriptor, place)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def judge_entry(self, directory: int, name: str, place: Path) -> None:
        """Judge whatever has a name in an open directory of the prefix, a link as well. Raises as ``open_below``."""
        os.close(self.open_below(directory, name, place, os.O_PATH))

    @contextmanager
    def generations(self) -> Iterator[int | None]:
        """The directory of the generations, open; None when there is none.

        Raises:
            PreflightFailed, OSError: as ``open_below``.
        """
        place = self.root / GENERATIONS
        try:
            descriptor = self.open_below(self.descriptor, GENERATIONS, place, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            yield None
            return
        except NotADirectoryError as exc:  # what open(2) says of a link as well
            raise OSError(errno.ENOTDIR, "it is a link or a file, and no directory", str(place)) from exc
        with held_open(descriptor):
            yield descriptor

    def readable(self) -> ContextManager[int]:
        """The prefix's directory once more, open for more than looking up names."""
        return held_open(os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.descriptor))


@contextmanager
def open_prefix(path: Path, root: Path, is_changed: bool) -> Iterator[Opened | None]:
    """Walk to a prefix and judge every step; None when it is not there.

    Args:
        path: absolute, as it was named.
        root: the same with the links above it resolved, for messages.
        is_changed: whether it is to be changed; else it may be another user's.

    Raises:
        PreflightFailed: when it is not its owner's alone, or is to be changed by somebody else.
        OSError: when it cannot be told.
    """
    with contextlib.ExitStack() as stack:
        opened = None
        with contextlib.suppress(NotADirectoryError):
            way = stack.enter_context(reaching(path, is_followed=not is_changed))
            if not way.missing:
                owner = way.end.facts.st_uid
                refuse_exposed(root, way_issues(way, None if is_changed else owner), is_changed)
                opened = Opened(root, way.descriptor, owner, is_changed)
        yield opened


def make_prefix(path: Path, root: Path) -> None:
    """Make a prefix, and what is missing above it, in what was walked to.

    Raises:
        PreflightFailed: when somebody else could put another directory in its place.
        OSError: when it cannot be made.
    """
    with reaching(path) as way, contextlib.ExitStack() as made:
        refuse_exposed(root, way_issues(way), is_changed=True)
        directory = way.descriptor
        for name in way.missing:
            with contextlib.suppress(
                FileExistsError
            ):  # another run was faster, or somebody: it is judged when it is opened
                os.mkdir(name, 0o755, dir_fd=directory)
            directory = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            made.callback(os.close, directory)


def names_in(directory: int) -> list[str]:
    """What is in an open directory. Raises ``OSError``."""
    return os.listdir(directory)

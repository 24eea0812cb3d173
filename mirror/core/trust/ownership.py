"""Whose a place is: who besides its owner could put something else where mirror reads, writes or removes.

One rule for the trust store (``mirror.core.trust.truststore``) and for prefixes (``mirror.closed.prefix.opened``), each of
which says whom it trusts and names what was found.

The rule. A directory, or a file, is its owner's alone when it belongs to somebody who is trusted (root always is) and nobody
else may write it: not every user, not a group, not anybody whom an access list names. A group that is its owner's own, of the
same name and with no other member (systems with a umask of 002 give one to each user), is no one else; group 0 is never such a
group, for containers give it to users who are not root. Above the place itself a sticky directory such as /tmp will do: others
make files there, but cannot replace one of another's. A link on the way belongs to somebody who is trusted as well.

Rules: a way is walked from / one step at a time, each step on the descriptor of the one before and never through a link unseen;
what was judged is what is held open; what cannot be told counts as another's. In a user namespace all users that are not mapped
look alike, root too: there the owner of / counts as root.

Example::

    with reaching(Path("/opt/h100")) as way:
        if not way.missing:
            found = way.exposures({os.geteuid()})
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import os
import pwd
import stat
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Optional

from mirror.core.system.durable import held_open

_MAX_LINKS = 40
"""As many as the kernel follows."""

_ACCESS, _DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x02, 0x04, 0x08, 0x10, 0x20
_WRITE = 2
_UNREAD = ((_GROUP_OBJ, _WRITE, 0), (_USER, _WRITE, -1))
_NO_LIST = (errno.ENODATA, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Exposure:
    """One reason why a place is not its owner's alone.

    Attributes:
        place: the directory, file or link.
        problem: a clause: ``"belongs to ann (user 1001)"``.
        owner: the user id that it belongs to, where that is the reason; else None.
    """

    place: Path
    problem: str
    owner: Optional[int] = None


@dataclass(frozen=True)
class Seen:
    """A directory, file or link as it was found.

    Attributes:
        place: its path, without links in it.
        facts: what fstat(2) says.
        access: the entries of its access list, ``(tag, permissions, id)``, if it is written by more than its owner.
        default: those of the list that what is made in it gets; read of the last directory of a way alone.
    """

    place: Path
    facts: os.stat_result
    access: Optional[tuple[tuple[int, int, int], ...]] = None
    default: Optional[tuple[tuple[int, int, int], ...]] = None

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.facts.st_mode)

    def exposures(self, trusted: Collection[int], is_above: bool = False) -> Iterator[Exposure]:
        """What makes it somebody else's too.

        Args:
            trusted: user ids; root and the owner of / are trusted always.
            is_above: whether it lies on the way only, so that a sticky directory will do.
        """
        owners = frozenset((*trusted, 0, Path("/").stat().st_uid))  # the latter looks like root where no user is mapped
        facts = self.facts
        if facts.st_uid not in owners:
            yield Exposure(self.place, f"belongs to {user_name(facts.st_uid)}", facts.st_uid)
        if self.is_link or (is_above and facts.st_mode & stat.S_ISVTX):
            return
        if facts.st_mode & stat.S_IWOTH:
            yield Exposure(self.place, "may be written by every user")
        elif facts.st_mode & stat.S_IWGRP:
            # With an access list these bits are its mask: without them it lets nobody write.
            entries = self.access or ((_GROUP_OBJ, _WRITE, 0),)
            for writer in _writers(entries, facts.st_gid, owners):
                yield Exposure(self.place, f"may be written by {writer}")
        for writer in _writers(self.default or (), facts.st_gid, owners):
            yield Exposure(
                self.place, f"gives {writer} the right to write what is made in it, by its default access list"
            )


@dataclass(frozen=True)
class Way:
    """The way from / to a place, walked as far as there is something.

    Attributes:
        descriptor: of the last directory that is there, good for looking up names and nothing else; open while ``reaching``
            is.
        missing: the parts of the way that are not there.
        steps: every directory and link on it, in order; the last is what ``descriptor`` stands for, or a link that the way
            ends with.
    """

    descriptor: int
    missing: tuple[str, ...]
    steps: tuple[Seen, ...]

    @property
    def end(self) -> Seen:
        return self.steps[-1]

    @property
    def is_closed(self) -> bool:
        """Whether nobody but owners gets to what is below it, so that it does not matter whom that lets write."""
        places = (self.end.place, *self.end.place.parents)
        return any(
            not step.facts.st_mode & (stat.S_IXGRP | stat.S_IXOTH) for step in self.steps if step.place in places
        )

    def exposures(self, trusted: Collection[int]) -> tuple[Exposure, ...]:
        """What makes the place, or any step of the way, somebody else's too."""
        steps = enumerate(self.steps, 1)
        last = len(self.steps) if not self.missing else 0
        return tuple(found for number, step in steps for found in step.exposures(trusted, is_above=number != last))


@contextmanager
def reaching(path: Path, is_followed: bool = False) -> Iterator[Way]:
    """Walk to a directory, and hold open what the walk has come to.

    Args:
        path: absolute. Links above its last part are followed, and are steps of the way.
        is_followed: whether a link that is its last part is, too; else it is the end of the way.

    Raises:
        OSError: when something on the way is no directory, or cannot be looked at; its ``filename`` is the place.
    """
    place, todo, links = Path("/"), list(reversed(path.parts[1:])), 0
    descriptor = _step("/", None, place)
    steps = [_looked(descriptor, place)]
    try:
        while todo:
            name = todo.pop()
            below = Path(os.path.normpath(place / name))
            try:
                child = _step(name, descriptor, below)
            except FileNotFoundError:
                todo.append(name)
                break
            steps.append(_looked(child, below))
            if steps[-1].is_link and (todo or is_followed):
                links += 1
                todo += reversed(_target(child).parts)  # of an absolute one the first is "/", which is opened as that
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
                continue
            os.close(descriptor)
            descriptor, place = child, below
            if not steps[-1].is_link and not stat.S_ISDIR(steps[-1].facts.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
        if not steps[-1].is_link:
            steps[-1] = replace(steps[-1], default=_list(descriptor, steps[-1], _DEFAULT))
        yield Way(descriptor, tuple(reversed(todo)), tuple(steps))
    finally:
        os.close(descriptor)


def _step(name: str, directory: int | None, place: Path) -> int:
    """Open what has a name in a directory, for looking up names; it is not followed where it is a link."""
    try:
        return os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
    except OSError as exc:
        exc.filename = str(place)
        raise


def _looked(descriptor: int, place: Path) -> Seen:
    """``look``; what cannot be judged is closed."""
    try:
        return look(descriptor, place)
    except BaseException:
        os.close(descriptor)
        raise


def _target(link: int) -> Path:
    with held_open(link):
        return Path(os.readlink("", dir_fd=link))


def look(descriptor: int, place: Path) -> Seen:
    """What an open directory, file or link is.

    Args:
        descriptor: of whatever kind, also one that is good for looking up names only.

    Raises:
        OSError: when the system cannot tell.
    """
    facts = os.fstat(descriptor)
    seen = Seen(place, facts)
    if seen.is_link or not facts.st_mode & stat.S_IWGRP:
        return seen
    return replace(seen, access=_list(descriptor, seen, _ACCESS))


def _list(descriptor: int, seen: Seen, name: str) -> Optional[tuple[tuple[int, int, int], ...]]:
    """The entries of an access list; None when there is none."""
    opened = descriptor
    try:
        if stat.S_ISDIR(seen.facts.st_mode):  # a descriptor for looking up names has no attributes
            opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
        is_name = fcntl.fcntl(opened, fcntl.F_GETFL) & os.O_PATH
        data = os.getxattr(f"/proc/self/fd/{opened}" if is_name else opened, name)
    except OSError as exc:
        if exc.errno in _NO_LIST:
            return None
        if isinstance(exc, PermissionError):
            return _UNREAD if name == _ACCESS else None  # where we make something, we may read
        exc.filename = str(seen.place)
        raise
    finally:
        if opened != descriptor:
            os.close(opened)
    return tuple(struct.iter_unpack("<HHI", data[4:]))  # acl(5): after a version, entries of tag, permissions and id


def _writers(entries: Collection[tuple[int, int, int]], group: int, owners: frozenset[int]) -> Iterator[str]:
    """Whom an access list lets write who is not trusted."""
    mask = next((permissions for tag, permissions, _ in entries if tag == _MASK), 7)
    for tag, permissions, number in entries:
        if tag == _OTHER and permissions & _WRITE:
            yield "every user"
        if not permissions & mask & _WRITE:
            continue
        if tag == _USER and number not in owners:
            yield user_name(number) if number >= 0 else "whom an access list names that you may not read"
        elif tag in (_GROUP, _GROUP_OBJ):
            number = group if tag == _GROUP_OBJ else number
            if not _is_private(number, owners):
                yield f"the group {group_name(number)}"


@cache
def _is_private(gid: int, owners: frozenset[int]) -> bool:
    """Whether a group has no member but somebody who is trusted, as far as that can be known.

    A directory service may list neither its users nor who has a group as their first. So the name decides as well: it must be
    the user's own.
    """
    if gid == 0:
        return False
    try:
        group = grp.getgrgid(gid)
        user = pwd.getpwnam(group.gr_name)
        if user.pw_gid != gid or user.pw_uid not in owners or {*group.gr_mem} - {user.pw_name}:
            return False
        return all(other.pw_uid in owners for other in pwd.getpwall() if other.pw_gid == gid)
    except (KeyError, OSError):
        return False


def user_name(uid: int) -> str:
    """``"root (user 0)"``; containers and clusters have users without a name."""
    with contextlib.suppress(KeyError):
        return f"{pwd.getpwuid(uid).pw_name} (user {uid})"
    return f"user {uid}"


def group_name(gid: int) -> str:
    """``"ops (group 1004)"``, or its number alone."""
    with contextlib.suppress(KeyError):
        return f"{grp.getgrgid(gid).gr_name} (group {gid})"
    return f"{gid}"

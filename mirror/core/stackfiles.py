"""Which stack a word means: the files of NAME, wherever a command takes a stack.

``mirror.connected.stack.stack`` and ``mirror.connected.planning.locks`` read the files; ``mirror.closed.prefix.status`` finds
an installed stack.

A stack for several targets, ``[targets.gh200]`` in ``NAME.toml``, is several stacks: ``NAME.gh200`` has locks of its own, and
its wishes, ``NAME.gh200.toml``, are written in ``NAME.toml``.

Rules: a name is looked for in ``lockfiles/``, then in the working directory; a path to any of a stack's files, or to where
they are without an ending, means the same stack; what is not there is refused with both places, and with what is near.

Example::

    find_stack("h100") == find_stack("lockfiles/h100.toml") == find_stack("lockfiles/h100.txt")
    find_stack("h100").lock     # lockfiles/h100.txt
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.core.errors import MirrorError, Unreadable, reading
from mirror.core.kinds import KINDS
from mirror.core.names import stack_name
from mirror.core.system.durable import facts_of, open_unblocked
from mirror.core.toml import parse_toml
from mirror.core.words import did_you_mean

DIRECTORY = "lockfiles"
"""Where a project keeps its stacks."""

PYPROJECT = "pyproject.toml"
"""A project's own file, which is no stack's and often lies beside one's."""

_WISHES = re.compile(rf"(.+?)(\.(?:{'|'.join(kind.directory for kind in KINDS)}))?\.toml")
_LOCK = re.compile(r"(.+?)(\.build|\.files)?\.txt")
_PYLOCK = re.compile(r"pylock\.(?:(.+)\.)?toml")
_HINT = "'mirror init NAME' writes a new stack; a path to a stack's NAME.toml or NAME.txt names one that is elsewhere."


RESERVED = frozenset({"build", "files", *(kind.directory for kind in KINDS)})
"""What no target is called, and no stack's name ends in: ``NAME.rpms.toml`` is the lock of the RPMs."""

_MAX_BYTES = 1 << 20
_MAX_LOCK_BYTES = 64 << 20


@dataclass(frozen=True)
class StackFiles:
    """Where a stack's files are; that both are there is not promised, that one of them is, is.

    Attributes:
        wishes: ``NAME.toml``; of one target among several ``NAME.TARGET.toml``, which is written in ``NAME.toml``.
        lock: ``NAME.txt``, or the lock of another tool that stands in its place.
    """

    wishes: Path
    lock: Path

    @property
    def targets(self) -> Mapping[str, StackFiles]:
        """The stack of each target, where its file names several; empty for a stack of one."""
        base = self.wishes.with_suffix("")
        return {name: _of_base(base.with_name(f"{base.name}.{name}")) for name in target_names(self.wishes)}


def own_name(name: str) -> str:
    """A name for a stack that is written here: ``stack_name``, and none by which another stack calls a lock of its own.

    Raises:
        ValueError: with what it must not be.
    """
    other, _, ending = name.rpartition(".")
    if other and ending in RESERVED:
        raise ValueError(f"no stack's name ends in .{ending}: {name}.* would be locks of {other}, too")
    return stack_name(name)


def written(wishes: Path) -> tuple[Path, str]:
    """The file in which a stack's wishes are written, and the target of it that is meant; none for its only one.

    Only when the file is there is it said that the stack has wishes.
    """
    base, _, target = wishes.stem.rpartition(".")
    file = wishes.with_name(f"{base}.toml")
    if not wishes.is_file() and base and target in target_names(file):
        return file, target
    return wishes, ""


def is_written(wishes: Path) -> bool:
    """Whether a stack's wishes are there, in a file of its own or in one for several targets."""
    return written(wishes)[0].is_file()


def target_names(file: Path) -> tuple[str, ...]:
    """The names of ``[targets]`` in a ``NAME.toml``; none where there are none, or whoever reads it has to complain."""
    try:
        targets = parse_toml(_read(file, _MAX_BYTES), file.name, _MAX_BYTES).get("targets")
    except (OSError, MirrorError):
        return ()
    return tuple(targets) if isinstance(targets, dict) else ()


def find_stack(word: str) -> StackFiles:
    """The stack that a word means: a name, or a path.

    Raises:
        Unreadable: when there is none, with what may have been meant, or its ``NAME.toml`` is no file.
    """
    path = Path(word)
    if path.name in ("", ".."):
        path = path.resolve()
        if not path.name:
            raise Unreadable(word, "it is no stack")
    bases = [path] if len(path.parts) > 1 else [Path(DIRECTORY, word), path]
    for found in [_of_file(path), *map(_of_base, bases)]:
        if found:
            _refuse_pipe(found.wishes)
            if is_written(found.wishes) or found.lock.is_file():
                return found
    if path.is_file():  # a lock made elsewhere may have any name
        return StackFiles(path.with_name(f"{path.name}.toml"), path)
    raise _absence(word, path, bases)


def _refuse_pipe(wishes: Path) -> None:
    """A pipe in a file's place is neither read, which could take without end, nor taken for no file."""
    with reading(wishes):
        facts = facts_of(wishes)
    if facts and not (stat.S_ISREG(facts.st_mode) or wishes.is_file()):
        raise Unreadable(str(wishes), "not a regular file")


def known_stacks(directory: Path) -> tuple[str, ...]:
    """The names of the stacks in a directory, sorted."""
    files = [path for ending in ("toml", "txt") for path in directory.glob(f"*.{ending}")]
    names = {_of_file(path) for path in files if not _PYLOCK.fullmatch(path.name)}
    # Beside pyproject.toml and requirements.txt lies no other half.
    stacks = [found for found in names if found and is_written(found.wishes) and found.wishes.name != PYPROJECT]
    return tuple(sorted(one.wishes.stem for found in stacks for one in (found, *found.targets.values())))


def stack_word(path: Path) -> str:
    """What a person types for the stack that a file belongs to: its name, where that finds it.

    >>> stack_word(Path("lockfiles/h100.build.txt"))
    'h100'
    """
    found = _of_file(path)
    base = found.wishes.with_suffix("") if found else path
    return base.name if base.parent in (Path(), Path(DIRECTORY)) else str(base)


def _of_base(base: Path) -> StackFiles:
    """The stack whose files begin with a path."""
    lock, other = base.with_name(f"{base.name}.txt"), base.with_name(f"pylock.{base.name}.toml")
    return StackFiles(base.with_name(f"{base.name}.toml"), other if other.is_file() and not lock.is_file() else lock)


def _of_file(path: Path) -> StackFiles | None:
    """The stack that one of its files names; None when the name is no such file's."""
    if path.name == PYPROJECT:
        return None
    pylock = _PYLOCK.fullmatch(path.name)
    if pylock:
        return StackFiles(path.with_name(f"{pylock[1] or 'pylock'}.toml"), path)
    if path.suffix == ".toml" and _is_pylock(path):
        return StackFiles(path, path)
    for form in (_WISHES, _LOCK):
        match = form.fullmatch(path.name)
        if match:
            return _of_base(path.with_name(match[1]))
    return None


def _is_pylock(path: Path) -> bool:
    """Whether a file says of itself that it is a lock (PEP 751), whatever its name."""
    try:
        return b"\nlock-version" in b"\n" + _read(path, _MAX_LOCK_BYTES)
    except OSError:
        return False


def _read(path: Path, most: int) -> bytes:
    """A file's bytes, and one more of a larger one; none of a pipe, which could be waited for without end, or a device."""
    with open_unblocked(path) as stream:
        return stream.read(most + 1) if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else b""


def _absence(word: str, path: Path, bases: list[Path]) -> Unreadable:
    named = _of_file(path)
    name = named.wishes.stem if named else path.name
    places = [base.parent for base in bases]
    near = did_you_mean(name, {known for place in places for known in known_stacks(place)} - {name})
    if not path.parent.is_dir():
        where = f"there is no directory {path.parent}"
    elif len(places) > 1:
        where = f"there is no {name}.toml in {DIRECTORY}/ and none in this directory{near}"
    else:
        where = f"there is no {name}.toml in {path.parent}{near}"
    error = Unreadable(word, where)
    error.hint = _HINT
    return error

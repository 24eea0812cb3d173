"""Which stack a word means: the files of NAME, wherever a command takes a stack.

``mirror.connected.stack.file`` and ``mirror.connected.planning.locks`` read the files; ``mirror.closed.prefix.status`` finds an
installed stack.

Rules: a name is looked for in ``lockfiles/``, then in the working directory; a path to any of a stack's files, or to where
they are without an ending, means the same stack; what is not there is refused with both places, and with what is near.

Example::

    find_stack("h100") == find_stack("lockfiles/h100.toml") == find_stack("lockfiles/h100.txt")
    find_stack("h100").lock     # lockfiles/h100.txt
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mirror.core.errors import Unreadable
from mirror.core.kinds import KINDS
from mirror.core.words import did_you_mean

DIRECTORY = "lockfiles"
"""Where a project keeps its stacks."""

PYPROJECT = "pyproject.toml"
"""A project's own file, which is no stack's and often lies beside one's."""

_WISHES = re.compile(rf"(.+?)(\.(?:{'|'.join(kind.directory for kind in KINDS)}))?\.toml")
_LOCK = re.compile(r"(.+?)(\.build|\.files)?\.txt")
_PYLOCK = re.compile(r"pylock\.(?:(.+)\.)?toml")
_HINT = "'mirror init NAME' writes a new stack; a path to a stack's NAME.toml or NAME.txt names one that is elsewhere."


@dataclass(frozen=True)
class StackFiles:
    """Where a stack's files are; that both are there is not promised, that one of them is, is.

    Attributes:
        wishes: ``NAME.toml``.
        lock: ``NAME.txt``, or the lock of another tool that stands in its place.
    """

    wishes: Path
    lock: Path


def find_stack(word: str) -> StackFiles:
    """The stack that a word means: a name, or a path.

    Raises:
        Unreadable: when there is none, with what may have been meant.
    """
    path = Path(word)
    if path.name in ("", ".."):
        path = path.resolve()
        if not path.name:
            raise Unreadable(word, "it is no stack")
    bases = [path] if len(path.parts) > 1 else [Path(DIRECTORY, word), path]
    for found in [_of_file(path), *map(_of_base, bases)]:
        if found and (found.wishes.is_file() or found.lock.is_file()):
            return found
    if path.is_file():  # a lock made elsewhere may have any name
        return StackFiles(path.with_name(f"{path.name}.toml"), path)
    raise _absence(word, path, bases)


def known_stacks(directory: Path) -> tuple[str, ...]:
    """The names of the stacks in a directory, sorted."""
    files = [path for ending in ("toml", "txt") for path in directory.glob(f"*.{ending}")]
    names = {_of_file(path) for path in files if not _PYLOCK.fullmatch(path.name)}
    return tuple(sorted(found.wishes.stem for found in names if found and _is_mirrors(found)))


def _is_mirrors(found: StackFiles) -> bool:
    """Whether it looks like a stack of ours: beside ``pyproject.toml`` and ``requirements.txt`` lies no other half."""
    return found.wishes.is_file() and found.wishes.name != PYPROJECT


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
        return b"\nlock-version" in b"\n" + path.read_bytes()
    except OSError:
        return False


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

"""The root of every failure that mirror names.

A failure has an exit code, a kebab-case ``ref``, one sentence that names both sides, and a hint with the next
step. Each module defines the errors that it raises; this one holds only their root and the few that any module may
raise. The library raises; only ``mirror.cli`` prints and exits.

The ``ref`` is an error's identity: each has its own, and it never changes. An exit code, once given, never changes either,
so that scripts can rely on it. Codes from 10 to 125 belong to one error each: 10-29 formats and files, 30-39 trust, 40-49
RPMs and toolchain, 50-69 lock, 70-89 plan, fetch, build and pack, 90-119 the closed side, 120-125 review. They are used up:
a new error takes its family's code out of ``FAMILIES``, which it shares with others. 2 is a usage error (argparse), 130 and
143 are SIGINT and SIGTERM.

Being asked to stop is no failure: the library raises nothing of its own for it (Ctrl-C is Python's ``KeyboardInterrupt``), and
``mirror.cli.failure`` gives it a name when it has come up to there. So no ``except MirrorError`` that goes on keeps it.

Example::

    class DigestMismatch(MirrorError):
        ref = "digest-mismatch"
        exit_code = FAMILIES["files"]
        hint = "Copy the bundle again."
"""

from __future__ import annotations

import errno
import os
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mirror.core.words import grouped, utc

if TYPE_CHECKING:
    from typing import Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> object:
        return lambda cls: cls


FAMILIES = {"files": 3, "trust": 4, "toolchain": 5, "lock": 6, "bundle": 7, "install": 8, "review": 9}
"""Exit codes that all errors of a family may share: file formats, signatures and roots, RPMs and archives, locking, making a
bundle, installing and what is installed, reviewing."""


def _more(several: tuple[object, ...]) -> str:
    return f" (and {len(several) - 1} more)" if len(several) > 1 else ""


_SAID: dict[str, Callable[[Any], str]] = {
    "utc": utc,
    "grouped": grouped,
    "more": _more,
    "first": lambda several: f"{several[0]}{_more(several)}",
}


class _Sentence(string.Formatter):
    """Fills in the template of an error with what it has."""

    def __init__(self, error: MirrorError) -> None:
        self._error = error

    def get_value(self, key: Any, args: Any, kwargs: Any) -> Any:
        return getattr(self._error, key)

    def format_field(self, value: Any, spec: str) -> str:
        spec, _, otherwise = spec.partition("|")
        if not value and (otherwise or "%s" in spec):
            return otherwise
        if spec in _SAID:
            return _SAID[spec](value)
        joiner = ", " if "%s" in spec else spec or ", "
        said = joiner.join(map(str, value)) if isinstance(value, tuple) else value
        return spec % said if "%s" in spec else format(said, "" if isinstance(value, tuple) else spec)


@dataclass_transform(eq_default=False)
class MirrorError(Exception):
    """Root of all named failures. A subclass annotates its data, and says its sentence as a template over them.

    The data are given in the order of their annotations, or by name; those with a value in the class may be left out. In the
    sentence, several of a kind are joined by commas, or by what follows a colon; ``{issues:first}`` is ``"a (and 2 more)"``,
    ``{issues:more}`` its end; ``{seconds:utc}`` and ``{digits:grouped}`` are as in ``words``; ``{note: (%s)|none}`` puts words
    round it, and others in its place where it is empty.

    Raises:
        TypeError: on making one with too few or too many.
    """

    ref: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    message: ClassVar[str] = ""
    hint: str = ""
    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        own = (name for name, kind in getattr(cls, "__annotations__", {}).items() if "ClassVar" not in str(kind))
        cls._fields = (*cls._fields, *(name for name in own if name not in cls._fields))

    def __init__(self, *values: Any, **named: Any) -> None:
        given = {**dict(zip(self._fields, values)), **named}
        missing = [name for name in self._fields if name not in given and not hasattr(type(self), name)]
        if missing or len(values) + len(named) != len(given) or set(given) - set(self._fields):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self._fields)}; got {values} and {named}")
        if not given.get("hint"):  # the step of its class is better than none
            given.pop("hint", None)
        vars(self).update({name: given.get(name, getattr(type(self), name, None)) for name in self._fields})
        super().__init__(*(getattr(self, name) for name in self._fields))  # so that it can be pickled
        self.__post_init__()

    def __post_init__(self) -> None:
        """For errors whose next step depends on their data."""

    def advised(self, hint: str) -> Self:
        """The same failure, with the next step for this very case."""
        self.hint = hint
        return self

    def __str__(self) -> str:
        return _Sentence(self).format(self.message)

    def context(self) -> str:
        """More lines for the user (a log's tail); by default the ``issues`` of an error that has some, after the first."""
        return "\n".join(getattr(self, "issues", ())[1:])


def place_of(exc: OSError, otherwise: str | Path) -> str:
    """The path that a failure of the system names; ``otherwise`` where it names none.

    What fails on an open directory (``scandir``, ``listdir``, ``stat``) names its descriptor, a number.
    """
    return os.fsdecode(exc.filename) if isinstance(exc.filename, (str, bytes)) else str(otherwise)


STEPS = {
    number: f"{step}, or name another place."
    for number, step in (
        (errno.ENOENT, "Make the directory first"),
        (errno.ENOTDIR, "A part of that path is a file: move it away"),
        (errno.ENOSPC, "Free space there, or inodes: 'df -h' and 'df -i' show which of both it lacks"),
        (errno.EDQUOT, "Your quota there is used up, of space or of inodes ('quota -s'): free some"),
        (errno.EROFS, "It is mounted read-only: have it mounted for writing"),
        (errno.EACCES, "Get the right to write there"),
        (errno.EPERM, "Get the right to write there"),
    )
}
"""What helps against a write that the system refuses, by its number."""
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
"""What the system says where no more files can be opened."""

_LIMITS = dict.fromkeys(
    map(os.strerror, NO_DESCRIPTORS),
    "It is no fault of that file's: 'ulimit -n' shows how many files this shell's programs may open, 'ulimit -Hn' how far you "
    "can raise that; a job's system has its own limit. Raise it, and run again.",
)
_STEPS = {**{os.strerror(number): step for number, step in STEPS.items()}, **_LIMITS}


class Unwritable(MirrorError):
    """A file or directory of the user's could not be written."""

    ref = "unwritable"
    exit_code = 10
    hint = "See that there is room and that you may write there, or name another place."
    message = "cannot write {path}: {reason}"

    path: str
    reason: str

    def __post_init__(self) -> None:
        self.hint = _STEPS.get(self.reason, self.hint)
        if self.reason.startswith("No usable temporary directory"):  # tempfile's words
            self.hint = (
                "Set TMPDIR to a directory in which you may write and there is room, and run again. If these are such, 'ulimit "
                "-f' and 'ulimit -n' show limits of this shell that keep programs from writing anywhere."
            )


class Unreadable(MirrorError):
    """A file that the user named, or that mirror needs, could not be read."""

    ref = "unreadable"
    exit_code = 11
    hint = "Check the path and its permissions."
    message = "cannot read {path}: {reason}"

    path: str
    reason: str

    def __post_init__(self) -> None:
        self.hint = _LIMITS.get(self.reason, self.hint)


def is_absence(exc: BaseException | None) -> bool:
    """Whether a failure of the system, or an ``Unreadable`` of one, says that there is certainly no such file."""
    cause = exc.__cause__ if isinstance(exc, Unreadable) else exc
    return isinstance(cause, (FileNotFoundError, NotADirectoryError, IsADirectoryError)) or (
        isinstance(cause, OSError) and cause.errno == errno.ELOOP  # a link in its place
    )


@contextmanager
def reading(place: str | Path, below: bool = False) -> Iterator[None]:
    """Make ``Unreadable``, of this place, what the system refuses in the block.

    Args:
        below: whether it may be refused of something below the place; the path that the system names is told then.
    """
    try:
        yield
    except OSError as exc:
        raise Unreadable(place_of(exc, place) if below else str(place), exc.strerror or str(exc)) from exc


@contextmanager
def writing(place: str | Path, below: bool = False) -> Iterator[None]:
    """The same with ``Unwritable``."""
    try:
        yield
    except OSError as exc:
        raise Unwritable(place_of(exc, place) if below else str(place), exc.strerror or str(exc)) from exc


class InvalidDocument(MirrorError):
    """A JSON or TOML document of ours breaks its format.

    Attributes:
        document: what kind of document, e.g. ``"Manifest"``.
        where: the path to the fault, e.g. ``"artifacts[3].sha256"``; empty for the whole.
        problem: expected and found, e.g. ``"expected 64 hex digits, got 'abc'"``.
    """

    ref = "invalid-document"
    exit_code = 12
    hint = (
        "If you wrote this file, correct it there. If mirror wrote it, it is damaged or of another version of mirror: "
        "make it again."
    )
    message = "{document} invalid{where: at '%s'}: {problem}"

    document: str
    where: str
    problem: str


class WrongKind(InvalidDocument):
    """A bundle, a wheel, a key or the like was named where a document was to be; it may well be whole.

    Attributes:
        problem: what it is, with its article.
    """

    ref = "wrong-kind"
    exit_code = FAMILIES["files"]
    hint = "Name another file: the command's --help says which is read here. Nothing is said against this one."
    message = "{document} is {problem}; a document was expected in its place"

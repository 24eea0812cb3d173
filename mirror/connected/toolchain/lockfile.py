"""A lock file of a kind of artifact: what all of them share, and what both of the CUDA toolchain's do.

What a lock holds is its own module's: ``rpmlock``, ``redistlock``, ``mirror.connected.models.modellock``. Their text is TOML of
lines that are the same for equal locks. The Python side has another format (``mirror.connected.pins``).

Example::

    lock = RpmLock.load(path)
    lock.differences(stack.wishes[RPM], stack.target)      # ("the stack wants cuda-nvcc-13-0, which is not locked",)
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from mirror.connected.fetching.download import Download
from mirror.connected.toolchain.rpmpackage import ToolchainPin, location_url
from mirror.core.fields import Fields
from mirror.core.kinds import Kind
from mirror.core.names import Sha256Hex
from mirror.core.system.durable import read_file
from mirror.core.target import Target
from mirror.core.toml import parse_toml
from mirror.core.toolkit import fileindex
from mirror.core.toolkit.package import PackageSource
from mirror.core.words import MAX_TIME, utc

_MAX_BYTES = 16 << 20
INDEX_MARK = f"format {fileindex.FORMAT.partition('/')[0]}/".encode()
"""By which a ``NAME.files.txt`` is known as mirror's own (``mirror.connected.pins.ownership``)."""


class LockFile(ABC):
    """A lock that is a file of its own, beside the stack's.

    Attributes:
        KIND: what it pins.
        TITLE: what its first line says that it holds.
        FORMAT: what its ``format`` says.
        ENDING: of its name, after the stack's.
        TABLE: what the array of tables is called that has a table for each pin.
        NAMED_BY: the attribute that tells its pins apart.
        locked: time of locking in seconds since 1970 UTC.
        pins: what it pins, each once, in order.
    """

    KIND: ClassVar[Kind]
    TITLE: ClassVar[str]
    FORMAT: ClassVar[str]
    ENDING: ClassVar[str]
    TABLE: ClassVar[str]
    NAMED_BY: ClassVar[str] = "name"
    locked: int
    pins: tuple[Any, ...]

    @classmethod
    def path(cls, directory: Path, name: str) -> Path:
        """Where the lock of a stack lies."""
        return directory / f"{name}.{cls.ENDING}"

    @classmethod
    def mark(cls) -> bytes:
        """By which a file is known as mirror's own (``mirror.connected.pins.ownership``)."""
        return f'format = "{cls.FORMAT.partition("/")[0]}/'.encode()

    @classmethod
    def answers(cls, wishes: Any) -> bool:
        """Whether wishes of its kind need a lock; None is for no wishes."""
        return wishes is not None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a lock file.

        Raises:
            Unreadable: when the file cannot be read.
            InvalidDocument: with the path to the fault.
        """
        return cls.parse(read_file(path, _MAX_BYTES), str(path))

    @classmethod
    def parse(cls, data: bytes, source: str = "") -> Self:
        """Inverse of ``encode``. ``source`` names the file in errors. Raises InvalidDocument with the path to the fault."""
        source = source or f"NAME.{cls.ENDING}"
        fields = Fields(parse_toml(data, source, _MAX_BYTES), source)
        fields.known_format(cls.FORMAT)
        locked, pins = _seconds(fields), tuple(map(cls.pin, fields.tables(cls.TABLE)))
        once_in_order(fields, cls.TABLE, [getattr(pin, cls.NAMED_BY) for pin in pins], cls.NAMED_BY)
        return fields.fill(cls, locked=locked, pins=pins, **cls.checked(fields, pins))

    @classmethod
    @abstractmethod
    def pin(cls, fields: Fields) -> Any:
        """The pin of a table. Raises InvalidDocument with the path to the fault."""

    @classmethod
    def checked(cls, fields: Fields, pins: tuple[Any, ...]) -> dict[str, Any]:
        """Those other fields of the file that are no mere texts. Raises InvalidDocument with the path to the fault."""
        return {}

    def encode(self) -> bytes:
        """The file's bytes. A JSON string of ASCII is a TOML basic string too, so ``json`` does the quoting."""
        head = (
            f"# The {self.TITLE} of a stack, written by `mirror lock`. Change NAME.toml and lock again rather than editing "
            "this file."
        )
        return "\n".join([head, f"format = {json.dumps(self.FORMAT)}", *self._lines(), ""]).encode("utf-8")

    def _lines(self) -> Iterator[str]:
        """Its fields, in the order in which they are declared."""
        for name, value in vars(self).items():
            if name == "locked":
                yield f"locked = {utc(value)}"
            elif name == "pins":
                for pin in value:
                    yield from self.pin_lines(pin)
            elif name == "wanted":
                yield f"wanted = {one_a_line(value)}"
            elif "\n" in value:
                yield f"{name} = '''\n{value}'''"
            else:
                yield f"{name} = {json.dumps(value)}"

    def pin_lines(self, pin: Any) -> Iterator[str]:
        """The table of a pin."""
        return table_lines(self.TABLE, pin)

    @property
    def count(self) -> int:
        """How many files it pins."""
        return len(self.pins)

    @property
    @abstractmethod
    def versions(self) -> Mapping[str, str]:
        """What is pinned: versions by name."""

    def differences(self, wishes: Any, target: Target) -> tuple[str, ...]:
        """Where it no longer answers what the stack wishes of its kind: one sentence for each, none when it does."""
        return tuple(self._differences(wishes, target))

    @abstractmethod
    def _differences(self, wishes: Any, target: Target) -> Iterator[str]: ...


class ToolchainLock(LockFile):
    """The lock of a CUDA toolchain.

    Attributes:
        LISTS_FILES: whether its source says which package brings which file (``NAME.files.txt``).
        wanted: the words that were asked for, in order.
    """

    LISTS_FILES: ClassVar[bool]
    wanted: tuple[str, ...]
    pins: tuple[ToolchainPin, ...]

    @abstractmethod
    def base(self, location: str | None) -> str:
        """URL of the directory that the pins' locations begin at; ``location`` as of ``downloads``."""

    def downloads(self, location: str | None) -> tuple[Download, ...]:
        """What to fetch, in order of name.

        Args:
            location: a copy's URL or directory that stands in for the source; None for the source itself.
        """
        base = self.base(location)
        return tuple(Download(location_url(base, p.location), p.filename, p.sha256, p.size) for p in self.pins)

    @abstractmethod
    def sources(self, paths: Mapping[Sha256Hex, Path], target: Target) -> Mapping[Sha256Hex, PackageSource]:
        """What the toolkit is unpacked from, by digest: the pins whose files are here.

        Args:
            paths: files by their digests, others among them.
        """

    @property
    def versions(self) -> Mapping[str, str]:
        return {pin.name: pin.shown_version for pin in self.pins}


def index_path(directory: Path, name: str) -> Path:
    """Where a lock whose source lists files keeps which package brings which, of a stack: ``NAME.files.txt``."""
    return directory / f"{name}.files.txt"


def _seconds(fields: Fields) -> int:
    """The time of locking, in seconds since 1970 UTC. Raises InvalidDocument for one without a time zone."""
    moment = fields.take("locked", datetime)
    if moment.tzinfo is None:
        fields.fail("locked", "it names no time zone: end it with 'Z'")
    locked = int(moment.timestamp())
    if not 0 <= locked <= MAX_TIME:
        fields.fail("locked", "expected a time from 1970 to 9999")
    return locked


def once_in_order(fields: Fields, table: str, names: Sequence[str], what: str = "name") -> None:
    """Check the names, or whatever tells them apart, of an array of tables. Raises InvalidDocument."""
    if not names or list(names) != sorted(set(names)):
        fields.fail(table, f"expected at least one, each {what} once, in order")


def table_lines(table: str, row: object) -> Iterator[str]:
    """A dataclass as one of an array of tables, after an empty line."""
    yield from ("", f"[[{table}]]")
    yield from (f"{key} = {json.dumps(value)}" for key, value in vars(row).items())


def moved(wanted: Collection[str], locked: Collection[str]) -> Iterator[str]:
    """How the words of a lock are no longer those of the stack: one sentence for each difference."""
    for name in wanted:
        if name not in locked:
            yield f"the stack wants {name}, which is not locked"
    for name in locked:
        if name not in wanted:
            yield f"{name} is locked, and the stack no longer wants it"


def one_a_line(values: Iterable[str]) -> str:
    """A list of texts, each on a line of its own, so that a change of one is a change of one line."""
    return "[\n" + "".join(f"  {json.dumps(value)},\n" for value in values) + "]"

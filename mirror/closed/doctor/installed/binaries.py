"""Every library and program of a generation, as its headers show it.

It holds the walk and the facts; ``mirror.closed.doctor.installed.linking`` and ``mirror.closed.doctor.installed.gpucode``
judge them.

Rules: a full vLLM stack has 50,000 files and 11 GB, so only names are looked at first, and of the some 500 files that are ELF
only headers are read, several at once; a file that cannot be read is kept with the reason.

Example::

    for binary in scan([generation / "venv", generation / "cuda"]).binaries: ...
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mirror.core.binaries.elf import Elf, MalformedElf, read_elf
from mirror.core.binaries.fatbin import SECTION, Image, read_images
from mirror.core.progress import SILENT, Progress
from mirror.core.system.crew import Crew

_LIBRARY = re.compile(r"\.so(\.[\w.+-]*)?$")
_READERS = 8


@dataclass(frozen=True)
class Binary:
    """One ELF file.

    Attributes:
        path: where it is.
        is_library: by its name; otherwise it is a program.
        elf: its headers; None when they are not sound.
        images: the GPU code in it, with the number of images of each architecture.
        problem: why there are no headers, or no list of GPU code.
    """

    path: Path
    is_library: bool
    elf: Elf | None
    images: Mapping[Image, int] = field(default_factory=dict)
    problem: str = ""

    @property
    def soname(self) -> str:
        """The name that others need it by: its own, or its file's."""
        return self.elf.soname if self.elf and self.elf.soname else self.path.name


@dataclass(frozen=True)
class Scan:
    """What a walk found.

    Attributes:
        binaries: in the order of their paths.
        names: every name by which a library can be found there, those of links too.
    """

    binaries: tuple[Binary, ...] = ()
    names: frozenset[str] = frozenset()

    @property
    def libraries(self) -> tuple[Binary, ...]:
        return tuple(binary for binary in self.binaries if binary.is_library)


def scan(roots: Iterable[Path], progress: Progress = SILENT) -> Scan:
    """Read the headers of every library and program below some directories."""
    names: set[str] = set()
    paths = sorted(set(_candidates(roots, names)))
    with progress.task("doctor", len(paths), "files") as advance, Crew(_READERS) as crew:

        def read(path: Path) -> Binary | None:
            binary = _read(path)
            advance(1)
            return binary

        binaries = tuple(binary for binary in crew.map(read, paths) if binary)
    sonames = (binary.soname for binary in binaries if binary.is_library)
    return Scan(binaries, frozenset((*names, *sonames)))


def _candidates(roots: Iterable[Path], names: set[str]) -> Iterator[Path]:
    """Files that may be ELF, by name or by exec bit; real ones only, but all names of libraries go into ``names``."""
    for root in roots:
        for directory, _, files in os.walk(root):
            in_bin = os.path.basename(directory) == "bin"  # noqa: PTH119 - 50,000 files: text is ten times faster
            for name in files:
                is_library = _LIBRARY.search(name) is not None
                if is_library:
                    names.add(name)
                elif "." in name and not in_bin:
                    continue
                path = f"{directory}/{name}"
                try:
                    facts = os.lstat(path)
                except OSError:
                    continue
                if stat.S_ISREG(facts.st_mode) and (is_library or facts.st_mode & stat.S_IXUSR):
                    yield Path(path)


def _read(path: Path) -> Binary | None:
    is_library = _LIBRARY.search(path.name) is not None
    try:
        with path.open("rb") as stream:
            elf = read_elf(stream, path.name)
            if elf is None:
                return None  # a script, or a linker script that is named like a library
            images: Mapping[Image, int] = {}
            if SECTION in elf.sections:
                try:
                    images = read_images(stream, elf.sections[SECTION], path.name)
                except MalformedElf as exc:
                    return Binary(path, is_library, elf, problem=str(exc))
            return Binary(path, is_library, elf, images)
    except MalformedElf as exc:
        return Binary(path, is_library, None, problem=str(exc))
    except OSError as exc:
        return Binary(path, is_library, None, problem=f"{path} cannot be read: {exc.strerror}")

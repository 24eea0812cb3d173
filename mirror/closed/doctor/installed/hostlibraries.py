"""The libraries of the host that the loader would find, and the symbol versions that its C and C++ libraries offer.

It holds the loader's list of directories, read from its configuration instead of running ``ldconfig``.

Rules: the order is the loader's: ``LD_LIBRARY_PATH``, then ``/etc/ld.so.conf``, then the built-in directories; only names are
looked at until a library's versions are asked for.

Example::

    libraries = read_libraries(os.environ)
    libraries.find("libstdc++.so.6")            # Path('/usr/lib64/libstdc++.so.6')
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.doctor.host.paths import library_path
from mirror.core.binaries.elf import MalformedElf, read_elf
from mirror.core.system.durable import text_of

_MAX_INCLUDES = 200


@dataclass(frozen=True)
class Libraries:
    """Where libraries are, by the name that others need them by.

    Attributes:
        directories: in the loader's order.
        names: name of a file -> the first directory that has it.
    """

    directories: tuple[Path, ...]
    names: Mapping[str, Path]

    def find(self, name: str) -> Path | None:
        """The file that the loader would take for ``name``."""
        return self.names[name] / name if name in self.names else None

    def versions(self, name: str) -> frozenset[str]:
        """The symbol versions that a library defines: ``{"GLIBCXX_3.4.30", ...}``; empty when it cannot be read."""
        path = self.find(name)
        if path is None:
            return frozenset()
        try:
            with path.open("rb") as stream:
                elf = read_elf(stream, str(path))
        except (OSError, MalformedElf):
            return frozenset()
        return frozenset(elf.provides) if elf else frozenset()


def read_libraries(variables: Mapping[str, str], root: Path = Path("/")) -> Libraries:
    """Look at this machine.

    Args:
        root: where ``etc`` and ``usr`` are.
    """
    machine = platform.machine()
    built_in = [f"lib/{machine}-linux-gnu", f"usr/lib/{machine}-linux-gnu", "lib64", "usr/lib64", "lib", "usr/lib"]
    configured = [root / str(place).lstrip("/") for place in _configured(root / "etc/ld.so.conf", root)]
    directories: list[Path] = []
    for place in (*library_path(variables), *configured, *(root / name for name in built_in)):
        if place not in directories and place.is_dir():
            directories.append(place)
    names: dict[str, Path] = {}
    for place in directories:
        for name in _names(place):
            names.setdefault(name, place)
    return Libraries(tuple(directories), names)


def _names(directory: Path) -> list[str]:
    try:
        return [name for name in os.listdir(directory) if ".so" in name]  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return []


def _configured(path: Path, root: Path, depth: int = 0) -> Iterator[Path]:
    """The directories that a file names, and those of the files that it includes (ld.so.conf(5))."""
    for line in text_of(path).splitlines():
        word = line.partition("#")[0].strip()
        if word.startswith("include ") and depth < 4:
            pattern = word[len("include ") :].strip().lstrip("/")
            for included in sorted(root.glob(pattern))[:_MAX_INCLUDES] if pattern else []:
                yield from _configured(included, root, depth + 1)
        elif word.startswith("/"):
            yield Path(word)

"""glibc: the newest version of the C library that a compiled file asks for, held against what the target promises.

The loader refuses a file when the host's C library lacks a symbol version that the file names, whatever the wheel's tag or the
package's metadata promise. ``mirror.core.binaries.elf`` reads the file; whoever opens the artifact decides which files count,
and what is done about one.

Rules: needs that are marked as weak do not count, for the loader starts such a file nevertheless; a file without symbol
versions (a static program, one for musl) asks nothing of glibc; a marker that stands for an ability of the loader counts as the
release that brought it.

Example::

    need = glibc_need(stream, read_elf(stream), "vllm/_C.abi3.so")
    need.above(target)   # "vllm/_C.abi3.so needs GLIBC_2.34 (pthread_create); the target promises glibc 2.31"
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from mirror.core.binaries.elf import Elf, MalformedElf, symbol_wanted
from mirror.core.names import dotted_numbers
from mirror.core.target import Target

_VERSION = re.compile(r"GLIBC_(\d{1,3}(?:\.\d{1,3}){1,2})", re.ASCII)
_MARKER = "GLIBC_ABI_"
_MARKERS = {"GLIBC_ABI_DT_RELR": (2, 36)}
_OTHER_MARKERS = (2, 42)
"""All the others came with 2.42 or later; one that is not known here is not taken for an old one."""


@dataclass(frozen=True)
class GlibcNeed:
    """The newest version that one file asks for.

    Attributes:
        path: of the file, in its artifact.
        machine: the file's, as ``uname -m`` prints it.
        wanted: as it stands in the file, ``"GLIBC_2.34"``.
        symbol: one that is wanted in that version, ``"pthread_create"``; empty when none is found.
    """

    path: str
    machine: str
    wanted: str
    symbol: str = ""

    @property
    def version(self) -> tuple[int, ...]:
        """``(2, 34)``, or ``(2, 2, 5)``."""
        return glibc_version(self.wanted)

    def above(self, target: Target) -> str:
        """What is wrong with it on the target, both sides named; empty when nothing is, or it is for other machines."""
        if self.machine != target.arch or self.version[:2] <= target.glibc_pair:
            return ""
        release = f"glibc {'.'.join(map(str, self.version))}" if self.wanted.startswith(_MARKER) else self.symbol
        detail = f" ({release})" if release else ""
        return f"{self.path} needs {self.wanted}{detail}; the target promises glibc {target.glibc}"


def glibc_need(stream: BinaryIO, elf: Elf, path: str) -> GlibcNeed | None:
    """What a file asks of glibc; None when it asks nothing.

    Args:
        stream: seekable, over the file.
        elf: what ``read_elf`` found in it.

    Raises:
        OSError: when it cannot be read.
    """
    versions = {version for wanted in elf.requires.values() for version in wanted if glibc_version(version)}
    if not versions:
        return None
    newest = max(versions, key=lambda version: (glibc_version(version), version))
    try:
        symbol = symbol_wanted(stream, newest, path)
    except MalformedElf:  # the versions were read; what is wanted in one is said for people only
        symbol = ""
    return GlibcNeed(path, elf.machine, newest, symbol)


def glibc_version(wanted: str) -> tuple[int, ...]:
    """The release that first had a symbol version; empty for what is not glibc's."""
    match = _VERSION.fullmatch(wanted)
    if match:
        return tuple(map(int, match[1].split(".")))
    return _MARKERS.get(wanted, _OTHER_MARKERS) if wanted.startswith(_MARKER) else ()


def newest_glibc(needs: Iterable[GlibcNeed], machine: str) -> str:
    """The oldest release that has all of it, ``"2.34"``; empty when files for this machine ask nothing."""
    versions = [need.version for need in needs if need.machine == machine]
    return ".".join(map(str, max(versions))) if versions else ""


def release_numbers(release: str) -> tuple[int, ...]:
    """``"2.34"`` as numbers; nothing for nothing. What cannot be read is newer than all: better a look too many."""
    if not release:
        return ()
    numbers = dotted_numbers(release)
    return numbers if len(numbers) == len(release.split(".")) else (1 << 30,)


def is_above(release: str, target: Target) -> bool:
    """Whether a release, as a dossier tells it, is newer than the target promises."""
    return release_numbers(release)[:2] > target.glibc_pair

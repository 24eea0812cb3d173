"""Asking a file index: from a file as somebody misses it to the packages that bring it.

What is asked may be a header as it is included (``nv/target``, ``<cuda_fp8.h>``), a library as a linker or a loader names it
(``-lcublas``, ``libcublasLt.so``, ``libnvrtc.so.13``), a program (``ptxas``), a directory (``cub``) or a full path.
``mirror.closed.which.search`` finds what lies outside the index (the driver, links that mirror makes, wheels).

Rules: whole path components are compared, from the end; a library is asked for by its linker name or the beginning of its
version, which finds the file and the links to it alike; there are no wildcards; nothing is guessed: what only comes near is
answered apart, by ``near``.

Example::

    [(match.rpm.name, match.paths) for match in search(index, "nv/target")]
"""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mirror.core.toolkit.fileindex import FileIndex, IndexedRpm

_HOME = re.compile(r"/.*?/cuda(?:-[0-9]+(?:\.[0-9]+)?)?/", re.ASCII)
_INCLUDE = re.compile(r"\s*#\s*include\b")
_LIBRARY = re.compile(r"(lib.+?\.so)((?:\.[0-9]+)*)", re.ASCII)
_ANCHORS = ("include", "lib", "lib64", "bin")
_MOST_NEAR = 5


@dataclass(frozen=True)
class Match:
    """A package that brings what was asked for.

    Attributes:
        rpm: the package.
        paths: the files that were meant, below the CUDA home, the best one first; for a directory, all that it holds.
    """

    rpm: IndexedRpm
    paths: tuple[str, ...]


def wanted_names(file: str) -> tuple[str, ...]:
    """What was asked for as path endings, the likeliest first.

    >>> wanted_names("-lcublas")
    ('libcublas.so', 'libcublas.a')
    >>> wanted_names("/opt/cuda/include/nv/target")
    ('include/nv/target', 'nv/target')
    """
    text = _INCLUDE.sub("", file).strip().strip("<>\"'")
    if text.startswith("-l:"):
        return (text[3:],)
    if text.startswith("-l"):
        return f"lib{text[2:]}.so", f"lib{text[2:]}.a"
    home = _HOME.match(text)
    text = posixpath.normpath(text[home.end() :] if home else text).lstrip("/")
    parts = text.split("/")
    anchors = [number for number, part in enumerate(parts[:-1]) if part in _ANCHORS]
    # lib64 and include are links to directories below targets/; elsewhere a toolkit lies elsewhere.
    return (text, "/".join(parts[anchors[-1] + 1 :])) if anchors else (text,)


def library_name(name: str) -> tuple[str, str] | None:
    """A library's linker name and version, ``("libnvrtc.so", "13")``; None for other files."""
    match = _LIBRARY.fullmatch(posixpath.basename(name))
    return (match[1], match[2][1:]) if match else None


def search(index: FileIndex, file: str) -> tuple[Match, ...]:
    """The packages that bring a file, those of the bundle first; none when no package of the index does."""
    for compare in (is_named, _is_below):
        for wanted in wanted_names(file):
            found = [Match(rpm, paths) for rpm in index.rpms if (paths := _matching(rpm, wanted, compare))]
            if found:
                return tuple(
                    sorted(found, key=lambda match: (not match.rpm.carried, not _ends(match.paths[0], wanted)))
                )
    return ()


def _matching(rpm: IndexedRpm, wanted: str, compare: Callable[[str, str], bool]) -> tuple[str, ...]:
    paths = [path for path in rpm.paths if compare(path, wanted)]
    return tuple(sorted(paths, key=lambda path: (not _ends(path, wanted), len(path), path)))


def is_named(path: str, wanted: str) -> bool:
    """Whether a path is what one of ``wanted_names`` stands for: it ends so, or is another version's file of that library."""
    if _ends(path, wanted):
        return True
    library = library_name(wanted)
    if library is None:
        return False
    other = library_name(path)
    directory = posixpath.dirname(wanted)
    return (
        other is not None
        and other[0] == library[0]
        and f"{other[1]}.".startswith(f"{library[1]}." if library[1] else "")
        and f"/{posixpath.dirname(path)}".endswith(f"/{directory}" if directory else "")
    )


def _ends(path: str, wanted: str) -> bool:
    return f"/{path}".endswith(f"/{wanted}")


def _is_below(path: str, wanted: str) -> bool:
    return f"/{wanted}/" in f"/{path}"


def short_name(path: str) -> str:
    """A file as people name it: a header as it is included, anything else without its directories.

    >>> short_name("targets/x86_64-linux/include/cccl/nv/target")
    'nv/target'
    """
    _, found, included = path.rpartition("/include/")
    return re.sub(r"^cccl/", "", included) if found else posixpath.basename(path)


def near(index: FileIndex, file: str) -> tuple[tuple[str, str], ...]:
    """Files that may have been meant, with their packages: other case first, then other versions, then similar names."""
    names: dict[str, tuple[str, str]] = {}
    for rpm in index.rpms:
        for path in rpm.paths:
            for name in (short_name(path), posixpath.basename(path)):
                names.setdefault(name.lower(), (short_name(path), rpm.name))
    found: list[str] = []
    for wanted in wanted_names(file.lower()):
        found += _near(names, wanted)
    unique = dict.fromkeys(names[name] for name in found)
    return tuple(unique)[:_MOST_NEAR]


def _near(names: dict[str, tuple[str, str]], wanted: str) -> Iterator[str]:
    if wanted in names:
        yield wanted
        return
    library = library_name(wanted)
    if library:
        yield from sorted(name for name in names if (library_name(name) or ("",))[0] == library[0])
    yield from difflib.get_close_matches(wanted, names, n=_MOST_NEAR, cutoff=0.8)
    yield from difflib.get_close_matches(posixpath.basename(wanted), names, n=_MOST_NEAR, cutoff=0.8)

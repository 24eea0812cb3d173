"""The links that a CUDA tree needs before every compiler finds its way in it.

NVIDIA's packages put headers and libraries below ``targets/<triplet>``, where nvcc looks. FlashInfer, torch and CMake look in
``include`` and ``lib64`` of the CUDA home; linkers look for ``libX.so``, which only the devel package brings, and loaders
for the SONAME, which ``ldconfig`` makes on hosts with root (CUDA.md A4, A5).

Left out on purpose: ``stubs/libcuda.so.1``. No linker needs it (it searches ``-L`` for ``-lcuda`` only), and with it a stub
on a library path would be loaded in place of the driver.

Rules: only relative links; a file of a package is never replaced, a link of a package only when it leads nowhere; links are
made in sorted order, so that equal trees get equal links.

Example::

    made = complete(home, "x86_64-linux")
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_LIBRARY = re.compile(r"(?P<stem>lib.+\.so)\.(?P<version>[0-9]+(?:\.[0-9]+)*)")


def complete(home: Path, triplet: str) -> tuple[str, ...]:
    """Make what is missing; returns each link made, as ``"lib64 -> targets/x86_64-linux/lib"``.

    Args:
        home: the tree, written by us alone.
        triplet: NVIDIA's name of the target directory.

    Raises:
        OSError: when the tree cannot be written.
    """
    target = home / "targets" / triplet
    made = _Links(home)
    for directory in (target / "lib", home / "nvvm" / "lib64"):
        if directory.is_dir() and not directory.is_symlink():
            _name_libraries(directory, made)
    for name, real in (("include", target / "include"), ("lib64", target / "lib")):
        if real.is_dir():
            _stand_in(home / name, real, made)
    return tuple(made.lines)


def dangling(home: Path) -> tuple[tuple[str, str], ...]:
    """Each link below ``home`` that leads nowhere, with its target; sorted."""
    found = []
    for directory, names, files in os.walk(home):
        for name in (*names, *files):
            path = Path(directory, name)
            if path.is_symlink() and not path.exists():
                found.append((path.relative_to(home).as_posix(), str(path.readlink())))
    return tuple(sorted(found))


class _Links:
    """Makes links and remembers them."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.lines: list[str] = []

    def make(self, path: Path, target: str) -> None:
        if path.is_symlink():
            path.unlink()
        path.symlink_to(target)
        self.lines.append(f"{path.relative_to(self._home).as_posix()} -> {target}")


def _stand_in(path: Path, real: Path, made: _Links) -> None:
    """Let ``path`` show what ``real`` holds: as one link, or file by file into a directory that is there already."""
    if not path.exists():
        made.make(path, os.path.relpath(real, path.parent))
    elif not path.is_symlink() and path.is_dir():
        for entry in sorted(real.iterdir()):
            _stand_in(path / entry.name, entry, made)


def _name_libraries(directory: Path, made: _Links) -> None:
    """Give each library the names that loaders and linkers ask for: ``libX.so.13`` and ``libX.so``.

    Packages bring the SONAME as a link beside ``libX.so.13.0.96``. Where they do not, it is taken to be the major version.
    """
    versions: dict[str, list[str]] = {}
    for path in sorted(directory.iterdir()):
        match = _LIBRARY.fullmatch(path.name)
        if match and path.exists():
            versions.setdefault(match["stem"], []).append(match["version"])
    for stem, found in sorted(versions.items()):
        soname = min(found, key=len)
        if len(found) == 1 and "." in soname:
            soname = soname.split(".")[0]
            made.make(directory / f"{stem}.{soname}", f"{stem}.{found[0]}")
        if not (directory / stem).exists():
            made.make(directory / stem, f"{stem}.{soname}")

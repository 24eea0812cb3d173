"""Interpreters made from the Python that runs the tests: an ``install_only`` archive, a host's own Python. Runs on Python 3.9.

Example::

    archive = make_interpreter_archive(tmp_path)      # python/bin/python3.11, python/lib/python3.11/...
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tarfile
from collections.abc import Collection
from pathlib import Path

MINOR = "{}.{}".format(*sys.version_info)

_LEFT_OUT = {"test", "site-packages", "dist-packages", "__pycache__", "idlelib", "ensurepip", "lib2to3", "pydoc_data"}


def make_interpreter_archive(directory: Path, without: Collection[str] = ()) -> Path:
    """Write an archive that is laid out as python-build-standalone's are, without what no test needs.

    Args:
        without: more names of files and directories that are left out.
    """
    left_out = {*_LEFT_OUT, *without}
    base = Path(sys.base_prefix)
    standard = base / "lib" / f"python{MINOR}"
    archive = directory / f"cpython-{MINOR}-install_only.tar.gz"
    # Links are followed: where a distribution keeps parts elsewhere, the archive holds the parts.
    with tarfile.open(archive, "w:gz", compresslevel=1, dereference=True) as tar:
        tar.add(os.path.realpath(getattr(sys, "_base_executable", sys.executable)), f"python/bin/python{MINOR}")
        for path in sorted(standard.rglob("*")):
            relative = path.relative_to(standard)
            if path.is_file() and not left_out & set(relative.parts) and not relative.parts[0].startswith("config-"):
                tar.add(path, f"python/lib/python{MINOR}/{relative}")
        for library in sorted((base / "lib").glob("libpython*.so*")):
            if not library.is_symlink():
                tar.add(library, f"python/lib/{library.name}")
        paths = sysconfig.get_paths(scheme="posix_prefix")
        headers = {path.name: path for key in ("platinclude", "include") for path in Path(paths[key]).glob("*.h")}
        for name, path in sorted(headers.items()):
            if name not in left_out:
                tar.add(path, f"python/include/python{MINOR}/{name}")
        for name in ("internal", "cpython"):
            if (Path(paths["include"]) / name).is_dir():
                tar.add(Path(paths["include"]) / name, f"python/include/python{MINOR}/{name}")
    return archive


def make_host_python(home: Path) -> Path:
    """A Python with packages and headers of its own, which can be added and taken away; its library is this one's."""
    standard = Path(os.__file__).parent
    library = home / "lib" / f"python{MINOR}"
    (home / "bin").mkdir(parents=True)
    (library / "site-packages").mkdir(parents=True)
    python = home / "bin" / f"python{MINOR}"
    shutil.copy(os.path.realpath(sys.executable), python)
    for path in standard.iterdir():
        if path.name not in ("site-packages", "dist-packages"):
            (library / path.name).symlink_to(path)
    for shared in Path(sys.base_prefix, "lib").glob(f"libpython{MINOR}*"):
        (home / "lib" / shared.name).symlink_to(shared)
    if Path(sysconfig.get_paths()["include"]).is_dir():
        shutil.copytree(sysconfig.get_paths()["include"], home / "include" / f"python{MINOR}")
    return python

"""An ``install_only`` archive of an interpreter, made from the Python that runs the tests. Runs on Python 3.9.

Example::

    archive = make_interpreter_archive(tmp_path)      # python/bin/python3.11, python/lib/python3.11/...
"""

from __future__ import annotations

import os
import sys
import tarfile
from pathlib import Path

MINOR = "{}.{}".format(*sys.version_info)

_LEFT_OUT = {"test", "site-packages", "dist-packages", "__pycache__", "idlelib", "ensurepip", "lib2to3", "pydoc_data"}


def make_interpreter_archive(directory: Path) -> Path:
    """Write an archive that is laid out as python-build-standalone's are, without what no test needs."""
    base = Path(sys.base_prefix)
    standard = base / "lib" / f"python{MINOR}"
    archive = directory / f"cpython-{MINOR}-install_only.tar.gz"
    # Links are followed: where a distribution keeps parts elsewhere, the archive holds the parts.
    with tarfile.open(archive, "w:gz", compresslevel=1, dereference=True) as tar:
        tar.add(os.path.realpath(getattr(sys, "_base_executable", sys.executable)), f"python/bin/python{MINOR}")
        for path in sorted(standard.rglob("*")):
            relative = path.relative_to(standard)
            if path.is_file() and not _LEFT_OUT & set(relative.parts) and not relative.parts[0].startswith("config-"):
                tar.add(path, f"python/lib/python{MINOR}/{relative}")
        for library in sorted((base / "lib").glob("libpython*.so*")):
            tar.add(library, f"python/lib/{library.name}")
    return archive

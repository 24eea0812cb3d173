"""A Python 3.11 that can be moved, made from Debian's packages, for the proof's ``[interpreter]``.

A real stack pins python-build-standalone's archive, which GitHub serves; this one stands in for it where GitHub is out of
reach. It needs glibc 2.35 and the host's libssl.so.3, libffi.so.8 and libexpat.so.1, and so belongs in no other stack.

Example::

    make_interpreter(Path("python3.11.tar.gz"))
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

_PACKAGES = ("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libpython3.11-dev")


def make_interpreter(output: Path) -> None:
    """Fetch the packages by ``apt-get download`` and write ``python/{bin,lib,include}`` of them as a ``.tar.gz``.

    Debian keeps ``pyconfig.h`` apart for each architecture; it is put where ``sysconfig`` of the moved Python looks for it.

    Raises:
        subprocess.CalledProcessError: apt-get or dpkg-deb failed; both said why on stderr.
    """
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        download = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *_PACKAGES]
        subprocess.run(download, cwd=work, check=True, stdout=subprocess.DEVNULL)
        root = work / "root"
        for package in work.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)
        python = work / "tree"
        for part in ("bin", "lib/python3.11", "include/python3.11"):
            shutil.copytree(root / "usr" / part, python / part, symlinks=True, ignore=_ignored)
        shutil.copy(next(root.glob("usr/include/*/python3.11/pyconfig.h")), python / "include/python3.11")
        with tarfile.open(output, "w:gz", compresslevel=6) as archive:
            archive.add(python, "python")


def _ignored(directory: str, names: list[str]) -> list[str]:
    """What is not needed, and links that lead out of the archive."""
    there = Path(directory)
    left_out = ("__pycache__", "test", "idlelib", "sitecustomize.py", "EXTERNALLY-MANAGED")
    return [name for name in names if name in left_out or name.startswith("config-") or (there / name).is_symlink()]

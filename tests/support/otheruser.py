"""Another user of the same host: who may do nothing but what everybody may.

Only root can become somebody else, and CI runs as root; elsewhere the tests that need this are skipped.

Example::

    finished = run_as_other(["sh", "-c", "id -u"], home)
"""

from __future__ import annotations

import encodings.ascii  # noqa: F401 - the other user may be unable to reach the library of this Python
import os
import subprocess
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

import pytest

OTHER = 54321
"""A user id without a name, as containers and cluster nodes have them."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@contextmanager
def shared_directory() -> Iterator[Path]:
    """A directory that everybody can reach; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="mirror-shared-") as name:
        Path(name).chmod(0o755)
        yield Path(name).resolve()


def home_of_other(directory: Path) -> Path:
    """Make a home directory for the other user."""
    home = directory / "home"
    home.mkdir(mode=0o700)
    os.chown(home, OTHER, OTHER)
    return home


def run_as_other(
    command: list[str], home: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program as the other user, in their home directory."""
    return subprocess.run(
        command,
        user=OTHER,
        group=OTHER,
        extra_groups=[],
        cwd=home,
        env={"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", **(environment or {})},
        umask=0o077,
        capture_output=True,
        text=True,
    )


def call_as_other(function: Callable[[], object]) -> None:
    """Call a function in a process of the other user's; it must not raise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 3.12 warns of forks in a process with threads
        child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(OTHER)
            os.setuid(OTHER)
            function()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - nothing may reach the test's own process
            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def listing(root: Path) -> dict[str, tuple[int, int, int]]:
    """Every path of a tree, with what changes when somebody writes there."""
    found = {}
    for path in (root, *root.rglob("*")):
        facts = path.lstat()
        found[str(path)] = (facts.st_mode, facts.st_size, facts.st_mtime_ns)
    return found


def close_for_writing(root: Path) -> None:
    """``chmod -R a-w``."""
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)

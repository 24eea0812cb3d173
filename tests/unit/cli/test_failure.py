"""What the system refuses for a reason that is no file's is told as that, with the step that helps."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.bundles import BundleSimulator
from tests.support.deltas import Pair, make_pair
from tests.support.faults import HOUSE, needs_strace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("made"))


def failed(words: list[str], cwd: Path, before: str = "", limit: Callable[[], None] | None = None) -> list[str]:
    """What a command that fails says, but for what it did: ``error``, ``hint`` and ``ref``."""
    command = f"{before} {shlex.join([sys.executable, '-m', 'mirror.cli.main', *words])}"
    environment = {
        **os.environ,
        "PYTHONPATH": str(HOUSE),
        "HOME": str(cwd.parent),
        "MIRROR_HOME": str(cwd.parent / "t"),
    }
    done = subprocess.run(
        ["sh", "-c", command], cwd=cwd, env=environment, capture_output=True, text=True, preexec_fn=limit
    )
    assert done.returncode, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-3:]


@pytest.mark.parametrize(
    "words",
    ["status --prefix p", "gc --prefix p", "run --prefix p -- true", "env --prefix p", "which --prefix p nvcc",
     "installer", "verify b.tar", "detect -o x", "apply b.delta"],
)  # fmt: skip
def test_a_working_directory_that_was_removed_is_told_whatever_was_looked_for(tmp_path: Path, words: str) -> None:
    (tmp_path / "gone").mkdir()
    error, hint, _ = failed(words.split(), tmp_path / "gone", 'rmdir "$PWD"; ')
    assert hint.startswith("hint: 'cd' to a directory that is there, and run again")
    assert "cannot read a file" not in error and "cannot write a file" not in error


def test_a_file_that_is_not_there_is_not_the_working_directorys_fault(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    assert failed(["verify", "b.tar"], tmp_path / "here")[:2] == [
        "error: cannot read b.tar: No such file or directory",
        "hint: Check the path and its permissions.",
    ]


def carried(made: Pair, place: Path) -> list[str]:
    """The words that apply a delta which lies there, with its base."""
    place.mkdir()
    for path in (made.old, made.delta):
        shutil.copy(path, place)
    return ["apply", made.delta.name]


def test_nowhere_to_put_temporary_files_is_told_as_that(made: Pair, tmp_path: Path) -> None:
    words = carried(made, tmp_path / "d")
    error, hint, ref = failed(words, tmp_path / "d", limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    assert error.startswith(
        "error: cannot write a temporary directory in the one that TMPDIR names, or else in /tmp: No usable "
    )
    assert hint.startswith("hint: Set TMPDIR to a directory in which you may write and there is room, and run again.")
    assert ref == "ref: unwritable"


@pytest.mark.parametrize("count", [6, 7, 8])
def test_whatever_is_the_file_too_many_the_limit_is_told(made: Pair, tmp_path: Path, count: int) -> None:
    words = carried(made, tmp_path / "d")
    error, hint, _ = failed(
        words, tmp_path / "d", limit=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
    )
    assert error.endswith(": Too many open files")
    assert hint.startswith("hint: It is no fault of that file's: 'ulimit -n' shows how many files")


@needs_strace
def test_a_bundle_that_the_system_cannot_look_at_is_one_that_cannot_be_read(tmp_path: Path) -> None:
    place = tmp_path / "d"
    place.mkdir()
    BundleSimulator().write(place / "b.tar")
    inject = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-P",
        str(place / "b.tar"),
        "-e",
        "inject=fstat,newfstatat:error=EIO",
    ]
    error, _, ref = failed(["verify", str(place / "b.tar")], place, shlex.join(inject))
    assert (error, ref) == (f"error: cannot read {place}/b.tar: Input/output error", "ref: unreadable")

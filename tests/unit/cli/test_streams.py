"""Closed and broken standard streams: the result and the exit code stay what they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mirror.closed.prefix.generations import Prefix
from mirror.connected.packing.installer import write_installer
from tests.support.generations import put_generation


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with mirror.pyz and a stack of three generations, one of them damaged."""
    write_installer(tmp_path / "mirror.pyz")
    prefix = Prefix(tmp_path / "p")
    for sequence in (1, 2, 3):
        put_generation(prefix, sequence)
    return tmp_path


def shell(place: Path, line: str) -> subprocess.CompletedProcess[str]:
    line = line.replace("mirror ", f"{sys.executable} -I mirror.pyz ")
    return subprocess.run(["bash", "-c", line], cwd=place, capture_output=True, text=True)


@pytest.mark.group(64)
@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", "> /dev/null 2>&-"])
def test_closed_streams_change_nothing(place: Path, closing: str) -> None:
    done = shell(place, f"mirror rollback --prefix p {closing}")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    current = Prefix(place / "p").current()
    assert current is not None
    assert current.identity.sequence == 2
    assert shell(place, f"mirror rollback --prefix p --to 9 {closing}").returncode == 94


def test_what_goes_to_a_closed_stderr_is_not_found_in_the_result(place: Path) -> None:
    done = shell(place, "mirror rollback --prefix p --to 9 --json 2>&-")
    assert done.stdout.startswith("{")
    assert "error: " not in done.stdout


@pytest.mark.parametrize("pipe", ["| true", "2>&1 | true", "| head -1"])
def test_a_reader_that_goes_away_changes_no_exit_code(place: Path, pipe: str) -> None:
    for words, code in (("status --prefix p", 0), ("rollback --prefix p --to 9", 94), ("--help", 0), ("status --x", 2)):
        done = shell(place, f"mirror {words} {pipe}; exit ${{PIPESTATUS[0]}}")
        assert (done.returncode, done.stderr.count("Traceback")) == (code, 0), words


@pytest.mark.parametrize(
    "words", ["status --prefix p --json", "status --prefix p", "--version", "--help", "help exit-codes"]
)
def test_a_full_disk_is_still_an_error(place: Path, words: str) -> None:
    done = shell(place, f"mirror {words} > /dev/full")
    assert done.returncode == 10
    assert done.stderr.startswith("error: cannot write the standard output: No space left on device\n")
    assert "\nhint: Only what the command prints is lost: what it was to do may be done." in done.stderr

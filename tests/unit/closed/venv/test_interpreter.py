from __future__ import annotations

import json
import os
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.closed.venv.interpreter import Interpreter, ask, find_interpreter, host_candidates, unpack_interpreter
from mirror.core.archives.untar import BadArchive
from mirror.core.target import Target
from tests.support.interpreters import MINOR, make_interpreter_archive

TARGET = Target(MINOR, os.uname().machine, "2.17")
FACTS = {
    "path": "/opt/python",
    "implementation": "cpython",
    "version": f"{MINOR}.99",
    "machine": TARGET.arch,
    "abi": "",
    "wide": True,
    "headers": True,
    "venv": True,
}
OPT = Interpreter(Path("/opt/python"), f"{MINOR}.99", has_headers=True, machine=TARGET.arch)


def answering(path: Path, **changes: object) -> Path:
    """An executable that answers as some Python would."""
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps({**FACTS, **changes})}\nEND\n")
    path.chmod(0o755)
    return path


def test_the_running_interpreter_fits_its_own_version() -> None:
    found = find_interpreter(TARGET).found
    assert found is not None
    assert found.version == "{}.{}.{}".format(*sys.version_info)
    assert Path(os.path.realpath(found.path)) == Path(os.path.realpath(sys.executable))


def test_the_interpreter_behind_a_venv_is_taken_not_the_venv() -> None:
    judged = ask(Path(sys.executable), TARGET)
    assert isinstance(judged, Interpreter)
    assert not (judged.path.parent.parent / "pyvenv.cfg").exists()


def test_the_first_that_fits_is_taken_and_the_others_are_explained(tmp_path: Path) -> None:
    old, good = answering(tmp_path / "old", version="3.6.15"), answering(tmp_path / "good")
    search = find_interpreter(TARGET, [tmp_path / "none", old, good, tmp_path / "later"])
    assert search.found == OPT
    assert search.rejected == (
        f"{tmp_path}/none does not answer as a Python does ({tmp_path}/none: No such file or directory)",
        f"{tmp_path}/old is Python 3.6.15",
    )


def test_one_with_headers_is_preferred_where_they_are_wanted(tmp_path: Path) -> None:
    bare, whole = answering(tmp_path / "bare", headers=False), answering(tmp_path / "whole")
    assert find_interpreter(TARGET, [bare, whole], wants_headers=True).found == OPT
    without = replace(OPT, has_headers=False)
    assert find_interpreter(TARGET, [bare, whole]).found == without
    assert find_interpreter(TARGET, [bare], wants_headers=True).found == without


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"implementation": "pypy"}, "is pypy, not CPython"),
        ({"version": MINOR + "1.2"}, f"is Python {MINOR}1.2"),
        ({"abi": "t"}, f"is Python {MINOR}.99 with the ABI 't', which no ordinary wheel fits"),
        ({"machine": "sparc"}, f"is Python {MINOR}.99 for sparc"),
        ({"wide": False}, f"is Python {MINOR}.99 for {TARGET.arch}, 32 bit"),
    ],
)
def test_says_why_an_interpreter_does_not_fit(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    path = answering(tmp_path / "python", **changes)
    assert ask(path, TARGET) == f"{path} {words}"


@pytest.mark.parametrize("output", ["", "[]", '{"path": 1}', "not json"])
def test_a_program_that_is_no_python_is_rejected(tmp_path: Path, output: str) -> None:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)
    assert "does not answer as a Python does" in str(ask(path, TARGET))


def test_relative_path_entries_are_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(tmp_path / "python9.9")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", ":.:bin")
    assert [path for path in host_candidates("9.9") if tmp_path in path.resolve().parents] == []


def test_looks_on_the_path_and_where_pyenv_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyenv = tmp_path / ".pyenv/versions/9.9.1/bin"
    for directory in (tmp_path / "bin", pyenv):
        directory.mkdir(parents=True)
        answering(directory / "python9.9")
    (tmp_path / "bin/python3").symlink_to("python9.9")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert list(host_candidates("9.9"))[1:3] == [tmp_path / "bin/python9.9", pyenv / "python9.9"]


def test_without_a_home_the_other_places_are_still_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = answering(tmp_path / "python9.9")
    (tmp_path / ".pyenv/versions/9.9.1/bin").mkdir(parents=True)
    answering(tmp_path / ".pyenv/versions/9.9.1/bin/python9.9")
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv("HOME", tmp_path.name)  # relative, so none
    monkeypatch.setenv("PATH", str(tmp_path))
    ours = [path for path in host_candidates("9.9") if tmp_path in Path(os.path.realpath(path)).parents]
    assert ours == [python]


def test_a_carried_interpreter_runs_where_it_was_unpacked(tmp_path: Path) -> None:
    interpreter = unpack_interpreter(make_interpreter_archive(tmp_path), tmp_path / "python", TARGET, 1 << 30)
    assert interpreter.path == tmp_path / f"python/bin/python{MINOR}"
    assert interpreter.version == "{}.{}.{}".format(*sys.version_info)


def test_a_carried_archive_without_an_interpreter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "x", "python/bin/python2")
    with pytest.raises(BadArchive, match="does not answer as a Python does"):
        unpack_interpreter(tmp_path / "a.tar.gz", tmp_path / "python", TARGET, 1000)

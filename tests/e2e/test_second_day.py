"""The second day: a stack is made, carried, changed, carried again, rolled back and forth, and old generations go.

Every step is a command as a user types it, in two directories and with two homes: the builder's and the operator's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import CUT, can_cut, find_python, run

pytestmark = pytest.mark.index


class Builder:
    """The connected machine, in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "lockfiles").mkdir(parents=True)
        self.environment = {"MIRROR_HOME": str(directory / "home")}

    def __call__(self, *words: object) -> str:
        return run([sys.executable, "-m", "mirror.cli.main", *words], self.environment, cwd=self.directory)

    def json(self, *words: object) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self(*words, "--json"))
        return document

    def refused(self, *words: object) -> str:
        command = [sys.executable, "-m", "mirror.cli.main", *map(str, words)]
        done = subprocess.run(
            command, cwd=self.directory, env={**os.environ, **self.environment}, capture_output=True, text=True
        )
        assert done.returncode == 58, done.stderr
        return done.stderr


class Operator:
    """The closed host: an isolated Python, no network, and the files that were carried across."""

    def __init__(self, directory: Path, installer: Path) -> None:
        directory.mkdir()
        self.directory, self.installer, self.prefix = directory, installer, directory / "data" / "mirror" / "demo"
        self.environment = {
            "MIRROR_HOME": str(directory / "keys"), "HOME": str(directory), "XDG_DATA_HOME": str(directory / "data")
        }  # fmt: skip

    def __call__(self, *words: object) -> str:
        command = [*(CUT if can_cut() else []), sys.executable, "-I", self.installer, *words]
        return run(command, self.environment, cwd=self.directory)

    def refused(self, *words: object) -> str:
        """All that a command says which fails."""
        command = [*(CUT if can_cut() else []), sys.executable, "-I", self.installer, *words]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            list(map(str, command)), cwd=self.directory, env=environment, capture_output=True, text=True
        )
        assert done.returncode, done.stdout
        return done.stdout + done.stderr

    def installed(self) -> str:
        """The version of idna that a program gets that sources env.sh."""
        script = f'. "{self.prefix}/current/env.sh" && python -c "import idna; print(idna.__version__)"'
        return run(["bash", "-euc", script]).strip()

    def generations(self) -> list[Path]:
        return sorted(path for path in (self.prefix / "gens").iterdir() if (path / "COMPLETE").exists())


def test_a_stack_is_made_carried_changed_carried_again_and_rolled_back(tmp_path: Path) -> None:
    if find_python("3.11") is None:
        pytest.skip("no Python 3.11 on this machine")
    builder = Builder(tmp_path / "builder")
    toml = builder.directory / "lockfiles" / "demo.toml"

    # The first day: init, lock, bundle, install.
    assert builder("init", "demo", "idna==3.6", "six<1.17").endswith("next: mirror lock demo\n")
    locked = builder.json("lock", "demo")
    assert [(one["project"], one["kind"]) for one in locked["kept_out"]] == [("six", "limit")]
    first = builder.json("bundle", "demo", "-o", "first.tar")
    builder("installer", "-o", "mirror.pyz")
    operator = Operator(tmp_path / "closed", builder.directory / "mirror.pyz")
    operator("trust", "add", builder.directory / "first.tar", "--fingerprint", first["root_fingerprint"])
    operator("install", builder.directory / "first.tar")
    assert operator.installed() == "3.6"

    # The second: another version is wished for. Nothing may be locked, then it is, and six stays where it was.
    six = next(line for line in (toml.parent / "demo.txt").read_text().splitlines() if line.startswith("six=="))
    toml.write_text(toml.read_text().replace("idna==3.6", "idna==3.7").replace("six<1.17", "six"))
    said = builder.refused("bundle", "lockfiles/demo.toml", "--locked", "-o", "second.tar")
    assert "requirements asks for idna==3.7, the lock has 3.6" in said and "mirror lock demo`" in said
    second = builder.json("bundle", "--lock", "lockfiles/demo.txt", "-o", "second.tar")
    assert six in (toml.parent / "demo.txt").read_text().splitlines()
    assert any("mirror lock demo --upgrade six takes the newer" in note for note in second["notes"])
    assert second["sequence"] > first["sequence"]
    # Once more: what was told of the locking is no part of it, and what stands is not written again.
    written = (builder.directory / "second.tar").stat()
    again = builder.json("bundle", "--lock", "lockfiles/demo.txt", "-o", "second.tar")
    assert again["sha256"] == second["sha256"]
    assert (builder.directory / "second.tar").stat().st_ctime_ns == written.st_ctime_ns
    operator("install", builder.directory / "second.tar")
    assert operator.installed() == "3.7"
    _, newer = operator.generations()

    # Back, and there again; then what is not needed goes.
    operator("rollback")
    assert operator.installed() == "3.6"
    operator("rollback", "--to", newer.name[: max(1, len(newer.name) - 4)])
    assert operator.installed() == "3.7"
    operator("gc", "--keep", "0")
    assert operator.generations() == [newer]
    assert operator.installed() == "3.7"

    # A comment moves no pin, and the bundle of it is a later one that the host takes.
    toml.write_text(toml.read_text() + "# reviewed\n")
    third = builder.json("bundle", "demo", "-o", "third.tar")
    assert third["sequence"] > second["sequence"] and third["contents"]["wheels"] == second["contents"]["wheels"]
    operator("install", builder.directory / "third.tar")
    assert operator.installed() == "3.7"

    moved = builder.json("lock", "demo", "--upgrade", "six")["moved"]
    assert [one["name"] for one in moved] == ["six"]

"""What is printed can be typed: by the name that mirror was called by, always with -I."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.cli.caller import name_of, spoken
from mirror.closed.which.place import NoFileIndex
from mirror.connected.packing.installer import write_installer
from tests.support.bundles import BundleSimulator

PYZ = Path("/x/mirror.pyz")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with mirror.pyz in it, under a name that a shell must quote."""
    directory = tmp_path_factory.mktemp("a place")
    write_installer(directory / "mirror.pyz")
    return directory


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        (["python3.9", "-I", "mirror.pyz", "verify", "b.tar"], "python3.9 -I mirror.pyz"),
        (["python3", "mirror.pyz", "verify", "b.tar"], "python3 -I mirror.pyz"),
        (["python3", "-W", "error", "mirror.pyz"], "python3 -I -W error mirror.pyz"),
        (["python3", "-sI", "mirror.pyz"], "python3 -sI mirror.pyz"),
        ([], "python3 -I mirror.pyz"),
    ],
)
def test_mirror_pyz_is_named_as_it_was_typed(tmp_path: Path, typed: list[str], name: str) -> None:
    pyz = tmp_path / "mirror.pyz"
    pyz.touch()
    assert name_of("mirror.pyz", typed, {}, pyz) == name


def test_an_installed_mirror_is_mirror(tmp_path: Path) -> None:
    assert name_of("/venv/bin/mirror", ["/venv/bin/python", "/venv/bin/mirror"], {}, tmp_path) == "mirror"


def test_the_launcher_is_mirror_only_while_it_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = tmp_path / "my bin/mirror"
    launcher.parent.mkdir()
    launcher.write_text("#!/bin/sh\n")
    launcher.chmod(0o755)
    options: dict[str, object] = {"mirror": str(launcher)}
    monkeypatch.setenv("PATH", str(launcher.parent))
    assert name_of("x", [], options, tmp_path) == "mirror"
    monkeypatch.setenv("PATH", os.defpath)
    assert name_of("x", [], options, tmp_path) == f"'{launcher}'"


def test_hints_and_help_of_mirror_pyz_can_be_typed(place: Path) -> None:
    command = [sys.executable, "-I", "mirror.pyz"]
    name = f"{sys.executable} -I mirror.pyz"
    refused = subprocess.run([*command, "status", "x", "--prefix", "none"], cwd=place, capture_output=True, text=True)
    assert f"hint: Name a stack, or its directory with --prefix; '{name} install' installs one." in refused.stderr
    for words in (["--help"], ["rollback", "--help"], ["trust", "add", "--help"], ["run", "--help"]):
        shown = subprocess.run([*command, *words], cwd=place, capture_output=True, text=True, check=True).stdout
        usage = " ".join(shown.split("\n\n")[0].split())
        assert usage.startswith(f"usage: {name} "), usage
    told = subprocess.run([*command, "--help"], cwd=place, capture_output=True, text=True, check=True).stdout
    assert f"`{name} COMMAND --help` shows a command's options, `{name} help` the handbook." in " ".join(told.split())


def test_what_is_typed_on_the_connected_machine_is_mirrors() -> None:
    words = "'mirror status' lists them; on the connected machine, 'mirror which FILE --stack NAME'"
    assert spoken(words, "pyz") == words.replace("'mirror status", "'pyz status")
    words = "on a connected machine: `mirror trust add k.pub` and `mirror trust rotate`; `{} trust show`. `{} status`"
    assert spoken(words.format("mirror", "mirror"), "pyz") == words.format("pyz", "pyz")
    assert spoken(NoFileIndex.hint, "pyz") == NoFileIndex.hint


def test_the_report_that_mirror_pyz_writes_has_its_commands(place: Path, mirror_home: Path) -> None:
    BundleSimulator().store(mirror_home)
    BundleSimulator().write(place / "b.tar")
    command = [sys.executable, "-I", "mirror.pyz", "report", "b.tar"]
    environment = {**os.environ, "MIRROR_HOME": str(mirror_home)}
    subprocess.run(command, cwd=place, env=environment, capture_output=True, check=True)
    page = (place / "b.tar.report.html").read_text("utf-8")
    assert "python3 -I mirror.pyz reject b.tar" in page
    assert "mirror reject" not in page and sys.executable not in page  # it is read on other machines

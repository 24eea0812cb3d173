"""What a short command imports: with Python files compiled from a zip, that is what most of its time is spent on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mirror.connected.packing.installer import write_installer
from tests.support.bundles import BundleSimulator
from tests.support.wheels import make_wheel

PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")

_COUNTING = """
import atexit, runpy, sys
compiled = []
sys.addaudithook(lambda event, words: event == "compile" and compiled.append(words[1]))
atexit.register(lambda: print(*map(str, compiled), file=sys.stderr))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mirror.pyz, a small bundle, and the trust in it."""
    place = tmp_path_factory.mktemp("home")
    write_installer(place / "mirror.pyz")
    simulator = BundleSimulator()
    simulator.add_wheel(make_wheel(place, "left-pad", "1.0"))
    simulator.write(place / "small.tar")
    simulator.store(place)
    return place


def compiled(python: Path | str, home: Path, *words: str) -> Counter[str]:
    """How often each module of the installer was compiled while a command ran."""
    pyz = home / "mirror.pyz"
    command = [python, "-I", "-c", _COUNTING, pyz, *words]
    environment = {**os.environ, "MIRROR_HOME": str(home)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    within = (name for name in done.stderr.split() if name.startswith(f"{pyz}/"))
    return Counter(name[len(f"{pyz}/") :] for name in within)


@pytest.mark.parametrize("version", PYTHONS)
def test_the_installer_compiles_each_module_once_on_every_python(home: Path, version: str) -> None:
    """zipimport does it twice, to learn a file's name and to run it; the installer has an importer that knows the name."""
    python = next(iter(sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))), None)
    if python is None:
        pytest.skip(f"no Python {version} here")
    found = compiled(python, home, "verify", str(home / "small.tar"))
    assert found["mirror/core/bundle/reader.py"] == 1
    del found["__main__.py"]  # Python's own importer reads that one
    assert set(found.values()) == {1}


@pytest.mark.parametrize(
    ("words", "most"),
    [
        (("--version",), 8),
        (("--help",), 14),
        (("verify", "{home}/small.tar"), 67),
        (("inspect", "{home}/small.tar"), 67),
    ],
)
def test_a_short_command_of_the_installer_compiles_few_modules(home: Path, words: tuple[str, ...], most: int) -> None:
    """The limits leave room for a few more; who needs many more for one option imports them where that option is met."""
    found = compiled(sys.executable, home, *(word.format(home=home) for word in words))
    assert "__main__.py" in found
    assert len(found) <= most, sorted(found)


def test_what_only_options_of_verify_need_is_imported_with_them(home: Path) -> None:
    plain = compiled(sys.executable, home, "verify", str(home / "small.tar"))
    deep = compiled(sys.executable, home, "verify", "--deep", str(home / "small.tar"))
    for module in ("mirror/review/report/deep.py", "mirror/core/vetting/wheel.py", "mirror/core/toolkit/carried.py"):
        assert (module in plain, module in deep) == (False, True)
    assert not {name for name in plain if name.startswith(("mirror/core/policy/", "mirror/core/vetting/"))}


def test_pages_are_read_from_the_installer(home: Path) -> None:
    command = [sys.executable, "-I", str(home / "mirror.pyz"), "help", "trust"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("Who is trusted")


def test_no_file_is_written_to_start(home: Path) -> None:
    """No bytecode is kept anywhere: what runs is what the installer's digest speaks of."""
    before = sorted(home.rglob("*"))
    environment = {"HOME": str(home), "MIRROR_HOME": str(home), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-I", str(home / "mirror.pyz"), "verify", str(home / "small.tar")]
    subprocess.run(command, capture_output=True, check=True, env=environment)
    assert sorted(home.rglob("*")) == before

"""mirror.pyz under Pythons that it is not for: too old, or built without a part of the standard library."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mirror.cli.failure import OutOfMemory, PythonIncomplete, named
from mirror.connected.packing.installer import write_installer
from tests.unit.cli.commands.closed.test_install import python


@pytest.fixture
def installer(tmp_path: Path) -> Path:
    write_installer(tmp_path / "mirror.pyz")
    return tmp_path / "mirror.pyz"


@pytest.mark.group(63)
@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7", "3.8"])
@pytest.mark.parametrize("words", [[], ["install", "bundle.tar"]])
def test_an_older_python_gets_one_sentence(installer: Path, version: str, words: list[str]) -> None:
    ran = subprocess.run([python(version), str(installer), *words], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == f"mirror.pyz needs Python 3.9 or newer; this is Python {version}\n"


@pytest.mark.group(63)
def test_what_an_older_python_reads_first_is_no_syntax_error_to_it(installer: Path) -> None:
    with zipfile.ZipFile(installer) as archive:
        ast.parse(archive.read("__main__.py"), feature_version=(3, 4))


WITHOUT = """
import runpy, sys
for name in sys.argv[2:4]:
    sys.modules[name] = None  # an import of it fails as that of an absent one
sys.argv = [sys.argv[1], *sys.argv[4:]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.group(63)
@pytest.mark.parametrize("module", ["lzma", "bz2", "zlib", "ctypes"])
def test_a_module_of_the_standard_library_that_was_not_built_is_named(installer: Path, module: str) -> None:
    words = [str(installer), module, f"_{module}", "doctor", "--quick"]
    ran = subprocess.run([sys.executable, "-I", "-c", WITHOUT, *words], capture_output=True, text=True)
    version = ".".join(map(str, sys.version_info[:3]))
    assert ran.returncode == PythonIncomplete.exit_code
    assert ran.stderr.startswith(
        f"error: Python {version} ({sys.executable}) has no module {module}, which mirror needs\n"
    )


@pytest.mark.group(63)
@pytest.mark.parametrize("module", ["ssl", "sqlite3", "ensurepip", "readline", "curses"])
def test_other_modules_may_be_absent(installer: Path, module: str) -> None:
    words = [str(installer), module, f"_{module}", "gc", "--prefix", str(installer.parent / "p")]
    ran = subprocess.run([sys.executable, "-I", "-c", WITHOUT, *words], capture_output=True, text=True)
    assert "nothing is installed in" in ran.stderr


@pytest.mark.group(49, 63)
@pytest.mark.parametrize(
    ("exc", "error"),
    [
        (ModuleNotFoundError("No module named '_lzma'", name="_lzma"), PythonIncomplete),
        (MemoryError(), OutOfMemory),
        (RuntimeError("can't start new thread"), OutOfMemory),
    ],
)
def test_what_the_machine_refuses_is_no_bug(exc: Exception, error: type[Exception]) -> None:
    assert isinstance(named(exc), error)


def test_a_module_of_mirror_itself_that_is_absent_is_one() -> None:
    assert named(ModuleNotFoundError("No module named 'mirror.x'", name="mirror.x")).ref == "bug"

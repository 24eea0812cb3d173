"""mirror.pyz under Pythons that it is not for: too old, or built without a part of the standard library."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from mirror.cli.failure import ModuleUnloadable, OutOfMemory, PythonIncomplete, named
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


BESIDE = """
import runpy, sys
sys.path.insert(0, sys.argv[1])  # what lies there is found first
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.group(49, 63)
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (f"_bz2{EXTENSION_SUFFIXES[0]}", b"no library", f"_bz2{EXTENSION_SUFFIXES[0]}: "),
        ("ctypes.pyc", MAGIC_NUMBER + bytes(12) + b"\xe3", "marshal data too short"),
        ("ctypes.py", b"def", "invalid syntax (ctypes.py, line 1)"),
    ],
)
def test_a_module_that_python_cannot_load_is_no_bug_of_mirror(
    installer: Path, name: str, content: bytes, words: str
) -> None:
    (installer.parent / name).write_bytes(content)
    ran = subprocess.run(
        [sys.executable, "-I", "-c", BESIDE, str(installer.parent), str(installer), "doctor", "--quick"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == ModuleUnloadable.exit_code
    assert f"({sys.executable}) could not load a part of itself or of mirror: " in ran.stderr
    assert words in ran.stderr


REPLACED = """
import pathlib, sys
pyz = sys.argv[1]
sys.path.insert(0, pyz)
from mirror.cli import failure
from mirror.cli.main import main
content = pathlib.Path(pyz).read_bytes()
pathlib.Path(pyz).write_bytes(content[: len(content) // 2] if sys.argv[2] == "cut" else b"")
if sys.argv[2] == "gone":
    pathlib.Path(pyz).unlink()
sys.exit(main(["doctor", "--quick"]))
"""


@pytest.mark.group(63)
@pytest.mark.parametrize("how", ["cut", "emptied", "gone"])
def test_an_installer_that_is_replaced_while_it_runs_is_told(installer: Path, how: str) -> None:
    ran = subprocess.run([sys.executable, "-I", "-c", REPLACED, str(installer), how], capture_output=True, text=True)
    assert (ran.returncode, "could not load a part of itself or of mirror: " in ran.stderr) == (8, True), ran.stderr


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

"""What servers compile at their first start, compiled here: real gcc, real interpreters and venvs, with and without headers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.closed.doctor.trial import try_out
from mirror.closed.environment.variables import Environment
from mirror.closed.host.machine import Host, read_host
from mirror.closed.prefix.check import FAILED, PASSED, SKIPPED, Check
from mirror.closed.selftest.firststart import FirstStart
from mirror.closed.selftest.workbench import Workbench
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.logs.finding import PROBLEM
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from tests.support.interpreters import make_host_python

DIGEST = Sha256Hex("ab" * 32)
RPM = Artifact("rpms/cuda-driver-devel-13-0.rpm", 1, DIGEST, "cuda-driver-devel-13-0")
MINOR = f"python{sys.version_info[0]}.{sys.version_info[1]}"
GCC = shutil.which("gcc")
NO_GPU = replace(read_host(), driver="", gpus=0)
needs_gcc = pytest.mark.skipif(GCC is None, reason="no gcc on this machine")
needs_headers = pytest.mark.skipif(
    not Path(sysconfig.get_paths()["include"], "Python.h").exists(), reason="this Python has no headers"
)


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """A Python of its own, whose headers can be taken away."""
    make_host_python(tmp_path / "python")
    return tmp_path / "python"


@pytest.fixture
def venv(interpreter: Path, tmp_path: Path) -> Path:
    """A generation with a venv of that Python."""
    (tmp_path / "gen").mkdir()
    command = [interpreter / "bin" / MINOR, "-I", "-m", "venv", "--without-pip", tmp_path / "gen/venv"]
    subprocess.run([str(word) for word in command], check=True)
    return tmp_path / "gen"


def environment(generation: Path, *projects: str, artifacts: tuple[Artifact, ...] = ()) -> Environment:
    target = Target(MINOR[6:], "x86_64", "2.28", "sm_90a", "13.0")
    wheels = tuple(Artifact(f"wheels/{name}-1-py3-none-any.whl", 1, DIGEST, name) for name in projects)
    return Environment(generation, Manifest("h100", 5, target, (*artifacts, *wheels)))


def checks(
    generation: Path, *projects: str, host: Host = NO_GPU, artifacts: tuple[Artifact, ...] = (), **variables: str
) -> list[Check]:
    work = generation / "work"
    work.mkdir(exist_ok=True)
    given = {"PATH": os.environ["PATH"], "TMPDIR": str(work), **variables}
    made = environment(generation, *projects, artifacts=artifacts)
    return [attempt() for attempt in FirstStart(Workbench(made, host, given, work)).attempts()]


def test_nothing_is_tried_of_what_the_stack_does_not_have(tmp_path: Path) -> None:
    assert checks(tmp_path, "mistral-common") == []


@needs_gcc
@needs_headers
def test_an_extension_is_compiled_imported_and_called(venv: Path) -> None:
    assert checks(venv, "vllm") == [Check("compile a C extension with Python.h", PASSED)]


@needs_gcc
@needs_headers
def test_a_python_without_its_header_is_named(venv: Path, interpreter: Path) -> None:
    (interpreter / "include" / MINOR / "Python.h").unlink()
    (found,) = checks(venv, "vllm")
    assert (found.name, found.outcome) == ("compile a C extension with Python.h", FAILED)
    first, last = found.detail.splitlines()[0], found.detail.splitlines()[-1]
    assert first.endswith("fatal error: Python.h: No such file or directory")
    assert last == (
        f"Python.h is missing: {interpreter}/bin/{MINOR} looks for its headers in {interpreter}/include/{MINOR}. Triton and "
        "torch compile with them at a server's first start: name a Python that has its headers with 'mirror install --python "
        "FILE', ask for this one's -devel package, or for a bundle with an [interpreter]"
    )


@needs_gcc
@needs_headers
@pytest.mark.parametrize("form", ["absent", "moved"])
def test_a_python_that_was_moved_away_from_its_configuration_is_named(venv: Path, interpreter: Path, form: str) -> None:
    """Debian's own ``pyconfig.h`` includes another one, which lies below /usr/include."""
    header = interpreter / "include" / MINOR / "pyconfig.h"
    header.unlink()
    if form == "moved":
        header.write_text(f"#include <nowhere-linux-gnu/{MINOR}/pyconfig.h>\n")
    (found,) = checks(venv, "torchless", "vllm")
    assert found.outcome == FAILED
    assert f"pyconfig.h is missing: {interpreter}/include/{MINOR}/Python.h is there and includes it;" in found.detail


@needs_gcc
@needs_headers
@pytest.mark.parametrize(("lost", "named"), [("Python.h", "Python.h"), ("pyconfig.h", "pyconfig.h")])
def test_doctor_tells_the_cause_and_the_next_step(venv: Path, interpreter: Path, lost: str, named: str) -> None:
    (interpreter / "include" / MINOR / lost).unlink()
    (found,) = [one for one in try_out(environment(venv, "vllm"), NO_GPU) if one.level == PROBLEM]
    assert found.what == f"compile a C extension with Python.h failed: the C compiler did not find {named}"
    assert found.row == "27"
    assert "'mirror install --python FILE'" in found.fix


def test_a_host_without_a_c_compiler_is_told_what_to_do(tmp_path: Path) -> None:
    for found in checks(tmp_path, "triton", PATH=str(tmp_path)):
        assert found.outcome == SKIPPED
    assert checks(tmp_path, "triton", PATH=str(tmp_path))[0].detail.startswith(
        "this host has no C compiler (gcc or clang): put one on the server's PATH, or export CC=/path/to/gcc; without one, "
    )


@needs_gcc
def test_a_launcher_links_the_drivers_library_by_its_own_name(tmp_path: Path) -> None:
    library(tmp_path / "driver/libcuda.so.1")
    found = checks(tmp_path, "triton", TRITON_LIBCUDA_PATH=str(tmp_path / "driver"))[1]
    assert found == Check("link -l:libcuda.so.1 as Triton does", PASSED)


@needs_gcc
def test_a_place_that_does_not_hold_it_fails_with_the_linkers_words(tmp_path: Path) -> None:
    found = checks(tmp_path, "triton", TRITON_LIBCUDA_PATH=str(tmp_path))[1]
    assert found.outcome == FAILED
    assert "cannot find -l:libcuda.so.1" in found.detail


@needs_gcc
def test_without_a_driver_the_toolkits_stub_is_linked(tmp_path: Path) -> None:
    library(tmp_path / "cuda/lib64/stubs/libcuda.so")
    found = checks(tmp_path, "triton", artifacts=(RPM,))[1]
    assert found == Check("link -l:libcuda.so.1 as Triton does", PASSED)


@needs_gcc
def test_without_driver_and_stub_nothing_is_claimed(tmp_path: Path) -> None:
    assert checks(tmp_path, "triton")[1] == Check(
        "link -l:libcuda.so.1 as Triton does",
        SKIPPED,
        "not tried: this host has no driver, and the stack no stub of its library",
    )


@needs_gcc
def test_a_driver_whose_library_nobody_finds_is_a_failure_that_doctor_knows(tmp_path: Path) -> None:
    found = checks(tmp_path, "triton", host=replace(NO_GPU, driver="580.159.04", gpus=1))[1]
    assert found.outcome == FAILED
    assert (
        "driver 580.159.04 is loaded, and neither '/sbin/ldconfig -p' nor LD_LIBRARY_PATH knows a libcuda.so.1"
        in found.detail
    )


def test_what_needs_a_gpu_says_that_there_is_none(tmp_path: Path) -> None:
    found = checks(tmp_path, "triton", "flashinfer-python", "torch")[3:]
    assert list(map(str, found)) == [
        "compile and run a Triton kernel: skipped (not tried: no GPU)",
        "sample with FlashInfer's kernels: skipped (not tried: no GPU)",
    ]


def test_kernels_of_torch_are_not_tried_where_the_stack_leaves_torch_to_whoever_starts_it(tmp_path: Path) -> None:
    """As the stack hopper-proof does: its self-test would fail, and it could not be installed."""
    with_gpu = replace(NO_GPU, driver="580.159.04", gpus=1)
    found = checks(tmp_path, "triton", "flashinfer-python", host=with_gpu)
    assert [one.name for one in found if "kernel" in one.name or "FlashInfer" in one.name] == []


@needs_gcc
@needs_headers
def test_a_torch_whose_compiler_fails_is_told_and_an_old_one_is_passed_over(venv: Path) -> None:
    site = next(venv.glob("venv/lib/python*/site-packages"))
    (site / "torch.py").write_text("")
    assert str(checks(venv, "torch")[1]) == (
        "compile with torch's inductor for the CPU: skipped (this torch has no torch.compile)"
    )
    (site / "torch.py").write_text("def compile(function): raise RuntimeError('inductor is broken')\n")
    found = checks(venv, "torch")[1]
    assert found.outcome == FAILED
    assert "torch._inductor" in found.detail or "inductor is broken" in found.detail


def library(path: Path) -> None:
    path.parent.mkdir(parents=True)
    source = path.with_name("cuda.c")
    source.write_text("int cuInit(unsigned int flags) { return 0; }\n")
    assert GCC
    subprocess.run([GCC, "-shared", "-fPIC", source, "-Wl,-soname,libcuda.so.1", "-o", path], check=True)

"""Faults of the host's own tools, made with them: gcc and ld, the loader, Python, pip, the kernel, the RPM solver."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mirror.core.logs.explained.log import explain
from mirror.core.logs.finding import Finding
from mirror.core.logs.symptom import Context
from tests.support.symptoms import made

INSTALL = Context("13.0")
ENGLISH = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}

needs_gcc = pytest.mark.skipif(shutil.which("gcc", path="/usr/bin:/bin") is None, reason="needs gcc")
NAMESPACE = ["unshare", "-rm"]
needs_mounts = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode != 0,
    reason="needs a mount namespace of one's own",
)


def fails(*command: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """All that a command says; it must fail."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**ENGLISH, **(env or {})}, capture_output=True, text=True
    )
    assert done.returncode != 0, "the fault was not made"
    return done.stdout + done.stderr


def told(text: str, context: Context = INSTALL) -> Finding:
    """The finding of the only symptom."""
    sightings = explain(text.splitlines(), context).sightings
    assert len(sightings) == 1, text
    return sightings[0].finding


def library(path: Path, source: str, *options: object) -> Path:
    """A shared library, compiled here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-x", "none"]
    command += ["-o", str(path), f"-Wl,-soname,{path.name}"]
    subprocess.run([*command, *map(str, options)], input=source, text=True, env=ENGLISH, check=True)
    return path


def versions(tmp_path: Path, name: str, *symbols: str) -> str:
    """A linker option that gives symbols a version."""
    script = tmp_path / f"{name}.map"
    script.write_text(f"{name} {{ global: {'; '.join(symbols)}; }};")
    return f"-Wl,--version-script={script}"


def load(path: Path, **env: str) -> str:
    """What Python says when it cannot load a library."""
    return fails(sys.executable, "-c", f"import ctypes, os; ctypes.CDLL({str(path)!r}, os.RTLD_NOW)", env=env)


@needs_gcc
@made("16", "18", "20")
@pytest.mark.parametrize(
    ("library", "row", "package"),
    [
        ("cudart", "16", "cuda-cudart-devel-13-0"),
        ("cuda", "18", "cuda-driver-devel-13-0"),
        ("cublasLt", "20", "libcublas-devel-13-0"),
        ("nvrtc", "20", "cuda-nvrtc-devel-13-0"),
        (":libcusparse.so", "20", "libcusparse-devel-13-0"),
    ],
)
def test_a_library_that_the_linker_does_not_find(tmp_path: Path, library: str, row: str, package: str) -> None:
    finding = told(fails("gcc", "-shared", "-x", "c", "/dev/null", f"-l{library}", cwd=tmp_path))
    assert finding.row == row
    assert package in finding.fix


@needs_gcc
@made("20")
def test_a_header_and_a_library_of_one_rpm_are_one_finding(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("#include <cublasLt.h>\n")
    text = fails("gcc", "-c", "x.c", cwd=tmp_path) + fails("gcc", "-shared", "x.c", "-lcublasLt", cwd=tmp_path)
    finding = told(text)
    assert (finding.row, finding.what) == ("20", "the compiler did not find cublasLt.h")


@needs_gcc
@made("21")
def test_a_library_that_a_library_needs(tmp_path: Path) -> None:
    version = versions(tmp_path, "libcudart.so.14", "cudaMalloc")
    runtime = library(tmp_path / "cuda/libcudart.so.14", "void cudaMalloc(void) {}", version)
    library(tmp_path / "libkernels.so", "void cudaMalloc(void); void run(void) { cudaMalloc(); }", runtime)
    (tmp_path / "main.c").write_text("void run(void); int main(void) { run(); return 0; }")
    finding = told(fails("gcc", "main.c", "-L.", "-lkernels", cwd=tmp_path))
    assert finding.row == "21"
    assert finding.what.startswith("libcudart.so.14, which a library that is linked needs,")
    subprocess.run(["gcc", "main.c", "-L.", "-lkernels", "-Wl,-rpath-link,cuda"], cwd=tmp_path, check=True)


@needs_gcc
@made("22")
def test_lib64_of_pips_cuda_wheels(tmp_path: Path) -> None:
    (tmp_path / "site-packages/nvidia/cu13/lib").mkdir(parents=True)
    library(tmp_path / "site-packages/nvidia/cu13/lib/libcudart.so.13", "")
    place = f"{tmp_path}/site-packages/nvidia/cu13/lib64"
    command = ["gcc", "-shared", "-x", "c", "/dev/null", "-o", "silu.so", f"-L{place}", f"-L{place}/stubs", "-lcudart"]
    said = fails(*command, cwd=tmp_path)
    finding = told(f"FAILED: silu.so\n{' '.join(command)}\n{said}")  # as ninja shows it
    assert finding.row == "22"
    assert place in finding.what


@needs_gcc
@made("23")
def test_a_library_for_another_machine(tmp_path: Path) -> None:
    stub = library(tmp_path / "libcuda.so", "void cuInit(void) {}")
    data = bytearray(stub.read_bytes())
    data[18:20] = (183 if os.uname().machine == "x86_64" else 62).to_bytes(2, "little")  # e_machine: of the other one
    stub.write_bytes(data)
    first, second = explain(
        fails("gcc", "-shared", "-x", "c", "/dev/null", "-L.", "-lcuda", cwd=tmp_path).splitlines()
    ).sightings
    assert (first.finding.row, second.finding.row) == ("23", "18")
    assert "./libcuda.so" in first.finding.what or "libcuda.so" in first.finding.what
    assert second.finding.cause.startswith("row 23 explains it; ")


@needs_gcc
@made("27")
def test_python_without_headers(tmp_path: Path) -> None:
    (tmp_path / "launcher.c").write_text("#include <Python.h>\n")
    finding = told(fails("gcc", "-nostdinc", "-I.", "-c", "launcher.c", cwd=tmp_path))
    assert finding.row == "27"


@needs_gcc
@made("35", "36")
@pytest.mark.parametrize(
    ("row", "name", "version"), [("35", "libc.so.6", "GLIBC_2.99"), ("36", "libstdc++.so.6", "GLIBCXX_3.4.99")]
)
def test_a_library_built_on_a_newer_system(tmp_path: Path, row: str, name: str, version: str) -> None:
    newer = library(
        tmp_path / "newer" / name, "void wanted(void) {}", "-nostdlib", versions(tmp_path, version, "wanted")
    )
    wheel = library(tmp_path / "kernels.so", "void wanted(void); void run(void) { wanted(); }", "-nostdlib", newer)
    if row == "36" and f"{name}: cannot open" in (text := load(wheel)):
        pytest.skip(f"this host has no libstdc++: {text}")
    finding = told(load(wheel))
    assert finding.row == row
    assert finding.what.startswith(f"{wheel} needs {version}, which ")


@needs_gcc
@made("38")
def test_a_runtime_of_another_cuda_major(tmp_path: Path) -> None:
    runtime = library(tmp_path / "away/libcudart.so.14", "void cudaFree(void) {}")
    wheel = library(tmp_path / "kernels.so", "void cudaFree(void); void run(void) { cudaFree(); }", runtime)
    finding = told(load(wheel))
    assert (finding.row, finding.what) == ("38", "libcudart.so.14 was not found when a program was loaded")


@needs_gcc
@made("39", "40")
@pytest.mark.parametrize(
    ("row", "symbol"),
    [
        ("39", "ncclCommRegister"),
        ("39", "ncclMemFree"),
        ("40", "_ZN5torch3jit17parseSchemaOrNameERKSsb"),
        ("40", "_ZN3c105ErrorC2ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"),
    ],
)
def test_a_symbol_that_nobody_defines(tmp_path: Path, row: str, symbol: str) -> None:
    wheel = library(tmp_path / "_C.abi3.so", f"void {symbol}(void); void run(void) {{ {symbol}(); }}")
    finding = told(load(wheel))
    assert finding.row == row
    assert symbol in finding.what


@needs_gcc
@needs_mounts
@made("42", "15")
def test_a_file_system_that_nothing_is_run_from(tmp_path: Path) -> None:
    kernel = library(tmp_path / "kernel.so", "")
    mounted = tmp_path / "cache"
    mounted.mkdir()
    run = f"import ctypes; ctypes.CDLL('{mounted}/kernel.so')"
    script = f'mount -t tmpfs -o noexec none {mounted} && cp {kernel} {mounted} && {sys.executable} -c "{run}"'
    finding = told(fails(*NAMESPACE, "sh", "-c", script))
    assert finding.row == "42"
    assert f"{mounted}/kernel.so" in finding.what
    script = f"mount -t tmpfs -o noexec none {mounted} && cp /bin/true {mounted}/nvcc && {mounted}/nvcc"
    finding = told(fails(*NAMESPACE, "sh", "-c", script))
    assert finding.row == "15"
    assert finding.what == f"{mounted}/nvcc may not be started here"


@made("43")
def test_a_full_disk() -> None:
    finding = told(fails(sys.executable, "-c", "open('/dev/full', 'wb', buffering=0).write(b'x')"))
    assert finding.row == "43"


@needs_mounts
@made("43", "44")
def test_a_full_and_a_read_only_file_system_name_the_file(tmp_path: Path) -> None:
    write = f"import os; os.makedirs('{tmp_path}/.cache/flashinfer')"
    script = f'mount -t tmpfs -o ro none {tmp_path} && {sys.executable} -c "{write}"'
    finding = told(fails(*NAMESPACE, "sh", "-c", script))
    assert finding.row == "44"
    assert finding.what.startswith(f"{tmp_path}/.cache could not be written")
    script = f'mount -t tmpfs -o nr_inodes=1 none {tmp_path} && {sys.executable} -c "{write}"'
    finding = told(fails(*NAMESPACE, "sh", "-c", script))
    assert finding.row == "43"
    assert finding.what == f"there was no room to write {tmp_path}/.cache"


@made("43")
def test_a_quota_has_the_same_row() -> None:
    words = f"OSError: [Errno {errno.EDQUOT}] {os.strerror(errno.EDQUOT)}: '/home/op/.cache'"
    assert told(words).row == "43"


@made("44b")
def test_a_venv_of_another_user(tmp_path: Path) -> None:
    cubins = tmp_path / "lib/python3.11/site-packages/flashinfer_cubin/cubins"
    cubins.mkdir(parents=True)
    cubins.chmod(0o555)
    for parent in (tmp_path, *tmp_path.parents):
        if os.geteuid() == 0 and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o555)
    program = f"open('{cubins}/flashinferMetaInfo.h.lock', 'w')"
    as_user = f"import os; os.geteuid() or os.setuid(65534); {program}"
    finding = told(fails("/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable, "-c", as_user))
    assert finding.row == "44b"
    assert f"{cubins}/flashinferMetaInfo.h.lock" in finding.what


@made("29")
def test_ninja_that_is_not_on_the_path(tmp_path: Path) -> None:
    program = "import subprocess; subprocess.run(['ninja', '-v'])"
    assert told(fails(sys.executable, "-c", program, env={"PATH": str(tmp_path)})).row == "29"
    assert told(fails("/bin/bash", "-c", "ninja -v", env={"PATH": str(tmp_path)})).row == "29"


def sdist(directory: Path, name: str, pyproject: str, **files: str) -> Path:
    """An sdist of one project."""
    root = directory / f"{name}-1.0"
    root.mkdir(parents=True)
    for filename, text in {"pyproject.toml": pyproject, **files}.items():
        (root / filename.replace("__", ".")).write_text(text)
    with tarfile.open(directory / f"{name}-1.0.tar.gz", "w:gz") as archive:
        archive.add(root, root.name)
    return directory / f"{name}-1.0.tar.gz"


PIP = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check"]
needs_pip = pytest.mark.skipif(
    subprocess.run([*PIP, "--version"], capture_output=True).returncode != 0, reason="needs pip"
)


@needs_pip
@made("34")
def test_an_sdist_that_imports_torch_while_it_is_built(tmp_path: Path) -> None:
    backend = "def get_requires_for_build_wheel(config_settings=None):\n    import torch\n    return []\n"
    pyproject = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    path = sdist(tmp_path, "flash_attn", pyproject, backend__py=backend)
    finding = told(fails(*PIP, "wheel", "--no-index", "--no-deps", path, cwd=tmp_path))
    assert finding.row == "34"
    assert "--no-build-isolation" in finding.fix


@needs_pip
@made("66")
def test_an_sdist_whose_build_needs_setuptools(tmp_path: Path) -> None:
    pyproject = '[build-system]\nrequires = ["setuptools>=42", "wheel"]\nbuild-backend = "setuptools.build_meta"\n'
    path = sdist(tmp_path, "mistral_common", pyproject)
    finding = told(fails(*PIP, "wheel", "--no-index", "--no-deps", path, cwd=tmp_path))
    assert finding.row == "66"
    assert "setuptools>=42" in finding.what


@needs_pip
@made("37")
def test_a_wheel_for_another_platform(tmp_path: Path) -> None:
    wheel = tmp_path / "vllm-0.17.1-cp27-cp27m-win32.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("vllm-0.17.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: vllm\nVersion: 0.17.1\n")
    finding = told(fails(*PIP, "install", "--no-index", "--target", tmp_path / "there", wheel))
    assert finding.row == "37"
    assert finding.what.startswith(f"{wheel.name} is not for this Python")


@made("64")
def test_a_later_release_that_puts_a_package_out() -> None:
    solv = pytest.importorskip("solv")
    pool = solv.Pool()
    pool.setarch("x86_64")
    repo = pool.add_repo("cuda")

    def package(name: str, evr: str) -> Any:
        made = repo.add_solvable()
        made.name, made.evr, made.arch = name, evr, "x86_64"
        made.add_deparray(solv.SOLVABLE_PROVIDES, pool.rel2id(made.nameid, made.evrid, solv.REL_EQ))
        return made

    devel, later = package("cuda-cudart-devel-12-9", "12.9.79-1"), package("cccl-13-3", "13.3.3.3.1-1")
    package("cuda-cccl-12-9", "12.9.27-1")
    devel.add_deparray(solv.SOLVABLE_REQUIRES, pool.str2id("cuda-cccl-12-9"))
    later.add_deparray(solv.SOLVABLE_OBSOLETES, pool.str2id("cuda-cccl-12-9"))
    pool.createwhatprovides()
    jobs = [pool.Job(solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_SOLVABLE, item.id) for item in (devel, later)]
    solver = pool.Solver()  # held: problems point into it
    problems = solver.solve(jobs)
    rules = [
        info.problemstr() for problem in problems for rule in problem.findallproblemrules() for info in rule.allinfos()
    ]
    finding = told("\n".join(dict.fromkeys(rules)))
    assert finding.row == "64"
    assert finding.what.startswith("cccl-13-3-13.3.3.3.1-1.x86_64 puts cuda-cccl-12-9 out")


def test_a_context_names_the_install(tmp_path: Path) -> None:
    text = "x.cu:1:10: fatal error: cublas_v2.h: No such file or directory"
    context = Context("13.0", ("libcublas-devel-13-0",), tmp_path, f"{tmp_path}/env.sh")
    assert told(text, context).fix == (
        "libcublas-devel-13-0 is part of this install, so another toolkit was used: start the server in a shell that ran "
        f"'. {tmp_path}/env.sh'"
    )

"""JIT caches that were compiled with another toolkit, and locks that somebody holds: made, and found."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from mirror.closed.doctor.installed.caches import cache_roots, held_locks, stale_caches
from mirror.core.logs.finding import WARNING
from tests.support.symptoms import made

NINJA = "ninja_required_version = 1.3\nname = {name}\ncuda_home = {home}\ncxx = c++\nnvcc = $cuda_home/bin/nvcc\n\n"


@pytest.fixture
def cuda_home(tmp_path: Path) -> Path:
    """A toolkit that is older than all that is compiled with it."""
    home = tmp_path / "cuda-13.0"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "nvcc").touch()
    return home


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """FlashInfer's, as ``cache_roots`` gives it."""
    path = tmp_path / "home" / ".cache" / "flashinfer"
    path.mkdir(parents=True)
    return path


def operation(cache: Path, name: str, home: Path | str, runtime: str = "") -> Path:
    """An operation that was compiled with the toolkit at ``home``."""
    path = cache / "0.6.4" / "90a" / "cached_ops" / name
    path.mkdir(parents=True)
    (path / "build.ninja").write_text(NINJA.format(name=name, home=home))
    if runtime:
        needed = path / runtime
        link = ["gcc", "-shared", "-x", "c", "/dev/null"]
        subprocess.run([*link, "-o", needed, f"-Wl,-soname,{runtime}"], check=True)
        subprocess.run([*link, "-o", path / f"{name}.so", "-x", "none", "-Wl,--no-as-needed", needed], check=True)
        needed.unlink()
    else:
        (path / f"{name}.so").touch()
    return path


def test_the_roots_are_those_that_a_process_would_use(tmp_path: Path) -> None:
    for place in ("home/.cache/flashinfer", "home/.cache/torch_extensions", "base/.cache/flashinfer", "ext"):
        (tmp_path / place).mkdir(parents=True)
    home = {"HOME": str(tmp_path / "home")}
    assert cache_roots(home) == (
        tmp_path / "home/.cache/flashinfer",
        tmp_path / "home/.cache/torch_extensions",
    )
    moved = {**home, "FLASHINFER_WORKSPACE_BASE": str(tmp_path / "base"), "TORCH_EXTENSIONS_DIR": str(tmp_path / "ext")}
    assert cache_roots(moved) == (tmp_path / "base/.cache/flashinfer", tmp_path / "ext")
    assert cache_roots({}) == ()
    assert cache_roots({"HOME": str(tmp_path / "nobody")}) == ()


@made("57")
def test_operations_of_another_toolkit_are_one_finding(cache: Path, cuda_home: Path) -> None:
    for name in ("norm", "page", "rope"):
        operation(cache, name, "/usr/local/cuda-12.6")
    operation(cache, "silu", cuda_home)
    (finding,) = stale_caches([cache], cuda_home)
    place = cache / "0.6.4/90a/cached_ops"
    assert (finding.row, finding.level) == ("57", WARNING)
    assert finding.what == (
        f"{place} was compiled with CUDA_HOME=/usr/local/cuda-12.6; today it is CUDA_HOME={cuda_home}"
    )
    assert finding.proof.startswith("3 compiled here, first of them ")
    assert finding.fix == f"rm -r {place}"


def test_a_cache_of_todays_toolkit_is_no_finding(cache: Path, cuda_home: Path, tmp_path: Path) -> None:
    operation(cache, "norm", cuda_home)
    alias = tmp_path / "cuda"
    alias.symlink_to(cuda_home)
    operation(cache, "page", alias)  # another spelling costs a build, no more
    assert stale_caches([cache], cuda_home, "13.0") == ()
    assert stale_caches([cache], None) == ()
    assert stale_caches([cache / "nothing"], cuda_home) == ()


@made("57")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_library_that_needs_another_runtime(cache: Path, cuda_home: Path) -> None:
    operation(cache, "norm", cuda_home, runtime="libcudart.so.12")
    operation(cache, "page", cuda_home, runtime="libcudart.so.13")
    (finding,) = stale_caches([cache], cuda_home, "13.0")
    assert finding.what.endswith("was compiled with the runtime of CUDA 12; today it is CUDA 13.0")
    assert "first of them norm" in finding.proof
    assert stale_caches([cache], cuda_home) == ()


@made("57")
def test_a_toolkit_that_was_exchanged_in_its_place(cache: Path, cuda_home: Path) -> None:
    compiled = operation(cache, "norm", cuda_home) / "norm.so"
    while True:  # until the clock of the file system has moved on
        (cuda_home / "bin" / "nvcc").unlink()
        (cuda_home / "bin" / "nvcc").touch()
        if (cuda_home / "bin" / "nvcc").stat().st_ctime > compiled.stat().st_ctime:
            break
    (finding,) = stale_caches([cache], cuda_home)
    assert "an nvcc that was there before" in finding.what


@made("57")
def test_torchs_extensions_name_their_nvcc(tmp_path: Path, cuda_home: Path) -> None:
    root = tmp_path / "torch_extensions"
    for directory in ("py311_cu128/old", "new"):
        (root / directory).mkdir(parents=True)
    (root / "py311_cu128/old/build.ninja").write_text("cxx = c++\nnvcc = /usr/local/cuda/bin/nvcc\n")
    (root / "new/build.ninja").write_text(f"nvcc = {cuda_home}/bin/nvcc\n")
    (finding,) = stale_caches([root], cuda_home)
    assert "CUDA_HOME=/usr/local/cuda;" in finding.what


def test_pipes_in_a_cache_are_not_waited_for(cache: Path, cuda_home: Path) -> None:
    path = operation(cache, "norm", "/usr/local/cuda-12.6")
    for name in ("norm.so", "build.ninja"):
        (path / name).unlink()
        os.mkfifo(path / name)
    assert stale_caches([cache], cuda_home, "13.0") == ()


def test_what_cannot_be_read_is_passed_over(cache: Path, cuda_home: Path) -> None:
    path = operation(cache, "norm", cuda_home)
    (path / "norm.so").write_bytes(b"\x7fELF" + bytes(40))
    (path / "build.ninja").write_bytes(b"\xff\xfe cuda_home = \n" * 100_000)
    (path.parent / "odd").mkdir()
    (path.parent / "odd" / "build.ninja").mkdir()
    (path.parent / "link").symlink_to(path)
    assert stale_caches([cache], cuda_home, "13.0") == ()


def lock(cache: Path, name: str = "norm") -> Path:
    path = cache / "0.6.4" / "90a" / "cached_ops" / "tmp" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@made("58")
def test_a_lock_that_another_process_holds_names_it(cache: Path) -> None:
    held, free = lock(cache, "held"), lock(cache, "free")
    program = f"import fcntl, time; f = open({str(held)!r}, 'a'); fcntl.flock(f, 2); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            (finding,) = held_locks([cache])
        finally:
            process.kill()
    assert (finding.row, finding.level) == ("58", WARNING)
    assert finding.what.startswith(f"{held} is held by process {process.pid} (")
    assert str(free) not in finding.what
    assert held_locks([cache]) == ()


@made("58")
def test_asking_takes_no_lock_and_changes_nothing(cache: Path) -> None:
    path = lock(cache)
    before = path.stat()
    assert held_locks([cache]) == ()
    with open(path, "a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it would raise
        (cache / "locks").write_text("1: FLOCK  ADVISORY  WRITE 77 fe:00:1 0 EOF\n1: -> FLOCK odd\n\n")
        for proc in (cache / "no-proc", cache):
            (finding,) = held_locks([cache], proc=proc)
            assert "a process of another machine or namespace" in finding.what
    after = path.stat()
    assert (before.st_mtime_ns, before.st_size, before.st_mode) == (after.st_mtime_ns, after.st_size, after.st_mode)


@made("58")
def test_torchs_lock_is_its_file(tmp_path: Path) -> None:
    root = tmp_path / "torch_extensions"
    left = root / "py311_cu128" / "fused" / "lock"
    left.parent.mkdir(parents=True)
    left.touch()
    now = left.stat().st_mtime
    assert held_locks([root], now=now + 3600) == (), "without a build.ninja it is no build's"
    (left.parent / "build.ninja").touch()
    assert held_locks([root], now=now + 60) == (), "a build may well take a minute"
    (finding,) = held_locks([root], now=now + 3600)
    assert finding.what.startswith(f"{left} is held by a build that began 60 minutes ago or was killed")


@made("58")
@pytest.mark.parametrize(("number", "is_told"), [(errno.ENOLCK, True), (errno.ESTALE, True), (errno.EINTR, False)])
def test_a_file_system_without_working_locks_is_told(cache: Path, number: int, is_told: bool) -> None:
    path = lock(cache)

    def ask(stream: IO[bytes], operation: int) -> None:
        raise OSError(number, os.strerror(number))

    found = held_locks([cache], ask=ask)
    assert [finding.what.partition(" is held by ")[0] for finding in found] == [str(path)] * is_told


def test_a_lock_that_may_not_be_read_is_passed_over(cache: Path) -> None:
    path = lock(cache)
    path.chmod(0)
    (path.parent / "link.lock").symlink_to(path)
    os.mkfifo(path.parent / "pipe.lock")  # opening it would wait for ever
    assert held_locks([cache]) == ()

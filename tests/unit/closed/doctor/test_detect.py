"""``mirror detect``: facts of this machine, and of machines that are made of files and programs in ``tmp_path``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from mirror.closed.doctor.detect import detect
from mirror.core.targets.detected import MAX_BYTES, Detected

GPU = "Model: \t\t NVIDIA H100 80GB HBM3\nBus Location: 0000:04:00.0\n"
FLAGS = "flags : cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3 avx\n"


def program(directory: Path, name: str, says: str, code: int = 0) -> Path:
    path = directory / name
    directory.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{says}END\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A kernel's files of a machine with two GPUs, whose devices are not here: nobody can ask its driver."""
    proc = tmp_path / "proc"
    for number in range(2):
        (proc / f"driver/nvidia/gpus/0000:0{number}:00.0").mkdir(parents=True)
        (proc / f"driver/nvidia/gpus/0000:0{number}:00.0/information").write_text(GPU)
    (proc / "driver/nvidia/version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat\n")
    (proc / "cpuinfo").write_text(FLAGS)
    (proc / "sys/crypto").mkdir(parents=True)
    (proc / "sys/crypto/fips_enabled").write_text("1\n")
    return proc


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A shell whose PATH holds what a test puts there; the search for Pythons is this one's alone."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "bin").mkdir()
    for name in ("cat", "sh"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or "")
    return {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)}


def test_what_the_kernel_says_of_gpus_processors_and_fips_mode(proc: Path, variables: dict[str, str]) -> None:
    found = detect(variables, proc)
    assert [(one.model, one.capability, one.count) for one in found.gpus or ()] == [("NVIDIA H100 80GB HBM3", "9.0", 2)]
    assert (found.driver, found.driver_cuda, found.fips) == ("535.104.05", None, True)
    assert (
        found.unknown["driver_cuda"] == "the driver cannot be asked, and is older than every release that mirror knows"
    )
    assert found.cpu == ("x86-64-v1", "x86-64-v2", "avx")
    assert (found.gcc, found.unknown["quota_bytes"]) == ("", "there is no program quota to ask")
    assert Detected.parse(found.encode()) == found
    assert len(found.encode()) < MAX_BYTES


def test_a_machine_without_a_driver_has_no_gpu_and_what_is_not_readable_is_unknown(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    (tmp_path / "empty").mkdir()
    found = detect(variables, tmp_path / "empty")
    assert (found.driver, found.driver_cuda) == ("", "")
    assert found.cpu is None and found.fips is None
    assert found.unknown["cpu"] == "/proc/cpuinfo lists no flags"
    assert found.unknown["fips"] == "/proc/sys/crypto/fips_enabled: No such file or directory"


@pytest.mark.parametrize(
    ("says", "left"),
    [
        ("Disk quotas for user a (uid 1): none\n", -1),
        (
            "Disk quotas for user a (uid 1):\n  Filesystem  blocks   quota   limit   grace   files   quota   limit   grace\n"
            "  /dev/sda1  1000*  900  1500  0  4  0  0  0\n  srv:/home  5  0  0  0  4  0  0  0\n",
            500 * 1024,
        ),
        ("quota: error while getting quota\n", None),
    ],
)
def test_the_least_that_a_quota_leaves(
    says: str, left: int | None, proc: Path, tmp_path: Path, variables: dict[str, str]
) -> None:
    program(tmp_path / "bin", "quota", says, 0 if left is not None else 1)
    found = detect(variables, proc)
    assert found.quota_bytes == left
    assert ("quota_bytes" in found.unknown) == (left is None)


def test_a_compiler_that_does_not_answer_is_unknown_and_not_absent(
    proc: Path, tmp_path: Path, variables: dict[str, str]
) -> None:
    gcc = program(tmp_path / "bin", "gcc", "", 1)
    found = detect(variables, proc)
    assert (found.gcc, found.unknown["gcc"]) == (None, f"{gcc} does not answer as a gcc"[:80])
    program(tmp_path / "bin", "gcc", "gcc (GCC) 11.4.1 20231218 (Red Hat 11.4.1-3)\n")
    assert detect(variables, proc).gcc == "11.4"


def test_the_best_python_of_each_minor_version_is_told_and_markers_are_the_newests(
    proc: Path, variables: dict[str, str]
) -> None:
    found = detect(variables, proc)
    minors = [one.minor for one in found.pythons or ()]
    assert "{}.{}".format(*sys.version_info) in minors
    assert len(minors) == len(set(minors))
    assert dict(found.markers)["python_version"] == minors[0]


def test_a_file_that_would_be_too_long_for_a_page_loses_its_markers_first(
    proc: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 200)
    deep.mkdir()
    for name in ("a" * 200, "b" * 200):
        (proc / f"driver/nvidia/gpus/{name}").mkdir()
        (proc / f"driver/nvidia/gpus/{name}/information").write_text(f"Model: {name}\n")
    found = detect({**variables, "HOME": str(deep), "XDG_CACHE_HOME": str(deep)}, proc)
    assert len(found.encode()) < MAX_BYTES
    assert found.pythons

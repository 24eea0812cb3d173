from __future__ import annotations

from dataclasses import replace

import pytest

from mirror.core.target import Target
from mirror.core.targets.detected import Detected, Disk, GpuKind
from mirror.core.targets.fit import mismatches, remarks
from tests.unit.core.targets.test_detected import HOST

TARGET = Target("3.11", "x86_64", "2.34", "sm_90a", "12.8", "avx2")


def words(target: Target = TARGET, host: Detected = HOST, carries_python: bool = False) -> tuple[str, ...]:
    return tuple(map(str, mismatches(target, host, "target.toml", carries_python)))


def test_a_host_that_fits_has_nothing_to_say() -> None:
    assert words() == ()
    assert remarks(TARGET, HOST, "target.toml") == ()


@pytest.mark.parametrize(
    ("target", "host", "sentence"),
    [
        (replace(TARGET, glibc="2.35"), HOST, "the bundle is for glibc 2.35 or newer, target.toml has 2.34"),
        (TARGET, replace(HOST, glibc="2.9"), "the bundle is for glibc 2.34 or newer, target.toml has 2.9"),
        (TARGET, replace(HOST, glibc=""), "the bundle is for glibc 2.34 or newer, target.toml has another C library"),
        (replace(TARGET, cpu=""), replace(HOST, arch="aarch64"), "the bundle is for x86_64, target.toml is aarch64"),
        (
            replace(TARGET, cpu="avx512bf16"),
            HOST,
            "the bundle is for processors with avx512bf16, target.toml has x86-64-v1, x86-64-v2, x86-64-v3, avx, avx2",
        ),
        (
            replace(TARGET, python="3.12"),
            HOST,
            "the bundle is for Python 3.12 and carries none, target.toml has 3.11.7, 3.9.18",
        ),
        (
            replace(TARGET, gpu="sm_100a"),
            HOST,
            "the bundle is for GPUs of sm_100a, target.toml has NVIDIA H100 80GB HBM3 (9.0)",
        ),
        (replace(TARGET, cuda="13.0"), HOST, "CUDA 13.0 needs driver 580 or newer, target.toml has 535.104.05"),
        (
            TARGET,
            replace(HOST, disks=(Disk("install", "/home", 1, True),)),
            "target.toml mounts /home noexec: no program installed there could be started",
        ),
    ],
)
def test_each_mismatch_names_both_sides(target: Target, host: Detected, sentence: str) -> None:
    assert words(target, host) == (sentence,)


def test_a_carried_python_is_enough_and_a_newer_gpu_of_the_family_will_do() -> None:
    assert words(replace(TARGET, python="3.12"), carries_python=True) == ()
    newer = replace(HOST, gpus=(GpuKind("NVIDIA L4", "8.9", 1),))
    assert words(replace(TARGET, gpu="sm_80"), newer) == ()


def test_what_is_unknown_is_no_mismatch_and_is_told() -> None:
    host = Detected("x86_64", unknown={"glibc": "a", "gpus": "the driver hangs", "driver": "b", "fips": "c"})
    assert words(host=host) == ()
    assert remarks(TARGET, host, "target.toml") == (
        "target.toml does not know its glibc: a",
        "target.toml does not know its gpus: the driver hangs",
        "target.toml does not know its driver: b",
    )
    assert words(replace(TARGET, gpu="sm_100a"), replace(HOST, gpus=(GpuKind("X1", "", 1),))) == ()


def test_what_might_disturb_is_a_remark() -> None:
    host = replace(HOST, gcc="15.1", gpus=())
    assert remarks(TARGET, host, "target.toml") == (
        "nvcc of CUDA 12.8 takes gcc 14 and older, target.toml has 15.1",
        "target.toml has no GPU: what is for sm_90a does not run there",
    )
    assert remarks(replace(TARGET, python="3.9"), HOST, "target.toml") == (
        "/usr/bin/python3 of target.toml comes without Python.h: Triton and torch cannot compile at run time with it",
    )

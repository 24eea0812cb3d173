"""Which GPUs a build compiles for is seen while it runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mirror.connected.building.compilers import architectures, asked_for


@pytest.mark.parametrize(
    "line, found",
    [
        (
            "/opt/cuda/bin/nvcc -gencode arch=compute_75,code=sm_75 -gencode arch=compute_90a,code=sm_90a a.cu",
            "sm_75 sm_90a",
        ),
        ("nvcc -gencode=arch=compute_80,code=[sm_80,compute_80] -c a.cu", "sm_80 compute_80"),
        ("ccache /opt/cuda/bin/nvcc --generate-code=arch=compute_120f,code=sm_120f", "sm_120f"),
        ("nvcc -arch=sm_90a -c kernels_sm_75.cu -Icode/sm_80", "sm_90a"),
        ("ptxas -arch sm_90a -m64 /tmp/x-sm_75.ptx", "sm_90a"),
        ("cicc --c++17 -arch compute_90a /tmp/compute_75/x", "compute_90a"),
        ("nvcc --gpu-architecture sm_103 -c a.cu", "sm_103"),
        ("gcc -arch=sm_75 a.c", ""),
        ("python setup.py nvcc -arch=sm_75", ""),
        ("", ""),
    ],
)
def test_a_command_line_tells_what_is_compiled_for(line: str, found: str) -> None:
    assert list(asked_for(line.split())) == found.split()


def test_compilers_below_a_process_are_found_and_others_are_not() -> None:
    """A shell with a compiler below it, as ninja and make have it, and a compiler of somebody else's."""
    waiting = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with (
        subprocess.Popen([*waiting], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as apart,
        subprocess.Popen(
            ["nvcc", *waiting[1:], "-gencode", "arch=compute_75,code=sm_75"],
            executable=sys.executable,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as compiler,
    ):
        assert apart.stdout and compiler.stdout
        apart.stdout.readline(), compiler.stdout.readline()
        assert architectures(os.getpid()) == {"sm_75"}
        assert architectures(apart.pid) == set()
        for one in (apart, compiler):
            assert one.stdin
            one.stdin.close()
    assert architectures(os.getpid()) == set()

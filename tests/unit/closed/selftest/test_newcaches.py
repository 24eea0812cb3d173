"""What the self-test of a new generation compiles stays for the first start of whoever installed it, or leaves nothing."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.closed.environment.variables import Environment
from mirror.closed.host.machine import Host, read_host
from mirror.closed.selftest.newcaches import first_self_test
from mirror.closed.selftest.selftest import SelfTestFailed
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from tests.unit.closed.selftest.test_firststart import needs_gcc

pytestmark = needs_gcc

TARGET = Target("3.11", "x86_64", "2.28", "sm_90a", "13.0")
FLASHINFER, TORCH = (
    Artifact(f"wheels/{name.replace('-', '_')}-1-py3-none-any.whl", 1, Sha256Hex("ab" * 32), name)
    for name in ("flashinfer-python", "torch")
)
HOST = replace(read_host(), driver="580.65.06", gpus=1)
PASSES = """
import os, pathlib
place = pathlib.Path(os.environ["FLASHINFER_WORKSPACE_BASE"], ".cache/flashinfer")
place.mkdir(parents=True, exist_ok=True)
(place / "sampling.so").write_text("compiled")
"""


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    """A generation whose python runs a program of the test's in place of the self-test's."""
    for directory in ("home", "generation/venv/bin", "generation/work"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "home").chmod(0o700)
    python = tmp_path / "generation/venv/bin/python"
    python.write_text(
        f'#!/bin/sh\n[ "$2" != program.py ] || set -- -I "{tmp_path}/program.py"\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    return tmp_path / "generation"


def first(generation: Path, program: str, host: Host = HOST, **base: str) -> tuple[Path, list[str]]:
    """Where the caches would be, and the outcomes."""
    (generation.parent / "program.py").write_text(program)
    variables = {"PATH": os.environ["PATH"], "HOME": str(generation.parent / "home"), **base}
    environment = Environment(generation, Manifest("h100", 5, TARGET, (FLASHINFER, TORCH)))
    checks = first_self_test(environment, host, generation / "work", variables)
    return environment.caches(variables), [str(check) for check in checks if "FlashInfer" in check.name]


def test_what_was_compiled_lies_where_the_first_start_looks_and_says_whose_it_is(generation: Path) -> None:
    caches, told = first(generation, PASSES)
    assert told == ["sample with FlashInfer's kernels: passed"]
    assert (caches / ".cache/flashinfer/sampling.so").read_text() == "compiled"
    assert (caches / "generation").readlink() == generation
    assert caches.stat().st_mode & 0o777 == 0o700


def test_caches_that_were_there_are_not_used_for_what_is_there_proves_nothing(generation: Path) -> None:
    caches, _ = first(generation, PASSES)
    (caches / ".cache/flashinfer/sampling.so").write_text("another's")
    first(generation, PASSES)
    assert (caches / ".cache/flashinfer/sampling.so").read_text() == "another's"


def test_a_failed_check_leaves_no_caches(generation: Path) -> None:
    with pytest.raises(SelfTestFailed):
        first(generation, f"{PASSES}\nraise SystemExit('no')")
    assert list((generation.parent / "home").rglob("*.so")) == []
    assert not list((generation.parent / "home/.cache/mirror/jit").iterdir())


def test_a_home_that_cannot_hold_them_is_no_reason_to_refuse_a_stack(generation: Path) -> None:
    full = "if '/home/' in os.environ['FLASHINFER_WORKSPACE_BASE']:\n    raise SystemExit('No space left on device')"
    caches, told = first(generation, f"import os\n{full}")
    assert told == ["sample with FlashInfer's kernels: passed"]
    assert not caches.exists()


def test_a_cache_directory_that_others_may_write_is_not_filled(generation: Path) -> None:
    (generation.parent / "home").chmod(0o777)
    caches, told = first(generation, PASSES)
    assert told == ["sample with FlashInfer's kernels: passed"]
    assert not caches.exists()


@pytest.mark.parametrize("host", [replace(HOST, driver=""), replace(HOST, gpus=0)])
def test_without_a_gpu_nothing_is_made_in_the_users_home(generation: Path, host: Host) -> None:
    first(generation, PASSES, host)
    assert list((generation.parent / "home").iterdir()) == []


def test_without_a_home_the_generation_does_not_grow(generation: Path) -> None:
    first(generation, PASSES, HOME="")
    assert not (generation / ".cache").exists()

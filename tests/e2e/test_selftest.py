"""The self-test with the real CUDA 13.0 compilers: a component that is missing, a host compiler that does not fit, a blank in
the path. No GPU is needed.

The toolkit is unpacked once; what is taken away is taken from a copy made of hard links, where nvcc lies as it would.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mirror.closed.environment.variables import Environment
from mirror.closed.host.machine import read_host
from mirror.closed.prefix.check import FAILED, PASSED, SKIPPED, Check
from mirror.closed.selftest.firststart import HEADERS
from mirror.closed.selftest.selftest import self_test
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from mirror.core.toolkit.rpmsource import RpmSource, trusted_rpms
from mirror.core.toolkit.toolchain import Toolchain, unpack_toolchain
from scripts.cuda_rpms.demokey import FINGERPRINT

pytestmark = [pytest.mark.index, pytest.mark.skipif(shutil.which("g++") is None, reason="nvcc needs the host's g++")]

DIGEST = Sha256Hex("ab" * 32)
TARGET = Target("3.11", "x86_64", "2.28", "sm_90a", "13.0")
FLASHINFER = "flashinfer-python"
KERNEL, AS_FLASHINFER, PLAIN = (
    "compile and link a kernel for sm_90a",
    "compile and link for sm_90a as FlashInfer does",
    "compile and link with g++ and -lcudart -lcuda",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("toolkit") / "cuda"


@pytest.fixture(scope="module")
def toolchain(rpm_repository: Path, home: Path) -> Toolchain:
    rpms = [path for path in sorted(rpm_repository.glob("*.rpm")) if not path.name.startswith("cccl-13-3")]
    key = (rpm_repository / "repodata/repomd.xml.key").read_bytes()
    sources = trusted_rpms([RpmSource.of(path) for path in rpms], keys=key, fingerprints=[FINGERPRINT])
    return unpack_toolchain(sources, home, TARGET)


def linked(home: Path, generation: Path) -> None:
    """The toolkit as ``cuda`` of a generation."""
    shutil.copytree(home, generation / "cuda", symlinks=True, copy_function=os.link)


def outcomes(generation: Path, *packages: str) -> dict[str, Check]:
    """The compilers' part of the self-test of a generation that was made of these packages; it has no venv to compile for."""
    artifacts = tuple(
        Artifact(f"{'wheels' if name == FLASHINFER else 'rpms'}/{name}", 1, DIGEST, name) for name in packages
    )
    (generation / "work").mkdir()
    checks = self_test(Environment(generation, Manifest("e2e", 1, TARGET, artifacts)), read_host(), generation / "work")
    return {check.name: check for check in checks if check.name != HEADERS}


@pytest.mark.parametrize(
    ("package", "first", "file"),
    [
        ("cuda-cccl-13-0", KERNEL, "nv/target is missing"),
        ("cuda-crt-13-0", KERNEL, "crt/host_config.h is missing"),
        ("libnvvm-13-0", KERNEL, "nvvm/bin/cicc is missing"),
        ("cuda-driver-devel-13-0", AS_FLASHINFER, "libcuda.so is missing"),
        ("cuda-cudart-13-0", AS_FLASHINFER, "libcudart.so leads to libcudart.so.13, which is missing"),
        ("cuda-cudart-devel-13-0", KERNEL, "cuda_runtime.h is missing"),
    ],
)
def test_a_set_without_one_component_names_its_rpm(
    toolchain: Toolchain, home: Path, tmp_path: Path, package: str, first: str, file: str
) -> None:
    linked(home, tmp_path)
    (lacking,) = [found for found in toolchain.packages if found.nevra.startswith(f"{package}-13.")]
    for path in lacking.files:
        if path != "lib64":  # the link that several packages bring
            (tmp_path / "cuda" / path).unlink()
    others = [found.nevra.rsplit("-", 2)[0] for found in toolchain.packages if found is not lacking]
    checks = outcomes(tmp_path, *others, FLASHINFER)
    failed = [check for check in checks.values() if check.outcome == FAILED]
    assert failed[0].name == first
    assert failed[0].detail.splitlines()[-1] == f"{file}: {package} brings it; add it to [rpms] and lock again"
    assert all(f": {package} brings it;" in check.detail.splitlines()[-1] for check in failed)
    assert len(failed[0].detail.splitlines()) > 1  # the compiler's own words come first


def test_a_blank_in_the_path_is_fine_for_the_compilers_and_not_for_unquoted_commands(
    toolchain: Toolchain, home: Path, tmp_path: Path
) -> None:
    """Why a prefix with a blank is refused where a toolchain is carried, though nvcc has nothing against it."""
    generation = tmp_path / "with blank"
    generation.mkdir()
    linked(home, generation)
    checks = outcomes(generation, "cuda-nvcc-13-0")
    assert {check.name: check.outcome for check in checks.values()} == dict.fromkeys(
        (KERNEL, AS_FLASHINFER, PLAIN), PASSED
    )
    # What ninja gives to /bin/sh for FlashInfer's "nvcc = $cuda_home/bin/nvcc" and "command = $nvcc ... -c $in".
    done = subprocess.run(["sh", "-c", f"{generation}/cuda/bin/nvcc --version"], capture_output=True, text=True)
    assert done.returncode == 127
    assert f"{tmp_path}/with: not found" in done.stderr or f"{tmp_path}/with: No such file" in done.stderr


def wrapper(path: Path, version: int, rest: str) -> None:
    path.write_text(f'#!/bin/sh\n[ "$1" = -dumpversion ] && echo {version} && exit\n{rest}\n')
    path.chmod(0o755)


def test_an_older_compiler_of_the_host_takes_the_place_of_one_that_is_too_new(
    toolchain: Toolchain, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gcc", "g++"):
        wrapper(tmp_path / name, 99, "echo 'this one is never asked to compile' >&2; exit 1")
    (tmp_path / "g++-15").symlink_to(shutil.which("g++") or "")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    linked(home, tmp_path)
    checks = outcomes(tmp_path, "cuda-nvcc-13-0")
    assert checks[KERNEL].outcome == checks[AS_FLASHINFER].outcome == checks[PLAIN].outcome == PASSED
    said = checks["use the host's own compiler"].detail
    assert said.startswith(
        f"{tmp_path}/gcc is gcc 99, nvcc of CUDA 13.0 takes gcc 15 and older; {tmp_path}/g++-15 fits"
    )


def test_the_toolkits_own_error_about_a_compiler_that_is_too_new_is_understood(
    toolchain: Toolchain, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler that says 12 to us and 99 to the toolkit's header."""
    wrapper(tmp_path / "gcc", 12, f'exec {shutil.which("gcc")} "$@" -U__GNUC__ -D__GNUC__=99')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    linked(home, tmp_path)
    found = outcomes(tmp_path, "cuda-nvcc-13-0")[KERNEL]
    assert found.outcome == SKIPPED
    assert found.detail.endswith("gcc versions later than 15 are not supported")

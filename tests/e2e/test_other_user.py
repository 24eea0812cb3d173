"""The real toolchain, shared: one user has it, another user of the host compiles with it, and nothing of it changes.

Whole installs that are shared are in ``tests/unit/closed/test_sharing.py``; this is about the compilers.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mirror.closed.environment.shells import sh_script
from mirror.closed.environment.variables import Environment
from mirror.closed.host.sharing import readable_for_others
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.toolkit.rpmsource import RpmSource, trusted_rpms
from mirror.core.toolkit.toolchain import unpack_toolchain
from scripts.cuda_rpms.demokey import FINGERPRINT
from tests.e2e.test_selftest import DIGEST, TARGET
from tests.support.otheruser import (
    close_for_writing,
    home_of_other,
    listing,
    needs_root,
    run_as_other,
    shared_directory,
)

pytestmark = [pytest.mark.index, pytest.mark.skipif(shutil.which("g++") is None, reason="nvcc needs the host's g++")]

COMPILE = """\
set -eu
. "$1/env.sh"
printf '#include <cuda_fp16.h>\\n__global__ void k(__half *x) { *x = __hadd(*x, *x); }\\n' > k.cu
echo 'int main() { k<<<1, 1>>>(0); }' >> k.cu
nvcc -arch="sm_$CUDAARCHS" k.cu -o k
touch "$FLASHINFER_WORKSPACE_BASE/kernel"
"""


@needs_root
def test_another_user_compiles_with_a_read_only_toolchain(rpm_repository: Path) -> None:
    rpms = [path for path in sorted(rpm_repository.glob("*.rpm")) if not path.name.startswith("cccl-13-3")]
    key = (rpm_repository / "repodata/repomd.xml.key").read_bytes()
    sources = trusted_rpms([RpmSource.of(path) for path in rpms], keys=key, fingerprints=[FINGERPRINT])
    artifacts = (Artifact("rpms/nvcc.rpm", 1, DIGEST, "nvcc"),)
    before = os.umask(0o077)
    try:
        with shared_directory() as shared, readable_for_others():
            generation = shared / "5-abababababab"
            generation.mkdir()
            unpack_toolchain(sources, generation / "cuda", TARGET)
            script = sh_script(Environment(generation, Manifest("e2e", 5, TARGET, artifacts)))
            (generation / "env.sh").write_text(script)
            close_for_writing(generation)
            held, home = listing(generation), home_of_other(shared)
            finished = run_as_other(["sh", "-c", COMPILE, "sh", str(generation)], home)
            assert finished.returncode == 0, finished.stderr
            assert b"sm_90a" in (home / "k").read_bytes()
            assert listing(generation) == held
            assert len(list((home / ".cache/mirror/jit").glob("*/kernel"))) == 1
    finally:
        os.umask(before)

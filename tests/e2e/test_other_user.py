"""The real toolchain, shared: root installs it, another user of the host compiles with it, and nothing of it changes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Made
from tests.e2e.test_journey import closed
from tests.support.otheruser import (
    close_for_writing,
    home_of_other,
    listing,
    needs_root,
    run_as_other,
    shared_directory,
)

pytestmark = pytest.mark.index

COMPILE = """\
set -eu
. "$1/current/env.sh"
printf '#include <cuda_fp16.h>\\n__global__ void k(__half *x) { *x = __hadd(*x, *x); }\\n' > k.cu
echo 'int main() { k<<<1, 1>>>(0); }' >> k.cu
nvcc -arch="sm_$CUDAARCHS" k.cu -o k
touch "$TRITON_CACHE_DIR" "$FLASHINFER_WORKSPACE_BASE/x"
"""


@needs_root
def test_another_user_compiles_with_a_read_only_install(made: Made, tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no host compiler on this machine")
    with shared_directory() as shared:
        prefix = shared / "stack"
        words = ["install", made.bundle, "--prefix", prefix, "--fingerprint", made.fingerprint]
        closed(made, tmp_path, Path(sys.executable), *words)
        close_for_writing(prefix)
        before, home = listing(prefix), home_of_other(shared)
        finished = run_as_other(["sh", "-c", COMPILE, "sh", str(prefix)], home)
        assert finished.returncode == 0, finished.stderr
        assert b"sm_90a" in (home / "k").read_bytes()
        assert listing(prefix) == before
        assert [path.name for path in (home / ".cache/mirror").iterdir()] == ["jit"]

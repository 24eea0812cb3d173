"""A CUDA sdist that goes by its own list of GPUs, built with the real compiler: told, patched, built twice, and cut short.

It is what causal-conv1d is, without torch: its backend calls nvcc, as ninja does in sessions of its own, for GPUs that nobody
asked for. ``lockfiles/hopper-wheels.toml`` has the real projects; ``mirror help building`` says how long they take.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import run
from tests.support.index import LoopbackIndex
from tests.support.wheels import make_sdist, metadata

PYTHON = "{}.{}".format(*sys.version_info)

BACKEND = '''\
"""Compiles pad.cu, for GPUs of its own choice, with two compilers at once."""
import base64, hashlib, os, pathlib, subprocess, zipfile

GENCODE = ["-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_90a,code=sm_90a"]
METADATA = {metadata!r}

def get_requires_for_build_wheel(config_settings=None):
    return []

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    nvcc = [*os.environ.get("PYTORCH_NVCC", "nvcc").split(), "-O3", *GENCODE, "-Xcompiler", "-fPIC", "-c"]
    jobs = [subprocess.Popen([*nvcc, name + ".cu", "-o", name + ".o"], start_new_session=True) for name in ("pad", "more")]
    if any(job.wait() for job in jobs):
        raise SystemExit("nvcc failed")
    subprocess.run(["nvcc", "-shared", "-cudart", "none", "pad.o", "more.o", "-o", "_pad.so"], check=True)
    members = {{"left_pad/_pad.so": pathlib.Path("_pad.so").read_bytes()}}
    info, tag = "left_pad-1.0.dist-info", "py3-none-linux_{machine}"
    members[info + "/METADATA"] = METADATA.encode()
    members[info + "/WHEEL"] = f"Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: {{tag}}\\n".encode()
    lines = [
        "%s,sha256=%s,%d" % (name, base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode(), len(data))
        for name, data in members.items()
    ]
    members[info + "/RECORD"] = ("\\n".join([*lines, info + "/RECORD,,"]) + "\\n").encode()
    filename = f"left_pad-1.0-{{tag}}.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory, filename), "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return filename
'''

KERNEL = """
namespace { __device__ float kept; }
template <class T> __global__ void NAME(T *x) {
    T a = x[threadIdx.x];
#pragma unroll
    for (int i = 0; i < ROUNDS; ++i) a = sinf(a) * x[i];
    x[threadIdx.x] = a + kept;
}
template __global__ void NAME<float>(float *);
"""
"""Templates alone, and something internal, as in causal-conv1d: nvcc names that after the number of its process, if it may."""

ONE_GPU = """\
--- a/backend.py
+++ b/backend.py
@@ -4,2 +4,2 @@
-GENCODE = ["-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_90a,code=sm_90a"]
+GENCODE = ["-gencode=arch=compute_90a,code=sm_90a"]
 METADATA = METADATA_HERE
"""


class Stack:
    """``pads.toml`` with one project that is built, and commands as they are typed."""

    def __init__(self, directory: Path, cache: Path, index: LoopbackIndex, rpms: Path) -> None:
        self.directory, self.cache, self.index, self.rpms = directory, cache, index, rpms
        self.file = directory / "pads.toml"
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "MIRROR_HOME": str(directory / "home")}

    def write(self, rounds: int, settings: str = "") -> None:
        core = metadata("left-pad", "1.0")
        backend = BACKEND.format(metadata=core, machine=os.uname().machine)
        files = {
            f"{name}.cu": KERNEL.replace("NAME", name).replace("ROUNDS", str(rounds)).encode()
            for name in ("pad", "more")
        }
        self.index.add(make_sdist(self.directory / "sdists", "left-pad", "1.0", backend=backend, files=files))
        (self.directory / "one.diff").write_text(ONE_GPU.replace("METADATA_HERE", repr(core)))
        self.file.write_text(
            f'[target]\npython = "{PYTHON}"\narch = "{os.uname().machine}"\nglibc = "2.36"\ngpu = "sm_90a"\ncuda = "13.0"\n\n'
            '[python]\nrequirements = ["left-pad==1.0"]\nbuild = ["left-pad"]\n\n'
            f'[python.index]\nleft-pad = "own"\n\n[indexes]\nown = "{self.index.url}"\n\n[build.left-pad]\n{settings}\n\n'
            '[rpms]\nrepository = "https://rpms.invalid/"\ncomponents = ["nvcc"]\n'
            'fingerprints = ["D6ABEDFE6D3E4021F7D7296D6309737A04018495"]\n'
        )
        run([*self.command("lock"), "--toolchain-repo", self.rpms], self.environment)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "mirror.cli.main", words[0], str(self.file), *words[1:]]

    def built(self, *words: str) -> dict[str, object]:
        command = [*self.command("build", "--json", *words), "--toolchain-repo", str(self.rpms)]
        jobs = json.loads(run(command, self.environment))["jobs"]
        found: dict[str, object] = next(job for job in jobs if job["project"] == "left-pad")
        return found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, for a toolchain is unpacked once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def stack(tmp_path: Path, cache: Path, rpm_repository: Path) -> Iterator[Stack]:
    with LoopbackIndex() as index:
        yield Stack(tmp_path, cache, index, rpm_repository)


@pytest.mark.slow
def test_gpus_that_nobody_asked_for_are_told_and_a_patch_leaves_them_out(stack: Stack) -> None:
    stack.write(4)
    found = stack.built()
    assert found["gpus"] == ["sm_80", "sm_90a"]
    assert found["notes"] == [
        "left-pad 1.0 was compiled for sm_80 too; the target is sm_90a: it goes by other settings than TORCH_CUDA_ARCH_LIST, "
        "see its setup.py; environment or patches in [build] of NAME.toml limit it"
    ]
    stack.write(4, 'patches = ["one.diff"]')
    patched = stack.built("--verify-builds", "1")
    assert (patched["gpus"], patched["notes"], patched["verified"]) == (["sm_90a"], [], True)
    assert patched["needs"] == {"CXXABI": "1.3", "GLIBC": "2.2.5"}
    assert patched["auditwheel"] == f"manylinux_2_5_{os.uname().machine}"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("ccache"), reason="there is no ccache")
def test_a_second_build_takes_its_objects_from_the_compiler_cache(stack: Stack) -> None:
    """The second build is another one, in a directory of its own: what was compiled has not changed."""
    objects = {**os.environ, "CCACHE_DIR": str(stack.cache / "mirror" / "ccache")}
    hits = []
    for number in ("1", "2"):
        stack.write(5, f'environment = {{ TRY = "{number}" }}')
        assert stack.built()["gpus"] == ["sm_80", "sm_90a"]
        stats = dict(line.split("\t") for line in run(["ccache", "--print-stats"], objects).splitlines())
        hits.append(int(stats["direct_cache_hit"]) + int(stats["preprocessed_cache_hit"]))
    assert hits == [0, 2]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["build", "bundle"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_compiler_outlives_mirror(stack: Stack, command: str, number: signal.Signals) -> None:
    """cicc and ptxas run for minutes, in sessions of their own; the process table is looked at, not our word for it."""
    stack.write(20_000)
    place = str(stack.cache)
    more = ["-o", str(stack.directory / "bundle.tar")] if command == "bundle" else []
    process = subprocess.Popen(
        [*stack.command(command, *more), "--toolchain-repo", str(stack.rpms)],
        env=stack.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not any("/cicc" in line or "ptxas" in line for line in _running(place).values()):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(30)
        deadline = time.monotonic() + 10  # where mirror was killed, its helper needs a moment
        while (left := _running(place)) and number == signal.SIGKILL and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == {}
    finally:
        process.kill()
        process.wait()
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert [path for path in (stack.cache / "mirror/build").iterdir() if path.is_dir()] == []


def _running(place: str) -> dict[int, str]:
    """Every process whose command line names a directory, but ours and mirror's own."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if entry.name.isdigit() and place in line:
                found[int(entry.name)] = line
        except OSError:
            continue
    return found

"""The main job on real input: the quickstart bundle, made with the index, installed without any network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import CUT, HOUSE, PYTHONS, Made, can_cut, find_python, run

pytestmark = pytest.mark.index


def closed(made: Made, home: Path, python: Path, *words: object, cut: bool = True) -> str:
    """Run mirror.pyz as the operator does: an isolated Python, a home of their own, no network."""
    environment = {"MIRROR_HOME": str(home / "keys"), "HOME": str(home), "XDG_DATA_HOME": str(home / "data")}
    prefix = CUT if cut and can_cut() else []
    return run([*prefix, python, "-I", made.installer, *words], environment)


BETWEEN = ("3.10", "3.12")
"""Versions whose neighbours are tried in CI."""


@pytest.mark.parametrize(
    "minor", [pytest.param(minor, marks=pytest.mark.slow) if minor in BETWEEN else minor for minor in PYTHONS]
)
def test_installs_without_network_from_the_two_files_and_the_fingerprint(
    made: Made, tmp_path: Path, minor: str
) -> None:
    python = find_python(minor)
    if python is None:
        pytest.skip(f"no Python {minor} on this machine")
    closed(made, tmp_path, python, "trust", "add", made.bundle, "--fingerprint", made.fingerprint)
    prefix = tmp_path / "stack"
    result = json.loads(closed(made, tmp_path, python, "install", made.bundle, "--prefix", prefix, "--json"))
    assert (
        result["manifest_sha256"]
        == json.loads(closed(made, tmp_path, python, "inspect", made.bundle, "--json"))["manifest_sha256"]
    )
    script = f'. "{prefix}/current/env.sh" && python -c "import mistral_common, sys; print(mistral_common.__version__)"'
    assert run(["bash", "-euc", script]).strip() == "1.9.1"
    status = closed(made, tmp_path, python, "status", "--prefix", prefix)
    assert "quickstart" in status
    header = prefix.resolve() / "current" / "cuda" / "targets/x86_64-linux/include/nv/target"
    assert f"it is installed: {header.resolve()}\n" in closed(
        made, tmp_path, python, "which", "nv/target", "--prefix", prefix
    )
    lacking = closed(made, tmp_path, python, "which", "cuda_profiler_api.h", "--bundle", made.bundle)
    assert 'packages = [..., "cuda-profiler-api-13-0"]' in lacking
    again = json.loads(closed(made, tmp_path, python, "install", made.bundle, "--prefix", prefix, "--json"))
    assert again["manifest_sha256"] == result["manifest_sha256"]
    assert len(list((prefix / "gens").iterdir())) == 1


def test_the_installed_nvcc_compiles_and_links_for_hopper(made: Made, tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no host compiler on this machine")
    python = Path(sys.executable)
    closed(made, tmp_path, python, "trust", "add", made.bundle, "--fingerprint", made.fingerprint)
    closed(made, tmp_path, python, "install", made.bundle, "--prefix", tmp_path / "stack")
    (tmp_path / "k.cu").write_text(
        "#include <cuda_fp16.h>\n#include <cub/cub.cuh>\n#include <nv/target>\n"
        "__global__ void k(__half *x) { *x = __hadd(*x, *x); }\n"
        "int main() { k<<<1, 1>>>(nullptr); return 0; }\n"
    )
    (tmp_path / "h.cpp").write_text("#include <cuda.h>\n#include <cuda_runtime.h>\nint main() { return cuInit(0); }\n")
    script = (
        f'. "{tmp_path}/stack/current/env.sh" && nvcc -arch=sm_90a -o k k.cu'
        ' && g++ -I"$CUDA_HOME/include" h.cpp -o h -L"$CUDA_HOME/lib64" -L"$CUDA_HOME/lib64/stubs" -lcudart -lcuda'
        ' && command -v nvcc && echo "${LD_LIBRARY_PATH:-none}"'
    )
    nvcc, library_path = run(["bash", "-euc", script], cwd=tmp_path).split()
    assert Path(nvcc).is_relative_to(tmp_path.resolve() / "stack")
    assert "cuda" not in library_path
    assert b"sm_90a" in (tmp_path / "k").read_bytes()


@pytest.mark.group(68)
def test_no_connection_leaves_the_machine_while_installing(made: Made, tmp_path: Path) -> None:
    """With the network there: what is never asked for cannot be missed."""
    if shutil.which("strace") is None:
        pytest.skip("no strace on this machine")
    python = Path(sys.executable)
    closed(made, tmp_path, python, "trust", "add", made.bundle, "--fingerprint", made.fingerprint)
    trace = tmp_path / "trace"
    environment = {"MIRROR_HOME": str(tmp_path / "keys")}
    words = ["install", made.bundle, "--prefix", tmp_path / "stack"]
    run(
        ["strace", "-f", "-qq", "-e", "trace=connect,sendto", "-o", trace, python, "-I", made.installer, *words],
        environment,
    )
    connects = [line for line in trace.read_text().splitlines() if re.search(r"sa_family=AF_INET6?\b", line)]
    assert connects, "the loopback page that feeds uv should be seen"
    assert [line for line in connects if "127.0.0.1" not in line] == []


def test_the_same_lock_gives_the_same_bytes_elsewhere(made: Made, tmp_path: Path) -> None:
    """Another directory, umask, locale, time zone and an empty cache: everything is fetched and built anew."""
    locks = tmp_path / "other place" / "locks"
    shutil.copytree(HOUSE / "lockfiles", locks)
    rpms = tmp_path / "copy of the repository"
    shutil.copytree(made.rpms, rpms)
    environment = {
        "MIRROR_HOME": str(made.home),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "TZ": "Asia/Kolkata",
        "LC_ALL": "C",
        "LANG": "de_DE.UTF-8",
    }
    output = tmp_path / "again.tar"
    words = ["bundle", "--lock", locks / "quickstart.txt", "--toolchain-repo", rpms, "-o", output, "--json"]
    previous = os.umask(0o077)
    try:
        result = json.loads(run([sys.executable, "-m", "mirror.cli.main", *words], environment, cwd=tmp_path))
    finally:
        os.umask(previous)
    assert result["sha256"] == made.result["sha256"]


@pytest.fixture
def unpacked(made: Made, tmp_path: Path) -> Path:
    directory = tmp_path / "unpacked"
    directory.mkdir()
    run(["tar", "xf", made.bundle, "-C", directory])
    return directory


def test_coreutils_and_ssh_keygen_verify_it(made: Made, unpacked: Path) -> None:
    run(["sha256sum", "--quiet", "-c", "meta/SHA256SUMS"], cwd=unpacked)
    root = json.loads((unpacked / "ROOT" / "1.json").read_text())
    (unpacked / "allowed_signers").write_text(f"builder {next(iter(root['roles']['builder']['keys'].values()))}\n")
    verify = "ssh-keygen -Y verify -f allowed_signers -I builder -n mirror-manifest@v1 -s SIG/1.sig < MANIFEST.json"
    assert "Good" in run(["bash", "-euc", verify], cwd=unpacked)
    manifest = (unpacked / "MANIFEST.json").read_bytes()
    (unpacked / "MANIFEST.json").write_bytes(manifest.replace(b'"quickstart"', b'"quickstars"', 1))
    assert subprocess.run(["bash", "-euc", verify], cwd=unpacked, capture_output=True).returncode != 0
    listed = {line.split("  ")[1] for line in (unpacked / "meta" / "SHA256SUMS").read_text().splitlines()}
    there = {
        str(path.relative_to(unpacked)) for path in unpacked.glob("*/*") if path.parent.name not in ("SIG", "ROOT")
    }
    assert there - listed == {"meta/SHA256SUMS"}


def test_pip_installs_from_it(unpacked: Path, tmp_path: Path) -> None:
    python = find_python("3.11")
    if python is None:
        pytest.skip("no Python 3.11 on this machine")
    run([python, "-m", "venv", tmp_path / "venv"])
    pip = [tmp_path / "venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--isolated"]
    command = [
        *pip,
        "install",
        "-q",
        "--no-index",
        "--find-links",
        "wheels/",
        "--require-hashes",
        "-r",
        "meta/install.txt",
    ]
    clean = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": ""}
    run([*CUT, *command] if can_cut() else command, clean, cwd=unpacked)
    code = "import mistral_common, mirror_probe; print(mistral_common.__version__)"
    assert run([tmp_path / "venv" / "bin" / "python", "-c", code]).strip() == "1.9.1"


def test_the_bundle_holds_what_it_should(made: Made) -> None:
    facts = json.loads(
        run([sys.executable, "-m", "mirror.cli.main", "verify", made.bundle, "--json"], {"MIRROR_HOME": str(made.home)})
    )
    built = set(facts["built_here"])
    assert {re.sub(r"-\d.*", "", path) for path in built} == {"wheels/mistral_common", "wheels/mirror_probe"}
    rpms = {item["name"] for item in facts["artifacts"] if item["path"].startswith("rpms/")}
    assert {"cuda-nvcc-13-0", "libnvvm-13-0", "cuda-crt-13-0", "cuda-cccl-13-0", "cuda-cudart-13-0"} <= rpms
    assert "cccl-13-3" not in rpms
    assert not [name for name in rpms if name.startswith("cuda-toolkit-13-0") and "config" not in name]

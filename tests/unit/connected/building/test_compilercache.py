"""A compiler cache of the machine is used, with nothing of the caller's environment but where objects are kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.connected.building.compilercache import compiler_cache
from mirror.connected.building.sandbox import run_cut_off
from mirror.connected.building.workshop import Workshop
from mirror.core.target import Target

STORE, BUILD = Path("/store"), Path("/store/build/0123")
LAUNCHERS = {
    "CMAKE_C_COMPILER_LAUNCHER",
    "CMAKE_CXX_COMPILER_LAUNCHER",
    "CMAKE_CUDA_COMPILER_LAUNCHER",
    "FLASHINFER_CXX_LAUNCHER",
    "FLASHINFER_NVCC_LAUNCHER",
}


def variables(*programs: str, **caller: str) -> dict[str, str]:
    return compiler_cache(caller, STORE, BUILD, lambda name: f"/usr/bin/{name}" if name in programs else None)


def test_without_a_cache_there_are_no_variables() -> None:
    assert variables(CCACHE_DIR="/nfs", SCCACHE_SERVER_UDS="/run/s") == {}


def test_ccache_keeps_its_objects_in_the_store_unless_the_caller_says_where() -> None:
    found = variables("ccache", HOME="/home/a", CCACHE_PREFIX="distcc")
    assert {found[name] for name in LAUNCHERS} == {"/usr/bin/ccache"} and found[
        "PYTORCH_NVCC"
    ] == "/usr/bin/ccache nvcc"
    assert {name: value for name, value in found.items() if name.startswith("CCACHE")} == {
        "CCACHE_DIR": "/store/ccache",
        "CCACHE_BASEDIR": "/store/build/0123",
        "CCACHE_NOHASHDIR": "1",
        "CCACHE_COMPILERCHECK": "content",
    }
    shared = variables("ccache", CCACHE_DIR="/ssd", CCACHE_REMOTE_STORAGE="file:/nfs")
    assert (shared["CCACHE_DIR"], shared["CCACHE_REMOTE_STORAGE"]) == ("/ssd", "file:/nfs")


def test_sccache_is_used_through_its_server_alone() -> None:
    assert variables("sccache") == {}
    assert variables("sccache", "ccache")["FLASHINFER_NVCC_LAUNCHER"] == "/usr/bin/ccache"
    found = variables("sccache", "ccache", SCCACHE_SERVER_UDS="/run/s")
    assert (found["FLASHINFER_NVCC_LAUNCHER"], found["SCCACHE_SERVER_UDS"]) == ("/usr/bin/sccache", "/run/s")
    assert set(found) == {*LAUNCHERS, "PYTORCH_NVCC", "SCCACHE_SERVER_UDS"}


def compiled(store: Path, caller: dict[str, str], log: Path, fresh: bool = False) -> bytes:
    """An object, compiled in a build's room and cut off from the network, by the launcher that builds are given."""
    with Workshop(store / "build" / "0123") as room:
        (room.source / "a.c").write_text("const char *where(void) { return __FILE__; }\n")
        cache = compiler_cache(caller, store, room.path, shutil.which, fresh)
        variables = room.unplaced(room.environment(Target("3.11", "x86_64", "2.28"), None, 0), None)
        command = f"$CMAKE_C_COMPILER_LAUNCHER gcc $CFLAGS -O2 -c {room.source}/a.c -o a.o"
        with open(log, "wb") as stream:
            status = run_cut_off(["sh", "-c", command], cwd=room.out, environment={**variables, **cache}, log=stream)
        assert status == 0, log.read_text()
        return (room.out / "a.o").read_bytes()


@pytest.mark.skipif(not shutil.which("ccache"), reason="there is no ccache")
def test_ccache_takes_from_a_shared_directory_what_another_machine_compiled(tmp_path: Path) -> None:
    caller = {"CCACHE_REMOTE_STORAGE": f"file:{tmp_path / 'shared'}"}
    objects, hits = [], []
    for machine in ("one", "two"):
        objects.append(compiled(tmp_path / machine, caller, tmp_path / "log"))
        asked = {**os.environ, "CCACHE_DIR": str(tmp_path / machine / "ccache")}
        said = subprocess.run(["ccache", "--print-stats"], env=asked, check=True, capture_output=True, text=True).stdout
        stats = dict(line.split("\t") for line in said.splitlines())
        hits.append(int(stats["direct_cache_hit"]) + int(stats["preprocessed_cache_hit"]))
    assert hits == [0, 1] and objects[0] == objects[1] and str(tmp_path).encode() not in objects[1]


@pytest.mark.skipif(not shutil.which("ccache"), reason="there is no ccache")
def test_a_build_that_verifies_another_compiles_all_of_it_by_the_same_commands(tmp_path: Path) -> None:
    """ccache has the compiler see '../src/a.c': without it, __FILE__ would be another one."""
    first = compiled(tmp_path, {}, tmp_path / "log")
    kept = {path: path.read_bytes() for path in (tmp_path / "ccache").rglob("*") if path.is_file()}
    second = compiled(tmp_path, {"CCACHE_REMOTE_STORAGE": f"file:{tmp_path / 'shared'}"}, tmp_path / "log", fresh=True)
    assert first == second and b"../src/a.c" in second and not (tmp_path / "shared").exists()
    assert {path: path.read_bytes() for path in (tmp_path / "ccache").rglob("*") if path.is_file()} == kept


@pytest.fixture
def server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """sccache's server, outside of any build, with a directory that it may share; its caller's variables."""
    short = tempfile.mkdtemp(prefix="s")  # a socket's path has 107 bytes
    caller = {"SCCACHE_SERVER_UDS": f"{short}/s", "SCCACHE_DIR": str(tmp_path / "shared")}
    environment = {**os.environ, **caller}
    subprocess.run(["sccache", "--start-server"], env=environment, check=True, capture_output=True)
    yield caller
    subprocess.run(["sccache", "--stop-server"], env=environment, check=True, capture_output=True)
    shutil.rmtree(short)


@pytest.mark.skipif(not shutil.which("sccache"), reason="there is no sccache")
def test_sccache_gives_the_same_build_its_objects_again(tmp_path: Path, server: dict[str, str]) -> None:
    objects = {compiled(tmp_path, server, tmp_path / "log", fresh) for fresh in (False, False, True)}
    assert len(objects) == 1
    asked = ["sccache", "--show-stats", "--stats-format", "json"]
    said = subprocess.run(asked, env={**os.environ, **server}, check=True, capture_output=True).stdout
    stats = json.loads(said)["stats"]
    assert (sum(stats["cache_hits"]["counts"].values()), sum(stats["cache_misses"]["counts"].values())) == (1, 1)

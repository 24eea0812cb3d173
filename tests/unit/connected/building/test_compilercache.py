"""A compiler cache of the machine is used, with nothing of the caller's environment but where objects are kept."""

from __future__ import annotations

from pathlib import Path

from mirror.connected.building.compilercache import compiler_cache

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

"""What a log is about, looked at on this host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirror.closed.doctor.here import looks
from mirror.core.logs.explained.log import explain
from mirror.core.logs.finding import Finding


def seen(line: str, **variables: str) -> list[str]:
    return [f"{one.subject}: {one.what}" for one in looks(explain([line]).findings, variables, None)]


def test_a_full_disk_is_asked_for_its_room(tmp_path: Path) -> None:
    (found,) = seen(f"OSError: [Errno 28] No space left on device: '{tmp_path}/cache/x'")
    assert found.startswith(f"{tmp_path}: on this host has room for ") and found.endswith(" files")


def test_a_library_is_looked_for_as_the_loader_does(tmp_path: Path) -> None:
    line = "ImportError: libmine.so.7: cannot open shared object file: No such file or directory"
    assert seen(line) == ["libmine.so.7: on this host the loader finds no such library"]
    (tmp_path / "libmine.so.7").touch()
    assert seen(line, LD_LIBRARY_PATH=str(tmp_path)) == [
        f"libmine.so.7: on this host the loader finds {tmp_path / 'libmine.so.7'}"
    ]


def test_a_shadow_on_the_librarys_path_is_named(tmp_path: Path) -> None:
    (tmp_path / "libnvJitLink.so.12").touch()
    line = "ImportError: x/libcusparse.so.12: undefined symbol: __nvJitLinkComplete_12_4, version libnvJitLink.so.12"
    assert f"LD_LIBRARY_PATH: on this host {tmp_path} holds libnvJitLink.so.12, before the venv's own" in seen(
        line, LD_LIBRARY_PATH=str(tmp_path)
    )
    assert not any("holds" in one for one in seen(line))


def test_shared_memory_limits_and_nvcc_are_looked_at(tmp_path: Path) -> None:
    assert any(
        one.startswith("shared memory: /dev/shm")
        for one in seen("Error while creating shared memory segment /dev/shm/nccl-x")
    )
    assert "nvcc: on this host no nvcc is on PATH, and CUDA_HOME is not set" in seen(
        "FileNotFoundError: [Errno 2] No such file or directory: 'nvcc'", PATH=str(tmp_path)
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become a user without a name")
def test_a_user_without_a_name_is_seen() -> None:
    line = "KeyError: 'getpwuid(): uid not found: 1000910000'"
    assert seen(line) == ["user: on this host user 0 is root"]


def test_only_what_a_problem_is_about_is_looked_at() -> None:
    assert looks([Finding("note", "disk", "x", key="disk-full", about="/x", layer="disk")], {}, None) == ()
    assert seen("ValueError: nobody knows") == []

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mirror.closed.doctor.installed.binaries import scan
from mirror.core.binaries.fatbin import Image
from tests.support.libraries import make_library

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


def test_reads_libraries_and_programs_and_nothing_else(tmp_path: Path) -> None:
    make_library(tmp_path / "site/pkg/libreal.so.1.2.3", soname="libreal.so.1")
    (tmp_path / "site/pkg/libreal.so.1").symlink_to("libreal.so.1.2.3")
    (tmp_path / "site/pkg/_C.abi3.so").write_bytes((tmp_path / "site/pkg/libreal.so.1.2.3").read_bytes())
    (tmp_path / "site/pkg/script.so").write_text("INPUT(libreal.so.1)\n")  # as linker scripts are
    (tmp_path / "site/pkg/module.py").write_text("")
    (tmp_path / "bin").mkdir()
    shutil.copy("/bin/true", tmp_path / "bin/tool")
    (tmp_path / "bin/script").write_text("#!/bin/sh\n")
    (tmp_path / "bin/script").chmod(0o755)
    shutil.copy("/bin/true", tmp_path / "bin/data")
    (tmp_path / "bin/data").chmod(0o644)
    found = scan([tmp_path])
    assert [binary.path.name for binary in found.binaries] == ["tool", "_C.abi3.so", "libreal.so.1.2.3"]
    assert [binary.soname for binary in found.libraries] == ["libreal.so.1", "libreal.so.1"]
    assert {"libreal.so.1", "libreal.so.1.2.3", "_C.abi3.so", "script.so"} <= found.names


def test_reads_the_gpu_code_in_them(tmp_path: Path) -> None:
    make_library(tmp_path / "libk.so", gpu_code=["sm_90a", "sm_90a", "compute_90"])
    (binary,) = scan([tmp_path]).binaries
    assert binary.images == {Image("sm_90a"): 2, Image("compute_90"): 1}


def test_files_that_are_not_sound_are_kept_with_the_reason(tmp_path: Path) -> None:
    whole = make_library(tmp_path / "libwhole.so", gpu_code=["sm_80"])
    data = whole.read_bytes()
    (tmp_path / "libcut.so").write_bytes(data[:200])
    (tmp_path / "libodd.so").write_bytes(data.replace(b"\x50\xed\x55\xba", b"\x50\xed\x55\xbb"))
    problems = {binary.path.name: binary.problem for binary in scan([tmp_path]).binaries if binary.problem}
    assert set(problems) == {"libcut.so", "libodd.so"}
    assert "no sound ELF file" in problems["libcut.so"]
    assert "no container of GPU code begins" in problems["libodd.so"]


def test_a_directory_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert scan([tmp_path / "none"]).binaries == ()

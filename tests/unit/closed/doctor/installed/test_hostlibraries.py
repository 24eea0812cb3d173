from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mirror.closed.doctor.installed.hostlibraries import read_libraries
from tests.support.libraries import make_library


def put(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_finds_this_machines_c_library() -> None:
    libraries = read_libraries(os.environ)
    assert libraries.find("libc.so.6") is not None
    assert "GLIBC_2.17" in libraries.versions("libc.so.6")
    assert libraries.find("libnothing.so.99") is None
    assert libraries.versions("libnothing.so.99") == frozenset()


def test_searches_in_the_loaders_order(tmp_path: Path) -> None:
    root, first = tmp_path / "root", tmp_path / "first"
    put(root / "etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n# /commented\n/opt/second  # why\n")
    put(root / "etc/ld.so.conf.d/b.conf", "/opt/b\n")
    put(root / "etc/ld.so.conf.d/a.conf", "/opt/a\n/opt/missing\n")
    for place in (first, root / "opt/a", root / "opt/b", root / "opt/second", root / "usr/lib64"):
        put(place / "libx.so.1")
    put(root / "usr/lib64/libsystem.so.6")
    libraries = read_libraries({"LD_LIBRARY_PATH": str(first)}, root)
    places = [first, root / "opt/a", root / "opt/b", root / "opt/second", root / "usr/lib64"]
    assert list(libraries.directories) == places
    assert libraries.find("libx.so.1") == first / "libx.so.1"
    assert libraries.find("libsystem.so.6") == root / "usr/lib64/libsystem.so.6"


def test_a_configuration_that_includes_itself_comes_to_an_end(tmp_path: Path) -> None:
    put(tmp_path / "etc/ld.so.conf", "include etc/ld.so.conf\ninclude \n/usr/here\n")
    (tmp_path / "usr/here").mkdir(parents=True)
    assert read_libraries({}, tmp_path).directories == (tmp_path / "usr/here",)


def test_a_machine_without_a_configuration_has_the_built_in_directories(tmp_path: Path) -> None:
    (tmp_path / "lib64").mkdir()
    assert read_libraries({}, tmp_path).directories == (tmp_path / "lib64",)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_versions_are_those_of_the_first_on_the_path(tmp_path: Path) -> None:
    make_library(tmp_path / "libv.so.1", soname="libv.so.1", versions={"V_1": ["one"], "V_2": ["two"]})
    libraries = read_libraries({"LD_LIBRARY_PATH": str(tmp_path)})
    assert libraries.versions("libv.so.1") >= {"V_1", "V_2"}
    (tmp_path / "libw.so.1").write_bytes(b"\x7fELF\x02\x01" + bytes(30))
    assert read_libraries({"LD_LIBRARY_PATH": str(tmp_path)}).versions("libw.so.1") == frozenset()

"""The links that scriptlets and devel packages would have made."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.core.cuda.links import complete, dangling

TRIPLET = "x86_64-linux"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for directory in ("include/crt", "lib/stubs"):
        (tmp_path / "targets" / TRIPLET / directory).mkdir(parents=True)
    (tmp_path / "targets" / TRIPLET / "include" / "cuda.h").write_text("")
    (tmp_path / "targets" / TRIPLET / "include" / "crt" / "mma.h").write_text("")
    return tmp_path


def library(home: Path, name: str, target: str = "") -> Path:
    path = home / "targets" / TRIPLET / "lib" / name
    if target:
        path.symlink_to(target)
    else:
        path.write_text(name)
    return path


def test_include_and_lib64_lead_to_the_target(home: Path) -> None:
    assert complete(home, TRIPLET) == ("include -> targets/x86_64-linux/include", "lib64 -> targets/x86_64-linux/lib")
    assert (home / "include" / "cuda.h").exists()
    assert (home / "lib64" / "stubs").is_dir()


def test_links_of_a_package_are_kept(home: Path) -> None:
    (home / "include").symlink_to(f"targets/{TRIPLET}/include")
    (home / "lib64").symlink_to(f"targets/{TRIPLET}/lib")
    assert complete(home, TRIPLET) == ()


def test_a_link_that_leads_nowhere_is_replaced(home: Path) -> None:
    (home / "lib64").symlink_to("lib")
    assert "lib64 -> targets/x86_64-linux/lib" in complete(home, TRIPLET)


def test_a_real_include_directory_gets_a_link_for_each_file(home: Path) -> None:
    (home / "include" / "crt").mkdir(parents=True)
    (home / "include" / "crt" / "own.h").write_text("own")
    (home / "include" / "cuda.h").write_text("own")
    made = complete(home, TRIPLET)
    assert "include/crt/mma.h -> ../../targets/x86_64-linux/include/crt/mma.h" in made
    assert (home / "include" / "crt" / "mma.h").exists()
    assert (home / "include" / "cuda.h").read_text() == "own"


def test_libraries_get_the_names_that_loaders_and_linkers_ask_for(home: Path) -> None:
    library(home, "libcudart.so.13.0.96")
    complete(home, TRIPLET)
    names = {path.name: str(path.readlink()) for path in (home / "lib64").iterdir() if path.is_symlink()}
    assert names == {"libcudart.so.13": "libcudart.so.13.0.96", "libcudart.so": "libcudart.so.13"}


def test_a_soname_with_a_minor_version_is_kept(home: Path) -> None:
    library(home, "libnvrtc-builtins.so.13.0.88")
    library(home, "libnvrtc-builtins.so.13.0", "libnvrtc-builtins.so.13.0.88")
    complete(home, TRIPLET)
    assert str((home / "lib64" / "libnvrtc-builtins.so").readlink()) == "libnvrtc-builtins.so.13.0"
    assert not (home / "lib64" / "libnvrtc-builtins.so.13").exists()


def test_a_linker_name_that_dangled_is_mended(home: Path) -> None:
    library(home, "libcublas.so", "libcublas.so.12")
    library(home, "libcublas.so.13.1.0.3")
    complete(home, TRIPLET)
    assert (home / "lib64" / "libcublas.so").read_text() == "libcublas.so.13.1.0.3"


def test_a_library_of_one_file_keeps_its_name(home: Path) -> None:
    library(home, "libcurand.so.10")
    complete(home, TRIPLET)
    assert str((home / "lib64" / "libcurand.so").readlink()) == "libcurand.so.10"


def test_the_compilers_library_is_named_too(home: Path) -> None:
    (home / "nvvm" / "lib64").mkdir(parents=True)
    (home / "nvvm" / "lib64" / "libnvvm.so.4.0.0").write_text("")
    assert "nvvm/lib64/libnvvm.so.4 -> libnvvm.so.4.0.0" in complete(home, TRIPLET)


def test_no_stub_gets_the_drivers_soname(home: Path) -> None:
    (home / "targets" / TRIPLET / "lib" / "stubs" / "libcuda.so").write_text("")
    complete(home, TRIPLET)
    assert [path.name for path in (home / "lib64" / "stubs").iterdir()] == ["libcuda.so"]


def test_a_second_run_finds_nothing_to_do(home: Path) -> None:
    library(home, "libcudart.so.13.0.96")
    assert complete(home, TRIPLET)
    assert complete(home, TRIPLET) == ()


def test_a_tree_without_targets_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    assert complete(tmp_path, TRIPLET) == ()


def test_names_the_links_that_lead_nowhere(home: Path) -> None:
    library(home, "libcudart.so", "libcudart.so.13")
    (home / "gone").symlink_to("targets/none")
    assert dangling(home) == (("gone", "targets/none"), (f"targets/{TRIPLET}/lib/libcudart.so", "libcudart.so.13"))

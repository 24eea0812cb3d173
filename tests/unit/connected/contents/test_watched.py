"""What is inside a toolchain's packages is found while the builder unpacks them, and no package is read for it again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from mirror.connected.contents.inside import Contents
from mirror.connected.contents.inspection import Task, inspect
from mirror.connected.contents.watched import watched
from mirror.connected.fetching.store import Store
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from mirror.core.toolkit.package import PackageSource
from mirror.core.toolkit.payload import PayloadMismatch
from mirror.core.toolkit.redist import RedistSource
from mirror.core.toolkit.rpmsource import TrustedRpm, trusted_rpms
from mirror.core.toolkit.toolchain import unpack_toolchain
from tests.support.redist import archive
from tests.support.rpms import HOME, Packager, Program, archive_of
from tests.support.rpms import Contents as Files
from tests.support.wheels import sha256_of
from tests.unit.core.binaries.test_native import cubin

TARGET = Target("3.11", "x86_64", "2.28", "sm_90a", "13.0")
LICENCE = b"Permission is hereby granted\n"


def digest(path: Path) -> Sha256Hex:
    return Sha256Hex(sha256_of(path))


@pytest.fixture
def rpm(tmp_path: Path) -> tuple[Path, TrustedRpm]:
    packager = Packager()
    contents: Files = {
        f"{HOME}/bin/nvcc": Program(cubin(0x06005A04)),
        f"{HOME}/LICENSE": LICENCE,
        f"{HOME}/include/a.h": b"int a;\n",
        "/usr/share/doc/b": cubin(0x0600640A),  # not written, and looked into all the same
    }
    path = packager.rpm(tmp_path, "cuda-nvcc-13-0", contents)
    (source,) = trusted_rpms([path], keys=packager.armored, fingerprints=[packager.fingerprint])
    return path, source


def unpacked(tmp_path: Path, store: Store, sources: Iterable[tuple[Path, PackageSource]]) -> Path:
    home = tmp_path / "cuda"
    unpack_toolchain([watched(source, path, digest(path), store) for path, source in sources], home, TARGET)
    return home


def inside(task: Task, store: Store) -> Contents:
    return inspect([task], store)[task.path]


def test_an_rpm_that_is_unpacked_is_not_read_again(tmp_path: Path, store: Store, rpm: tuple[Path, TrustedRpm]) -> None:
    path, source = rpm
    task = Task.of_rpm("rpms/a.rpm", path, digest(path), source)
    read = inside(task, Store(tmp_path / "other"))
    home = unpacked(tmp_path, store, [rpm])
    assert (home / "LICENSE").read_bytes() == LICENCE
    path.unlink()
    assert inside(task, store) == read
    assert (read.native.gpus, read.scripts) == (("sm_90", "sm_100a"), ("nvcc",))
    assert read.texts == ((f"{HOME}/LICENSE", LICENCE.decode()),)


def test_a_component_archive_is_not_read_again_either(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "cuda_nvcc-archive.tar.xz"
    archive(path, {"bin/nvcc": Program(cubin(0x06005A04)), "LICENSE": LICENCE})
    source = RedistSource.of_file(path, digest(path), "cuda_nvcc", "13.0.88", TARGET)
    task = Task.of_archive("redist/a.tar.xz", path, source)
    read = inside(task, Store(tmp_path / "other"))
    unpacked(tmp_path, store, [(path, source)])
    path.unlink()
    assert inside(task, store) == read
    assert read.native.gpus == ("sm_90",)


def test_of_a_package_whose_files_are_not_what_was_signed_nothing_is_remembered(tmp_path: Path, store: Store) -> None:
    packager = Packager()
    draft = packager.draft("cuda-crt-13-0", {f"{HOME}/a": b"a"})
    draft.archive = archive_of(packager.draft("cuda-crt-13-0", {f"{HOME}/a": b"b"}).members)
    path = tmp_path / "cuda-crt-13-0.rpm"
    path.write_bytes(draft.bytes())
    (source,) = trusted_rpms([path], keys=packager.armored, fingerprints=[packager.fingerprint])
    with pytest.raises(PayloadMismatch):
        unpacked(tmp_path, store, [(path, source)])
    assert not (store.root / "facts").exists()

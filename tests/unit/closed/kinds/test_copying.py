from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirror.closed.kinds.copying import copy_artifact
from mirror.core.bundle.reader import DigestMismatch, open_bundle
from mirror.core.errors import Unreadable
from tests.support.bundles import BundleSimulator, flip_last_byte_of

CONTENT = b"a vocabulary of some length" * 100_000


@pytest.fixture
def simulator() -> BundleSimulator:
    simulator = BundleSimulator()
    simulator.add("files/a.txt", CONTENT)
    return simulator


def copied(simulator: BundleSimulator, bundle: Path, to: Path) -> list[int]:
    told: list[int] = []
    with open_bundle(bundle) as opened:
        manifest = opened.trust(simulator.root, ("builder",))
        copy_artifact(opened, manifest.artifacts[0], to, told.append)
    return told


def test_a_copy_has_the_signed_bytes_and_a_mode_that_all_may_read(simulator: BundleSimulator, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        told = copied(simulator, simulator.write(tmp_path / "b.tar"), tmp_path / "deep" / "er" / "a.txt")
    finally:
        os.umask(before)
    assert (tmp_path / "deep" / "er" / "a.txt").read_bytes() == CONTENT
    assert (tmp_path / "deep" / "er" / "a.txt").stat().st_mode & 0o7777 == 0o644
    assert sum(told) == len(CONTENT) and len(told) > 1


@pytest.mark.group(62)
def test_a_bundle_that_changed_since_it_was_verified_leaves_no_file(simulator: BundleSimulator, tmp_path: Path) -> None:
    bundle = simulator.write(tmp_path / "b.tar")
    flip_last_byte_of(bundle, CONTENT)
    with pytest.raises(
        DigestMismatch, match=r"files/a\.txt of .*: sha256 is [0-9a-f]{64}, the manifest says [0-9a-f]{64}"
    ):
        copied(simulator, bundle, tmp_path / "a.txt")
    assert not (tmp_path / "a.txt").exists()


def test_a_file_that_is_there_is_not_written_to(simulator: BundleSimulator, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    bundle = simulator.write(tmp_path / "b.tar")
    for name in ("mine", "link"):
        with pytest.raises(FileExistsError):
            copied(simulator, bundle, tmp_path / name)
    assert (tmp_path / "mine").read_text() == "mine" and not (tmp_path / "nowhere").exists()


@pytest.mark.group(57)
def test_a_bundle_that_can_no_longer_be_read_is_named(simulator: BundleSimulator, tmp_path: Path) -> None:
    bundle = simulator.write(tmp_path / "b.tar")
    with open_bundle(bundle) as opened:
        manifest = opened.trust(simulator.root, ("builder",))
        directory = os.open(tmp_path, os.O_RDONLY)
        os.dup2(
            directory, opened._file._descriptor
        )  # from here on reading it fails, as from a disk that was pulled out
        os.close(directory)
        with pytest.raises(Unreadable, match=r"cannot read .*/b\.tar: Is a directory \(in files/a\.txt\)"):
            copy_artifact(opened, manifest.artifacts[0], tmp_path / "a.txt")
    assert not (tmp_path / "a.txt").exists()

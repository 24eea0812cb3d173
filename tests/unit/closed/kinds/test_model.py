"""Models as a cache that the hub's own library finds offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror.closed.kinds.model import install_models, models_of
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.bundle.reader import DigestMismatch, open_bundle
from mirror.core.errors import InvalidDocument
from tests.support.bundles import BundleSimulator, flip_last_byte_of
from tests.support.hub import make_model

REVISION = "0123456789abcdef0123456789abcdef01234567"
FILES = {name: data for name, data in make_model().items() if not name.startswith(".")}

OFFLINE = """
import json, pathlib, sys
from huggingface_hub import hf_hub_download, snapshot_download, try_to_load_from_cache
repository, revision, name = sys.argv[1:]
print(json.dumps([
    snapshot_download(repository),
    snapshot_download(repository, revision=revision, local_files_only=True),
    hf_hub_download(repository, name),
    pathlib.Path(hf_hub_download(repository, name, revision=revision, local_files_only=True)).read_text(),
    try_to_load_from_cache(repository, "no-such-file"),
]))
"""


def simulator_of(models: Mapping[str, Mapping[str, bytes]], revision: str = REVISION) -> BundleSimulator:
    simulator = BundleSimulator()
    for repository, files in models.items():
        for name, data in files.items():
            simulator.add(f"models/{repository.replace('/', '--')}/{name}", data, repository, revision)
    return simulator


def installed(simulator: BundleSimulator, bundle: Path, generation: Path) -> Manifest:
    with open_bundle(bundle) as opened:
        manifest = opened.trust(simulator.root, ("builder",))
        install_models(opened, generation)
    return manifest


def tree(directory: Path) -> dict[str, str]:
    """Each file's size, each link's target, below a directory."""
    return {
        str(path.relative_to(directory)): str(path.readlink()) if path.is_symlink() else str(path.stat().st_size)
        for path in directory.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_a_model_is_laid_out_as_the_hubs_library_does(tmp_path: Path) -> None:
    simulator = simulator_of({"org/tiny": {"a.txt": b"one", "deep/er/b.txt": b"three", "deep/c.txt": b"one"}})
    manifest = installed(simulator, simulator.write(tmp_path / "b.tar"), tmp_path)
    one, _, three = (artifact.sha256 for artifact in manifest.artifacts[:3])
    snapshot = f"snapshots/{REVISION}"
    assert tree(tmp_path / "models" / "models--org--tiny") == {
        f"blobs/{one}": "3",
        f"blobs/{three}": "5",
        "refs/main": "40",
        f"{snapshot}/a.txt": f"../../blobs/{one}",
        f"{snapshot}/deep/c.txt": f"../../../blobs/{one}",
        f"{snapshot}/deep/er/b.txt": f"../../../../blobs/{three}",
    }
    assert (tmp_path / "models/models--org--tiny/refs/main").read_text() == REVISION


def test_the_hubs_library_finds_it_offline_by_name_and_by_path(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    simulator = simulator_of({"org/tiny": FILES, "other/one": {"config.json": b"{}"}})
    installed(simulator, simulator.write(tmp_path / "b.tar"), tmp_path)
    environment = {
        "PATH": os.environ["PATH"],
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_CACHE": str(tmp_path / "models"),
        "HF_HUB_OFFLINE": "1",
    }
    before = tree(tmp_path / "models")
    for repository, files in (("org/tiny", FILES), ("other/one", {"config.json": b"{}"})):
        command = [sys.executable, "-c", OFFLINE, repository, REVISION, "config.json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        snapshot, same, config, text, absent = json.loads(done.stdout)
        folder = tmp_path / "models" / f"models--{repository.replace('/', '--')}" / "snapshots" / REVISION
        assert (Path(snapshot), same, Path(config)) == (folder, snapshot, folder / "config.json")
        assert (text, absent) == (files["config.json"].decode(), None)
        assert {name: (folder / name).read_bytes() for name in files} == files
    assert tree(tmp_path / "models") == before, "the library writes nothing there"


@pytest.mark.group(62)
def test_a_bundle_that_changed_since_it_was_verified_installs_nothing(tmp_path: Path) -> None:
    simulator = simulator_of({"org/tiny": FILES})
    bundle = simulator.write(tmp_path / "b.tar")
    flip_last_byte_of(bundle, FILES["config.json"])
    with pytest.raises(DigestMismatch, match=r"models/org--tiny/config\.json"):
        installed(simulator, bundle, tmp_path)


def test_the_revision_is_the_signed_one(tmp_path: Path) -> None:
    (model,) = models_of(simulator_of({"org/tiny": FILES}).manifest())
    assert (model.repository, model.revision, len(model.files)) == ("org/tiny", REVISION, len(FILES))
    assert [model.path_of(file) for file in model.files] == sorted(FILES)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"version": "main"}, r"artifacts\[1\]': expected the 40 lower-case hex digits of a commit, got 'main'"),
        ({"name": "tiny"}, r"artifacts\[1\]': expected a repository of the hub"),
        ({"name": "org/tin"}, r"artifacts\[1\]\.path': expected a path that begins with 'models/org--tin/'"),
        ({"version": "f" * 40}, rf"artifacts\[1\]\.version': org/tiny is at {REVISION} and at f{{40}}"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(changes: dict[str, Any], problem: str) -> None:
    manifest = simulator_of({"org/tiny": {"a": b"1", "b": b"2"}}).manifest()
    first, second, *rest = manifest.artifacts
    altered: tuple[Artifact, ...] = (first, replace(second, **changes), *rest)
    with pytest.raises(InvalidDocument, match=problem):
        models_of(replace(manifest, artifacts=altered))


def test_a_bundle_without_models_makes_no_directory(tmp_path: Path) -> None:
    simulator = BundleSimulator()
    installed(simulator, simulator.write(tmp_path / "b.tar"), tmp_path / "generation")
    assert not (tmp_path / "generation").exists()

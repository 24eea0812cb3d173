"""One user installs, another sources env.sh and is done."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from mirror.closed.environment.variables import CACHES, load_environment
from mirror.closed.host.sharing import readable_for_others, sharing_notes
from mirror.closed.install import Installed, Options, install
from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.tree import remove_tree
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.names import Sha256Hex
from tests.support.desk import Desk
from tests.support.interpreters import make_interpreter_archive
from tests.support.otheruser import (
    OTHER,
    call_as_other,
    close_for_writing,
    home_of_other,
    listing,
    needs_root,
    run_as_other,
    shared_directory,
)
from tests.support.wheels import make_wheel
from tests.unit.closed.environment.test_variables import MANIFEST


def install_shared(desk: Desk, prefix: Path) -> Installed:
    """Install with a carried interpreter, for the one that runs the tests may be out of others' reach; umask 077."""
    simulator = desk.simulator()
    simulator.add_wheel(make_wheel(desk.path, "left-pad", "1.0"))
    archive = make_interpreter_archive(desk.path)
    simulator.add(f"python/{archive.name}", archive, unpacked_size=1 << 29)
    bundle = simulator.write(desk.path / "bundle.tar", ("left_pad", "json"))
    before = os.umask(0o077)
    try:
        return install(Options(bundle, prefix), desk.store, interpreters=())
    finally:
        os.umask(before)


USE = """\
set -eu
. "$1/current/env.sh"
python -c 'import left_pad, sys; print(left_pad.__version__); print(sys.prefix)'
for place in "$VLLM_CACHE_ROOT" "$TRITON_CACHE_DIR" "$FLASHINFER_WORKSPACE_BASE"; do
  mkdir -p "$place" && touch "$place/kernel.so"
done
env | grep -E '_(CACHE_ROOT|CACHE_DIR|CACHE_PATH|BASE|DIR|HOME)=' | sort
"""


@needs_root
def test_another_user_sources_env_sh_in_a_read_only_tree_and_is_done(desk: Desk) -> None:
    with shared_directory() as shared:
        installed = install_shared(desk, shared / "stack")
        close_for_writing(shared / "stack")
        before, home = listing(shared / "stack"), home_of_other(shared)
        finished = run_as_other(["sh", "-c", USE, "sh", str(installed.prefix)], home)
        assert (finished.returncode, finished.stderr) == (0, "")
        lines = finished.stdout.splitlines()
        assert lines[:2] == ["1.0", f"{installed.receipt.generation}/venv"]
        said = dict(line.split("=", 1) for line in lines[2:])
        cache = home / ".cache/mirror/jit"
        assert all(Path(said[name]).is_relative_to(cache) for name in CACHES)
        (key,) = cache.iterdir()
        assert key.stat().st_uid == OTHER
        assert (key / "generation").readlink() == Path(installed.receipt.generation)
        assert listing(shared / "stack") == before


@needs_root
def test_another_user_asks_mirror_for_the_environment(desk: Desk) -> None:
    with shared_directory() as shared:
        install_shared(desk, shared / "stack")
        call_as_other(lambda: load_environment(_current(shared / "stack")).variables({}, Path("/c")))


def _current(prefix: Path) -> Generation:
    current = Prefix(prefix).current()
    assert current is not None
    return current


def test_whatever_the_umask_all_may_read_and_nobody_else_may_write(desk: Desk) -> None:
    install_shared(desk, desk.path / "p")
    modes = {path: path.lstat().st_mode & 0o777 for path in desk.path.glob("p/**/*") if not path.is_symlink()}
    assert {path.name for path, mode in modes.items() if mode & 0o022} == set()
    assert {path.name for path, mode in modes.items() if not mode & 0o004} == {".lock"}
    assert {path for path, mode in modes.items() if path.is_dir() and not mode & 0o001} == set()


def test_the_umask_comes_back() -> None:
    before = os.umask(0o027)
    try:
        with pytest.raises(KeyError), readable_for_others():
            raise KeyError
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_a_home_that_is_closed_to_others_is_a_note(tmp_path: Path) -> None:
    with shared_directory() as shared:
        (shared / "ann").mkdir(mode=0o700)
        prefix = shared / "ann/.local/share/mirror/h100"
        assert sharing_notes(prefix, MANIFEST, None) == (
            f"other users of this host cannot reach this stack: {shared}/ann is open to its owner only (mode 0700)",
        )
        (shared / "ann").chmod(0o750)
        assert sharing_notes(shared / "b", MANIFEST, shared / "ann/python") == (
            "other users of this host cannot reach the Python that this stack runs on: "
            f"{shared}/ann is open to its group only (mode 0750)",
        )
        assert sharing_notes(shared / "b", MANIFEST, None) == ()


def test_the_note_is_in_the_receipt(desk: Desk) -> None:
    desk.path.chmod(0o700)
    installed = desk.install(desk.bundle())
    assert [note for note in installed.receipt.notes if "cannot reach this stack" in note]


@pytest.mark.parametrize(
    ("gpu", "version", "noted"),
    [
        ("sm_100a", "0.6.13", True),
        ("sm_100a", "0.6.8.post1", True),
        ("sm_100a", "0.6.4", False),
        ("sm_90a", "0.6.13", False),
    ],
)
def test_flashinfer_writes_into_its_cubin_package_on_blackwell_only(gpu: str, version: str, noted: bool) -> None:
    """CUDA.md B3; read from the wheels of 0.6.4 to 0.6.16: get_artifact only reads, ensure_symlink is SM 10's alone."""
    cubins = Artifact(
        "wheels/flashinfer_cubin-0-py3-none-any.whl", 1, Sha256Hex("ab" * 32), "flashinfer-cubin", version
    )
    target = dataclasses.replace(MANIFEST.target, gpu=gpu)
    manifest = Manifest("h100", 5, target, (cubins,))
    with shared_directory() as shared:
        notes = sharing_notes(shared / "p", manifest, None)
    assert bool(notes) == noted
    assert all("only the owner of this install can" in note for note in notes)


@needs_root
def test_an_owner_who_is_not_root_removes_a_tree_that_is_closed_for_writing() -> None:
    with shared_directory() as shared:
        home = home_of_other(shared)
        tree = home / "gen/venv/deep"
        tree.mkdir(parents=True)
        (tree / "file").touch()
        (home / "gen/COMPLETE").touch()
        for path in (home / "gen", *(home / "gen").rglob("*")):
            os.chown(path, OTHER, OTHER)
        close_for_writing(home / "gen")
        call_as_other(lambda: remove_tree(home / "gen"))
        assert list(home.iterdir()) == []

"""Keys and rotations that are killed or refused at any step: no second copy of a private key, and a rerun that ends well."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.connected.signing.keyfile import KeyExists, new_key, read_key
from mirror.connected.signing.rotation import Rotation, with_key
from mirror.connected.signing.signers import ensure_builder
from mirror.core.trust.truststore import TrustStore
from tests.support.keys import key, make_root, signer, trust_store, write_private_key
from tests.support.tracing import calls, faults, needs_strace, python

pytestmark = pytest.mark.group(51)

NEW = "from mirror.connected.signing.keyfile import new_key; new_key(Path(sys.argv[1]))"
STEPS = ("openat", "write", "fsync", "linkat", "unlinkat", "flock", "mkdir")
UNNAMED = "O_TMPFILE"


def private_files(directory: Path) -> list[str]:
    """The names of files with a private key in them."""
    if not directory.is_dir():
        return []
    return sorted(path.name for path in directory.iterdir() if b"PRIVATE KEY" in path.read_bytes())


def clear(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()


@needs_strace
@pytest.mark.parametrize("kind", ["signal=KILL", "error=EIO", "error=ENOSPC"])
def test_a_new_key_that_is_stopped_at_any_step_is_in_one_file_or_in_none(tmp_path: Path, kind: str) -> None:
    keys = tmp_path / "keys"
    found = list(faults(python(NEW, keys / "root"), keys, STEPS, kind))
    assert [fault for fault in found if fault.name == "linkat"]
    for fault in found:
        if keys.exists():
            clear(keys)
        fault.run()
        assert private_files(keys) in ([], ["root"]), fault
        public = new_key(keys / "root") if not (keys / "root.pub").exists() else read_key(keys / "root").public
        assert sorted(os.listdir(keys)) == ["root", "root.pub"], fault
        assert read_key(keys / "root").public == read_key(keys / "root.pub").public == public


@needs_strace
def test_where_every_file_has_a_name_the_next_run_removes_what_a_killed_one_has_left(tmp_path: Path) -> None:
    """As on NFS: there the key has two names for a moment."""
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    unnamed = [number for name, number, call in calls(python(NEW, keys / "a"), keys, ("openat",)) if UNNAMED in call]
    also = f"inject=openat:error=EOPNOTSUPP:when={unnamed[0]}"
    found = list(faults(python(NEW, keys / "root"), keys, ("linkat", "unlinkat"), "signal=KILL", also))
    clear(keys)
    assert any(fault.name == "unlinkat" for fault in found)
    for fault in found:
        fault.run()
        if not (keys / "root.pub").exists():
            new_key(keys / "root")
        assert sorted(os.listdir(keys)) == ["root", "root.pub"], fault
        clear(keys)


def test_a_private_key_without_its_public_half_gets_it_and_is_what_was_made(tmp_path: Path) -> None:
    path = write_private_key(tmp_path / "root", "ann")
    data = path.read_bytes()
    assert new_key(path) == signer("ann").public
    assert read_key(tmp_path / "root.pub").public == signer("ann").public
    assert path.read_bytes() == data
    (tmp_path / "root.pub").unlink()
    with pytest.raises(KeyExists):  # a locked key was asked for, and this one is not
        new_key(path, passphrase=b"secret")
    assert os.listdir(tmp_path) == ["root"]


def test_a_public_key_alone_is_never_replaced(tmp_path: Path) -> None:
    """Its private half may be in an agent, or on paper."""
    (tmp_path / "root.pub").write_text(signer("ann").public.openssh() + "\n")
    with pytest.raises(KeyExists, match=r"root\.pub exists already"):
        new_key(tmp_path / "root")
    assert os.listdir(tmp_path) == ["root.pub"]


def test_the_first_root_goes_on_from_a_key_whose_public_half_is_missing(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "mirror")
    store.keys.mkdir(parents=True, mode=0o700)
    write_private_key(store.keys / "root", "ann")
    assert ensure_builder(store).root.root.keys[0].public == signer("ann").public
    assert sorted(os.listdir(store.keys)) == ["builder", "builder.pub", "root", "root.pub"]


ROTATE = """
from mirror.connected.signing.rotation import Rotation
from mirror.core.trust.truststore import TrustStore
from tests.support.keys import signer
assert Rotation(TrustStore(Path(sys.argv[1]))).sign([signer("root")]).is_trusted
"""


def drafted(directory: Path) -> Rotation:
    rotation = Rotation(trust_store(directory))
    rotation.draft(with_key(rotation.next_root(), "approver", key("alice")))
    return rotation


@needs_strace
@pytest.mark.parametrize("kind", ["error=EIO", "error=EACCES", "signal=KILL"])
def test_a_rotation_that_is_stopped_anywhere_is_done_once_by_the_next_run(tmp_path: Path, kind: str) -> None:
    rotation = drafted(tmp_path / "found")
    found = list(faults(python(ROTATE, rotation.store.directory), tmp_path, ("fsync", "renameat", "unlink"), kind))
    assert [fault for fault in found if fault.name == "unlink"]
    for number, fault in enumerate(found):
        rotation = drafted(tmp_path / str(number))
        command = [*fault.command[:-1], str(rotation.store.directory)]
        finished = type(fault)(command, fault.name, fault.number, fault.kind, fault.call).run()
        if fault.name == "unlink" and "error" in kind:
            assert finished.returncode == 0, finished.stderr  # it is done; that something stayed is no failure
        if finished.returncode != 0:
            again = Rotation(rotation.store)
            assert again.sign([signer("root")]).is_trusted, fault
        trusted = rotation.store.load_root()
        assert (trusted.version, [one.name for one in trusted.approver.keys]) == (2, ["alice"]), fault
        assert Rotation(rotation.store).next_root().version == 3


def test_a_draft_that_is_the_trusted_root_already_is_reported_and_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rotation = drafted(tmp_path / "mirror")
    data = rotation.path.read_bytes()
    rotation.sign([signer("root")])
    rotation.path.write_bytes(data)
    monkeypatch.setenv("MIRROR_HOME", str(tmp_path / "mirror"))
    assert main(["trust", "rotate"]) == 0
    assert "version   2" in capsys.readouterr().out
    assert rotation.store.load_root().version == 2
    assert not rotation.path.exists()


def test_what_is_drafted_already_is_drafted_again_without_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that was told "cannot write" may have written: the next one must not say that the key is not there."""
    store = trust_store(tmp_path / "mirror", make_root())
    monkeypatch.setenv("MIRROR_HOME", str(tmp_path / "mirror"))
    (tmp_path / "alice.pub").write_text(signer("alice").public.openssh() + "\n")
    for _ in range(2):
        assert main(["trust", "add", str(tmp_path / "alice.pub"), "--role", "builder"]) == 0
    for _ in range(2):
        assert main(["trust", "remove", "builder"]) == 0
    assert [one.name for one in Rotation(store).next_root().builder.keys] == ["alice"]
    assert main(["trust", "remove", "nobody"]) == 116
    capsys.readouterr()


def test_a_passphrase_prompt_is_not_needed_to_give_a_locked_key_its_public_half(tmp_path: Path) -> None:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-N", "right", "-f", str(tmp_path / "id")]
    subprocess.run(words, check=True)
    public = read_key(tmp_path / "id.pub").public
    (tmp_path / "id.pub").unlink()
    assert new_key(tmp_path / "id", passphrase=b"right") == public

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mirror.connected.signing.agent import AgentRefused
from mirror.connected.signing.keyfile import LockedKey
from mirror.connected.signing.signers import Signer, ensure_builder, load_signer
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.signatures.sshsig import SignatureMismatch
from mirror.core.trust.quorum import UnknownSigner
from mirror.core.trust.root import MANIFEST_NAMESPACE
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import check_manifest
from tests.support.agents import add_key, ssh_agent
from tests.support.keys import make_root, private_key, role, signer, trust_store, write_private_key

MESSAGE = b'{"format": "mirror-bundle/1"}\n'


def keygen_signature(key: Path, message: Path, namespace: str) -> bytes:
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", namespace, message], check=True)
    return message.with_name(message.name + ".sig").read_bytes()


def nobody(path: Path) -> bytes:
    raise AssertionError("nobody should be asked")


@pytest.mark.parametrize("message", [b"", MESSAGE, bytes(range(256)) * 5000], ids=["empty", "manifest", "binary"])
@pytest.mark.parametrize("namespace", ["mirror-manifest@v1", "mirror-root@v1", "f"])
def test_signs_byte_for_byte_as_ssh_keygen_does(tmp_path: Path, message: bytes, namespace: str) -> None:
    key, file = write_private_key(tmp_path / "key", "alice"), tmp_path / "message"
    file.write_bytes(message)
    assert load_signer(key).sign(message, namespace) == keygen_signature(key, file, namespace)


def test_ssh_keygen_verifies_what_we_sign(tmp_path: Path) -> None:
    alice = signer("alice")
    (tmp_path / "sig").write_bytes(alice.sign(MESSAGE, MANIFEST_NAMESPACE))
    (tmp_path / "allowed").write_text(f'builder namespaces="{MANIFEST_NAMESPACE}" {alice.public.openssh()}\n')
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "builder", "-n", MANIFEST_NAMESPACE, "-s", "sig"]
    good = subprocess.run(command, cwd=tmp_path, input=MESSAGE, capture_output=True)
    bad = subprocess.run(command, cwd=tmp_path, input=MESSAGE + b" ", capture_output=True)
    assert (good.returncode, bad.returncode != 0) == (0, True)


def test_signs_with_an_existing_ssh_key(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id"], check=True)
    file = tmp_path / "message"
    file.write_bytes(MESSAGE)
    signature = load_signer(tmp_path / "id").sign(MESSAGE, "x@v1")
    assert signature == keygen_signature(tmp_path / "id", file, "x@v1")


def test_a_public_key_signs_by_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, public = write_private_key(tmp_path / "key", "alice"), tmp_path / "key.pub"
    public.write_text(signer("alice").public.openssh() + " alice\n")
    with ssh_agent(tmp_path) as address:
        add_key(address, key)
        key.unlink()
        monkeypatch.setenv("SSH_AUTH_SOCK", address)
        assert load_signer(public).sign(MESSAGE, "x@v1") == signer("alice").sign(MESSAGE, "x@v1")


def test_a_public_key_without_an_agent_cannot_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.pub").write_text(signer("alice").public.openssh() + "\n")
    with pytest.raises(AgentRefused, match="none is running"):
        load_signer(tmp_path / "key.pub")
    with ssh_agent(tmp_path) as address:
        monkeypatch.setenv("SSH_AUTH_SOCK", address)
        with pytest.raises(AgentRefused, match="it does not hold the key SHA256:"):
            load_signer(tmp_path / "key.pub")


def test_an_agent_spares_the_passphrase_of_a_locked_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = write_private_key(tmp_path / "locked", "alice", b"secret")
    with ssh_agent(tmp_path) as address:
        add_key(address, write_private_key(tmp_path / "plain", "alice"))
        monkeypatch.setenv("SSH_AUTH_SOCK", address)
        assert load_signer(locked, nobody).sign(MESSAGE, "x@v1") == signer("alice").sign(MESSAGE, "x@v1")


def test_a_locked_key_is_unlocked_by_whoever_is_asked(tmp_path: Path) -> None:
    locked = write_private_key(tmp_path / "locked", "alice", b"secret")
    asked = []

    def answer(path: Path) -> bytes:
        asked.append(path)
        return b"secret"

    assert load_signer(locked, answer).public == signer("alice").public
    assert asked == [locked]
    with pytest.raises(LockedKey, match="the passphrase is wrong"):
        load_signer(locked, lambda path: b"wrong")


def test_an_unlocked_key_asks_nobody_and_no_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    assert load_signer(write_private_key(tmp_path / "key", "alice"), nobody).public == signer("alice").public


def test_a_wrong_signature_is_never_handed_out() -> None:
    broken = Signer(signer("alice").public, private_key("bob").sign)
    with pytest.raises(SignatureMismatch):
        broken.sign(MESSAGE, "x@v1")


def test_the_first_builder_makes_keys_and_a_root_that_trusts_them(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "mirror")
    builder = ensure_builder(store, ask=nobody)
    assert builder.created == (store.keys / "root", store.keys / "builder")
    assert store.load_root() == builder.root
    assert [key.public for key in builder.root.builder.keys] == [builder.signer.public]
    assert builder.root.is_one_person
    check_manifest(MESSAGE, [builder.signer.sign(MESSAGE, MANIFEST_NAMESPACE)], store.load_root())


def test_the_second_time_nothing_is_made(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "mirror")
    first = ensure_builder(store)
    before = sorted((path, path.stat().st_mtime_ns) for path in store.directory.rglob("*"))
    again = ensure_builder(store, ask=nobody)
    assert (again.root, again.signer.public, again.created) == (first.root, first.signer.public, ())
    assert sorted((path, path.stat().st_mtime_ns) for path in store.directory.rglob("*")) == before


def test_goes_on_from_the_keys_that_an_interrupted_run_left(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "mirror")
    store.keys.mkdir(parents=True, mode=0o700)
    write_private_key(store.keys / "root", "root")
    builder = ensure_builder(store)
    assert builder.created == (store.keys / "root", store.keys / "builder")  # both lie here: a person must be told
    assert [key.public for key in builder.root.root.keys] == [signer("root").public]


def test_who_restored_keys_and_not_their_roots_is_told(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "mirror")
    first = ensure_builder(store)
    assert first.notes == ()
    shutil.rmtree(store.directory / "roots")
    again = ensure_builder(store)
    assert again.root == first.root  # of keys that were never changed it is the same root
    (note,) = again.notes
    assert f"{store.keys / 'root'} and {store.keys / 'builder'}" in note
    assert f"put back {store.directory}/roots" in note


def test_an_existing_key_becomes_the_builders(tmp_path: Path) -> None:
    store, key = TrustStore(tmp_path / "mirror"), write_private_key(tmp_path / "id", "alice")
    builder = ensure_builder(store, (key,))
    assert builder.signer.public == signer("alice").public
    assert builder.created == (store.keys / "root",)
    assert sorted(os.listdir(store.keys)) == ["root", "root.pub"]


def test_one_key_cannot_be_both_root_and_builder(tmp_path: Path) -> None:
    store, key = TrustStore(tmp_path / "mirror"), write_private_key(tmp_path / "id", "alice")
    with pytest.raises(InvalidDocument, match="a key serves once, in one role"):
        ensure_builder(store, (key,), key)
    assert not store.has_root()


def test_a_named_key_that_is_missing_is_not_made(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "mirror")
    for key, root_key in ((tmp_path / "none", None), (None, tmp_path / "none")):
        with pytest.raises(Unreadable, match="No such file"):
            ensure_builder(store, (key,) if key else (), root_key)
        assert not (tmp_path / "none").exists()
        assert not list(store.directory.rglob("*.pub"))


def test_a_key_that_the_trusted_root_does_not_name_cannot_build(tmp_path: Path) -> None:
    store, key = trust_store(tmp_path / "mirror"), write_private_key(tmp_path / "id", "stranger")
    with pytest.raises(UnknownSigner) as caught:
        ensure_builder(store, (key,))
    assert str(caught.value) == (
        f"the bundle is signed by {signer('stranger').public.fingerprint}; "
        f"the root trusts builder ({signer('builder').public.fingerprint})"
    )


def test_a_trusted_root_whose_builder_key_is_elsewhere_is_explained(tmp_path: Path) -> None:
    store = trust_store(tmp_path / "mirror", make_root(builder=role("alice")))
    with pytest.raises(Unreadable, match="a root is trusted here but its builder's key is not"):
        ensure_builder(store)
    assert ensure_builder(store, (write_private_key(tmp_path / "id", "alice"),)).signer.public == signer("alice").public

"""The next root: drafted, signed by its holders wherever they are, and trusted when enough of them have."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.connected.signing.rotation import (
    KeyInRoot,
    NoSuchKey,
    NotARootKey,
    RoleTooSmall,
    Rotation,
    changes,
    with_key,
    with_threshold,
    without_key,
)
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.trust.chain import BrokenChain
from mirror.core.trust.quorum import UnknownSigner
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import check_manifest
from tests.support.keys import key, make_root, role, sign_manifest, sign_root, signer, trust_store


def store_of(directory: Path, *names: str, threshold: int = 1) -> TrustStore:
    """A store that trusts a first root held by these."""
    root, store = make_root(root=role(*names, threshold=threshold)), TrustStore(directory)
    store.add_root(*sign_root(root, names[:threshold]), root.fingerprint)
    return store


def test_an_approver_is_added_and_asked_for(tmp_path: Path) -> None:
    rotation = Rotation(trust_store(tmp_path / "mirror"))
    rotation.draft(with_threshold(with_key(rotation.next_root(), "approver", key("alice")), "approver", 1))
    signed = rotation.sign([signer("root")])
    assert signed.is_trusted and signed.shortfalls == ()
    trusted = rotation.store.load_root()
    assert (trusted.version, trusted.approver) == (2, role("alice"))
    assert not rotation.path.exists() and not rotation.signatures.exists()


@pytest.mark.group(72)
def test_a_builder_whose_key_was_stolen_is_replaced_and_signs_no_more(tmp_path: Path) -> None:
    rotation = Rotation(trust_store(tmp_path / "mirror"))
    rotation.draft(without_key(with_key(rotation.next_root(), "builder", key("bea")), "builder"))
    rotation.sign([signer("root")])
    root = rotation.store.load_root()
    assert check_manifest(b"{}", [sign_manifest(b"{}", "bea")], root).by_role["builder"] == ("bea",)
    with pytest.raises(UnknownSigner):
        check_manifest(b"{}", [sign_manifest(b"{}", "builder")], root)


def test_holders_on_other_machines_sign_the_draft_and_send_it_back(tmp_path: Path) -> None:
    here = Rotation(store_of(tmp_path / "here", "ann", "ben", "cid", threshold=2))
    here.draft(without_key(with_key(here.next_root(), "root", key("dan")), "cid"))
    signed = here.sign([signer("ann")])
    assert not signed.is_trusted
    assert [str(one) for one in signed.shortfalls] == [
        "needs 2 holders of root version 1, has 1 (ann), missing ben or cid",
        "needs 2 holders of root version 2, has 1 (ann), missing ben or dan",
    ]
    sent = tmp_path / "sent"
    sent.mkdir()
    for path in (here.path, here.signatures):
        shutil.copy(path, sent)
    there = Rotation(store_of(tmp_path / "there", "ann", "ben", "cid", threshold=2), sent / "next-root.json")
    assert there.sign([signer("ben")]).is_trusted
    assert here.store.load_root().version == 1
    assert Rotation(here.store, sent / "next-root.json").sign([]).is_trusted  # back home nobody need sign again
    assert here.store.load_root() == there.store.load_root()


def test_the_new_holders_must_sign_too(tmp_path: Path) -> None:
    rotation = Rotation(trust_store(tmp_path / "mirror"))
    rotation.draft(without_key(with_key(rotation.next_root(), "root", key("rita")), "root"))
    assert [one.role for one in rotation.sign([signer("root")]).shortfalls] == ["holder of root version 2"]
    assert rotation.sign([signer("rita")]).is_trusted


def test_a_changed_draft_has_lost_its_signatures(tmp_path: Path) -> None:
    rotation = Rotation(store_of(tmp_path / "mirror", "ann", "ben", threshold=2))
    rotation.draft(with_key(rotation.next_root(), "approver", key("alice")))
    rotation.sign([signer("ann")])
    rotation.draft(rotation.next_root())  # the same one again
    assert rotation.signatures.exists()
    rotation.draft(with_key(rotation.next_root(), "approver", key("bob")))
    assert not rotation.signatures.exists()


def test_signing_twice_is_signing_once(tmp_path: Path) -> None:
    rotation = Rotation(store_of(tmp_path / "mirror", "ann", "ben", threshold=2))
    for _ in range(2):
        assert not rotation.sign([signer("ann")]).is_trusted
    assert rotation.signatures.read_bytes().count(b"BEGIN") == 1


def test_a_key_without_the_role_signs_no_root(tmp_path: Path) -> None:
    rotation = Rotation(trust_store(tmp_path / "mirror"))
    with pytest.raises(NotARootKey, match="may not sign this root; root "):
        rotation.sign([signer("builder")])


def test_what_a_root_cannot_be_is_refused_when_it_is_drafted(tmp_path: Path) -> None:
    root = make_root()
    with pytest.raises(NoSuchKey, match="names no key 'bob'; it names root, builder"):
        without_key(root, "bob")
    with pytest.raises(
        RoleTooSmall, match="builder cannot go: 1 must sign as builder, and no other would be left"
    ) as caught:
        without_key(root, "builder")
    assert caught.value.hint == "First add another key to the role: `mirror trust add KEY.pub --role builder`."
    with pytest.raises(KeyInRoot, match="already: builder, as builder; a key serves once, in one role") as again:
        with_key(root, "approver", key("builder").__class__("other-name", key("builder").public))
    assert again.value.hint.startswith("Take it out first, `mirror trust remove builder`, or")
    with pytest.raises(InvalidDocument, match="expected 0 to 0"):
        with_threshold(root, "approver", 1)


def test_a_key_that_the_root_has_is_told_as_such(tmp_path: Path) -> None:
    rotation = Rotation(trust_store(tmp_path / "mirror", make_root(approver=role("alice"))))
    with pytest.raises(KeyInRoot) as caught:
        rotation.add_key("approver", key("alice"))
    assert str(caught.value) == "the root has this key already: alice, as approver; a key serves once, in one role"
    assert caught.value.hint.startswith("Nothing is to be added")


def test_the_only_approver_goes_after_nobody_must_approve() -> None:
    root = with_threshold(with_key(make_root(), "approver", key("alice")), "approver", 1)
    with pytest.raises(RoleTooSmall) as caught:
        without_key(root, "alice")
    assert str(caught.value) == "alice cannot go: 1 must sign as approver, and no other would be left"
    assert "`mirror trust remove alice --threshold approver=0`" in caught.value.hint
    assert without_key(with_threshold(root, "approver", 0), "alice").approver.keys == ()


def test_a_draft_that_was_overtaken_is_begun_anew(tmp_path: Path) -> None:
    rotation = Rotation(trust_store(tmp_path / "mirror"))
    rotation.draft(with_key(rotation.next_root(), "approver", key("alice")))
    rotation.store.add_root(*sign_root(make_root(version=2, builder=role("builder", "bea"))))
    assert rotation.next_root() == make_root(version=3, builder=role("builder", "bea"))


@pytest.mark.group(74)
def test_all_keys_of_a_role_are_lost_and_the_root_gives_it_to_others(tmp_path: Path) -> None:
    """SECURITY.md 74: the documented recovery, rehearsed."""
    first = make_root(approver=role("alice", "bob", threshold=2))
    rotation = Rotation(trust_store(tmp_path / "mirror", first))
    draft = rotation.next_root()
    for new in ("carol", "dave"):
        draft = with_key(draft, "approver", key(new))
    for lost in ("alice", "bob"):
        draft = without_key(draft, lost)
    rotation.draft(draft)
    assert rotation.sign([signer("root")]).is_trusted
    assert rotation.store.load_root().approver == role("carol", "dave", threshold=2)


def test_a_draft_that_was_sent_is_neither_made_up_nor_replaced(tmp_path: Path) -> None:
    store, sent = trust_store(tmp_path / "mirror"), tmp_path / "next-root.json"
    with pytest.raises(Unreadable):
        Rotation(store, sent).sign([signer("root")])
    sent.write_bytes(make_root(version=3).encode())
    with pytest.raises(BrokenChain):
        Rotation(store, sent).sign([signer("root")])
    assert sent.read_bytes() == make_root(version=3).encode() and store.load_root().version == 1


def test_what_a_draft_changes_is_told_before_it_is_signed() -> None:
    before = make_root(builder=role("builder", "bea"))
    after = replace(with_key(without_key(before, "bea"), "root", key("helper")), version=2, expires=10**9)
    assert changes(before, after) == (
        f"root gets {key('helper')}",
        f"builder loses {key('bea')}",
        "it expires 2001-09-09T01:46:40Z, not never",
    )
    assert changes(before, with_threshold(before, "builder", 2)) == ("builder needs 2, not 1",)
    assert changes(before, before) == ()

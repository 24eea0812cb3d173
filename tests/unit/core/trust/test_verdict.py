from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from mirror.core.errors import InvalidDocument, Unreadable, Unwritable
from mirror.core.signatures.sshsig import SignatureMismatch, UnacceptableSignature
from mirror.core.system.home import NoHome
from mirror.core.trust.chain import BrokenChain, check_root
from mirror.core.trust.quorum import NotSigned, ThresholdNotMet, UnknownSigner
from mirror.core.trust.root import MANIFEST_NAMESPACE, Root
from mirror.core.trust.truststore import (
    NoTrustedRoot,
    OtherRootTrusted,
    TrustStore,
    TrustStoreDamaged,
    UnconfirmedRoot,
    UnsafeTrustStore,
)
from mirror.core.trust.verdict import RootExpired, check_manifest
from mirror.core.words import grouped
from tests.support.keys import make_root, role, sign_manifest, sign_root, signer, trust_store
from tests.support.otheruser import OTHER, needs_root

STRANGERS = 54399
"""A group that is in no group database."""

MANIFEST = b'{"format": "mirror-bundle/1"}\n'


def test_a_manifest_by_the_builder_is_trusted() -> None:
    signers = check_manifest(MANIFEST, [sign_manifest(MANIFEST)], make_root())
    assert signers.by_role == {"builder": ("builder",), "approver": ()}


@pytest.mark.group(6)
def test_a_manifest_by_a_stranger_or_by_the_roots_key_is_not() -> None:
    for name in ("stranger", "root"):
        with pytest.raises(UnknownSigner):
            check_manifest(MANIFEST, [sign_manifest(MANIFEST, name)], make_root())


@pytest.mark.group(9)
def test_a_signature_made_for_a_root_never_serves_for_a_manifest() -> None:
    signature = signer("builder").sign(MANIFEST, "mirror-root@v1")
    with pytest.raises(UnacceptableSignature, match="namespace 'mirror-root@v1', expected 'mirror-manifest@v1'"):
        check_manifest(MANIFEST, [signature], make_root())


@pytest.mark.group(1)
def test_every_flipped_bit_of_a_manifest_is_refused() -> None:
    signature = sign_manifest(MANIFEST)
    for index in range(len(MANIFEST)):
        flipped = bytearray(MANIFEST)
        flipped[index] ^= 1
        with pytest.raises(SignatureMismatch):
            check_manifest(bytes(flipped), [signature], make_root())


@pytest.mark.group(15)
def test_an_expired_root_vouches_for_nothing() -> None:
    root, signatures = make_root(expires=2_000_000_000), [sign_manifest(MANIFEST)]
    check_manifest(MANIFEST, signatures, root, now=1_999_999_999.9)
    with pytest.raises(RootExpired) as caught:
        check_manifest(MANIFEST, signatures, root, now=2_000_000_000)
    assert str(caught.value) == (
        "the trusted root expired at 2033-05-18T03:33:20Z; this host's clock says 2033-05-18T03:33:20Z"
    )


@pytest.mark.group(15)
def test_this_hosts_clock_is_the_one_that_counts_by_default() -> None:
    with pytest.raises(RootExpired):
        check_manifest(MANIFEST, [sign_manifest(MANIFEST)], make_root(expires=1))


def test_a_root_signed_by_itself_is_a_root() -> None:
    assert check_root(*sign_root(make_root())) == make_root()


def test_a_root_needs_as_many_of_its_own_root_keys_as_it_says() -> None:
    root = make_root(root=role("rita", "ron", threshold=2))
    assert check_root(*sign_root(root, ("rita", "ron"))) == root
    with pytest.raises(ThresholdNotMet) as caught:
        check_root(*sign_root(root, ("rita", "rita")))
    assert str(caught.value) == "the root has too few signatures: needs 2 roots, has 1 (rita), missing ron"


def test_a_root_that_its_own_root_did_not_sign_is_refused() -> None:
    document, _ = sign_root(make_root())
    with pytest.raises(NotSigned, match="the root is not signed"):
        check_root(document, b"")
    with pytest.raises(UnknownSigner):
        check_root(*sign_root(make_root(), ("builder",)))
    with pytest.raises(UnacceptableSignature):
        check_root(document, signer("root").sign(document, MANIFEST_NAMESPACE))
    with pytest.raises(SignatureMismatch):
        check_root(document, sign_root(make_root(version=2))[1])


def test_the_first_root_is_trusted_by_its_fingerprint(tmp_path: Path) -> None:
    store, root = TrustStore(tmp_path / "a" / "mirror"), make_root()
    assert store.add_root(*sign_root(root), root.fingerprint) == root
    assert store.load_root() == root
    assert store.root_documents() == (sign_root(root),)
    assert store.directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.group(70)
def test_the_first_root_is_not_trusted_without_a_fingerprint_nor_told_what_it_would_be(tmp_path: Path) -> None:
    store, root = TrustStore(tmp_path / "mirror"), make_root()
    with pytest.raises(UnconfirmedRoot) as caught:
        store.add_root(*sign_root(root))
    assert root.fingerprint not in str(caught.value) + caught.value.hint
    assert not store.directory.exists()


@pytest.mark.group(70)
def test_a_root_with_another_fingerprint_is_refused_naming_both(tmp_path: Path) -> None:
    store, root, told = TrustStore(tmp_path / "mirror"), make_root(), "0" * 64
    with pytest.raises(UnconfirmedRoot) as caught:
        store.add_root(*sign_root(root), told)
    assert str(caught.value) == f"the root offered is not the one whose fingerprint you gave, {grouped(told)}"
    assert root.fingerprint not in caught.value.hint and "is not shown on purpose" in caught.value.hint
    assert not store.directory.exists()


def test_a_fingerprint_does_not_excuse_a_root_that_is_none(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "mirror")
    with pytest.raises(InvalidDocument):
        store.add_root(b"{}", b"", hashlib.sha256(b"{}").hexdigest())
    with pytest.raises(NotSigned):
        store.add_root(make_root().encode(), b"", make_root().fingerprint)
    assert not store.directory.exists()


def test_a_later_root_is_not_a_first_root(tmp_path: Path) -> None:
    root = make_root(version=2)
    with pytest.raises(BrokenChain, match="root version 1 comes next, version 2 was offered"):
        TrustStore(tmp_path).add_root(*sign_root(root), root.fingerprint)


def test_adding_the_trusted_root_again_changes_nothing_and_needs_no_fingerprint(tmp_path: Path) -> None:
    store, root = trust_store(tmp_path / "mirror"), make_root()
    before = (store.directory / "roots" / "1.json").stat()
    assert store.add_root(*sign_root(root)) == root
    assert store.add_root(*sign_root(root), root.fingerprint) == root
    after = (store.directory / "roots" / "1.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    with pytest.raises(UnconfirmedRoot):
        store.add_root(*sign_root(root), "0" * 64)


def test_another_root_never_takes_the_trusted_ones_place(tmp_path: Path) -> None:
    store, other = trust_store(tmp_path / "mirror"), make_root(builder=role("eve"))
    with pytest.raises(OtherRootTrusted) as caught:
        store.add_root(*sign_root(other), other.fingerprint)
    assert str(caught.value) == (
        f"{store.directory} trusts root {grouped(make_root().fingerprint)}, "
        f"another was offered: {grouped(other.fingerprint)}"
    )
    with pytest.raises(OtherRootTrusted):
        store.add_root(*sign_root(other))
    assert store.load_root() == make_root()


def test_an_empty_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoTrustedRoot) as caught:
        TrustStore(tmp_path / "none").load_root()
    assert str(caught.value) == f"no root is trusted yet: none in {tmp_path / 'none'}"


@pytest.mark.group(58)
@pytest.mark.parametrize("name", ["1.json", "1.sig"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"\0" * 100, b"x" * 70_000], ids=["empty", "braces", "zeros", "long"])
def test_a_damaged_store_is_an_error_never_an_empty_store(tmp_path: Path, name: str, damage: bytes) -> None:
    store, root = trust_store(tmp_path / "mirror"), make_root()
    (store.directory / "roots" / name).write_bytes(damage)
    damaged = f"^{store.directory / 'roots/1.json'}, which was trusted here, is damaged: "
    with pytest.raises(TrustStoreDamaged, match=damaged) as caught:
        store.load_root()
    assert isinstance(caught.value.__cause__, (InvalidDocument, NotSigned, UnacceptableSignature))
    with pytest.raises(TrustStoreDamaged, match=damaged):
        store.add_root(*sign_root(root), root.fingerprint)
    assert (store.directory / "roots" / name).read_bytes() == damage


def test_a_root_changed_in_the_store_is_noticed(tmp_path: Path) -> None:
    store = trust_store(tmp_path / "mirror")
    (store.directory / "roots" / "1.json").write_bytes(make_root(builder=role("eve")).encode())
    with pytest.raises(TrustStoreDamaged) as caught:
        store.load_root()
    assert isinstance(caught.value.__cause__, SignatureMismatch)


@pytest.mark.group(58)
def test_a_store_with_a_missing_part_is_an_error(tmp_path: Path) -> None:
    store = trust_store(tmp_path / "mirror")
    (store.directory / "roots" / "1.sig").unlink()
    with pytest.raises(Unreadable, match=r"1\.sig: No such file"):
        store.load_root()
    (store.directory / "roots" / "1.json").unlink()
    (store.directory / "roots" / "1.json").symlink_to("nowhere")
    with pytest.raises(Unreadable, match=r"1\.json: it is a symbolic link"):
        store.load_root()


def test_a_link_in_the_place_of_the_root_is_not_followed(tmp_path: Path) -> None:
    store = trust_store(tmp_path / "mirror")
    path = store.directory / "roots" / "1.json"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unreadable, match=r"1\.json: it is a symbolic link"):
        store.load_root()


def test_a_store_that_cannot_be_looked_into_is_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "mirror").symlink_to("mirror")  # the kernel refuses to follow it, root's way too
    store, root = TrustStore(tmp_path / "mirror"), make_root()
    with pytest.raises(Unreadable, match="symbolic links"):
        store.has_root()
    with pytest.raises(Unreadable, match="symbolic links"):
        store.add_root(*sign_root(root), root.fingerprint)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("place", [".", "roots", "roots/1.json", "roots/1.sig"])
def test_a_store_of_another_users_proves_nothing(tmp_path: Path, place: str) -> None:
    store = trust_store(tmp_path / "mirror")
    path = store.directory / place
    os.chown(path, 54321, -1)
    with pytest.raises(UnsafeTrustStore) as caught:
        store.load_root()
    assert str(caught.value) == (
        f"{path} belongs to user id 54321, neither to you (0) nor to root, so the root in it proves nothing"
    )


def test_a_store_whose_directory_anybody_may_write_proves_nothing(tmp_path: Path) -> None:
    store = trust_store(tmp_path / "mirror")
    store.directory.chmod(0o777)
    with pytest.raises(UnsafeTrustStore, match="mirror may be written by every user, so the root in it proves nothing"):
        store.load_root()
    store.directory.chmod(0o775)  # as a umask of 002 makes a MIRROR_HOME
    assert store.load_root() == make_root()


def test_no_root_is_saved_where_it_would_not_be_believed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(UnsafeTrustStore):
        trust_store(tmp_path)
    assert not TrustStore(tmp_path).has_root()


def test_without_a_home_the_default_store_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "relative")
    with pytest.raises(NoHome):
        TrustStore.default({})
    assert TrustStore.default({"MIRROR_HOME": "/m"}).directory == Path("/m")
    assert TrustStore.default({"XDG_CONFIG_HOME": "/x"}).directory == Path("/x/mirror")


@pytest.mark.parametrize("place", ["roots", "roots/1.json", "roots/1.sig"])
@pytest.mark.parametrize(("bits", "others"), [(0o020, f"the group {STRANGERS}"), (0o002, "every user")])
def test_a_store_that_others_may_write_proves_nothing(tmp_path: Path, place: str, bits: int, others: str) -> None:
    store = trust_store(tmp_path / "mirror")
    path = store.directory / place
    if bits == 0o020:
        give_to_strangers(path)
    path.chmod(path.stat().st_mode | bits)
    with pytest.raises(UnsafeTrustStore) as caught:
        store.load_root()
    assert str(caught.value) == f"{path} may be written by {others}, so the root in it proves nothing"


@needs_root
@pytest.mark.group(67)
@pytest.mark.parametrize("above", ["", "home/.config"], ids=["store", "above"])
def test_nobody_leads_to_an_older_store_of_the_same_user(tmp_path: Path, above: str) -> None:
    """It is whole, and its owner's: what may be exchanged is the way to it."""
    new, old = make_root(approver=role("alice")), trust_store(tmp_path / "backup/mirror")
    way = tmp_path / "home/.config"
    store = trust_store(way / "mirror", new)
    way.chmod(0o1777)
    assert store.load_root() == new  # others make files there, and replace none of ours
    moved = tmp_path / above if above else store.directory
    way.chmod(0o777)
    moved.rename(tmp_path / "away")
    moved.symlink_to(old.directory.parent if above else old.directory)
    os.lchown(moved, OTHER, OTHER)
    with pytest.raises(UnsafeTrustStore) as caught:
        store.load_root()
    assert caught.value.path in {str(moved), str(way)}
    moved.unlink()
    (tmp_path / "away").rename(moved)
    with pytest.raises(UnsafeTrustStore) as caught:
        store.load_root()
    assert str(caught.value) == f"{way} may be written by every user, so the root in it proves nothing"
    with pytest.raises(UnsafeTrustStore):
        trust_store(way / "another")
    assert not (way / "another").exists()


def test_a_home_that_is_a_link_of_ones_own_or_roots_leads_to_the_store(tmp_path: Path) -> None:
    trust_store(tmp_path / "data/home/ann/mirror")
    (tmp_path / "home").symlink_to("data/home")
    (tmp_path / "data/home/ann/link").symlink_to("mirror")
    for name in ("home/ann/mirror", "home/ann/link", "home/../home/ann/mirror"):
        assert TrustStore(tmp_path / name).load_root() == make_root()


def test_a_store_that_is_named_from_here_is_walked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert trust_store(Path("mirror")).load_root() == make_root()


def test_the_roots_of_a_store_are_not_reached_through_a_link(tmp_path: Path) -> None:
    """Whoever may write the store, as a group may, could lead to older ones."""
    store, old = trust_store(tmp_path / "mirror"), trust_store(tmp_path / "old")
    roots = store.directory / "roots"
    roots.rename(store.directory / "away")
    roots.symlink_to(old.directory / "roots")
    with pytest.raises(Unreadable, match="mirror/roots: Not a directory"):
        store.load_root()


def give_to_strangers(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to any group")
    os.chown(path, -1, STRANGERS)


def test_a_group_writable_umask_makes_no_unsafe_store(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        assert trust_store(tmp_path / "a" / "mirror").load_root() == make_root()
    finally:
        os.umask(old)


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "mirror").touch()
    with pytest.raises(Unwritable, match=f"cannot write {tmp_path}/mirror/roots"):
        trust_store(tmp_path / "mirror")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MIRROR_HOME": "/m", "XDG_CONFIG_HOME": "/x"}, Path("/m")),
        ({"MIRROR_HOME": "", "XDG_CONFIG_HOME": "/x"}, Path("/x/mirror")),
        ({"XDG_CONFIG_HOME": "relative"}, Path("~/.config/mirror").expanduser()),
        ({"XDG_CONFIG_HOME": ""}, Path("~/.config/mirror").expanduser()),
        ({}, Path("~/.config/mirror").expanduser()),
    ],
)
def test_the_default_store_follows_the_environment(environment: dict[str, str], expected: Path) -> None:
    assert TrustStore.default(environment).directory == expected
    assert TrustStore.default(environment).keys == expected / "keys"


def test_a_role_matrix_of_two_builders_and_an_approver() -> None:
    root: Root = make_root(builder=role("bob", "ben", threshold=2), approver=role("ann"))
    people = ("bob", "ben", "ann", "rita")
    for chosen in range(16):
        names = {name for bit, name in enumerate(people) if chosen >> bit & 1}
        signatures = [sign_manifest(MANIFEST, name) for name in sorted(names)]
        if names >= {"bob", "ben", "ann"}:
            check_manifest(MANIFEST, signatures, root)
        else:
            with pytest.raises((NotSigned, UnknownSigner, ThresholdNotMet)):
                check_manifest(MANIFEST, signatures, root)

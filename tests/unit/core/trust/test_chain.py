"""Rotation: the next root counts when the one before and itself have signed it, one step at a time (SECURITY.md T10, 71)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from concurrent import futures
from pathlib import Path

import pytest

from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import MirrorError, Unreadable, Unwritable
from mirror.core.signatures.sshsig import SignatureMismatch
from mirror.core.system.durable import write_file
from mirror.core.trust import truststore
from mirror.core.trust.chain import BrokenChain, Documents, RootForked, check_chain, continued, fingerprint
from mirror.core.trust.quorum import ThresholdNotMet, UnknownSigner
from mirror.core.trust.truststore import NoTrustedRoot, OtherRootTrusted, TrustStore, TrustStoreDamaged, UnconfirmedRoot
from mirror.core.trust.verdict import RootExpired
from tests.support.bundles import BundleSimulator
from tests.support.keys import make_root, role, sign_root, trust_store

FIRST = make_root()
SECOND = make_root(root=role("rita"), version=2)
THIRD = make_root(root=role("rita"), builder=role("bea"), version=3)
CHAIN: Documents = (sign_root(FIRST), sign_root(SECOND, ("root", "rita")), sign_root(THIRD, ("rita",)))


def test_each_root_is_trusted_through_the_one_before() -> None:
    assert check_chain(CHAIN) == (FIRST, SECOND, THIRD)
    assert continued(FIRST, CHAIN) == continued(SECOND, CHAIN) == continued(THIRD, CHAIN) == THIRD


def test_a_chain_that_ends_earlier_changes_nothing() -> None:
    assert continued(THIRD, CHAIN[:1]) == THIRD
    assert continued(FIRST, ()) == FIRST


def test_a_chain_with_another_root_in_its_place_proves_nothing_however_well_it_goes_on() -> None:
    """Its third root is signed by the second that we trust; the second in it is not that one."""
    fork = sign_root(make_root(root=role("rita"), builder=role("eve"), version=2), ("root", "rita"))
    assert continued(SECOND, (CHAIN[0], fork, CHAIN[2])) == SECOND
    assert continued(SECOND, CHAIN) == THIRD


@pytest.mark.group(71)
@pytest.mark.parametrize(
    ("signers", "error"),
    [
        (("root",), UnknownSigner),  # its own keys have not signed
        (("rita",), UnknownSigner),  # the keys before it have not
        (("builder", "rita"), UnknownSigner),  # a builder is no holder of the root
        (("stranger",), UnknownSigner),
    ],
    ids=["old-only", "new-only", "by the builder", "by a stranger"],
)
def test_a_next_root_needs_both_thresholds(signers: Sequence[str], error: type[MirrorError]) -> None:
    with pytest.raises(error):
        check_chain((CHAIN[0], sign_root(SECOND, signers)))


def test_a_threshold_of_two_is_asked_of_the_old_keys_and_of_the_new() -> None:
    first = make_root(root=role("a", "b", "c", threshold=2))
    second = make_root(root=role("b", "c", "d", threshold=2), version=2)
    assert check_chain((sign_root(first, ("a", "b")), sign_root(second, ("b", "c"))))[-1] == second
    for signers in (("a", "b"), ("c", "d")):
        with pytest.raises(ThresholdNotMet):
            check_chain((sign_root(first, ("a", "b")), sign_root(second, signers)))


@pytest.mark.group(71)
def test_no_step_is_skipped_and_none_is_taken_twice() -> None:
    third = make_root(root=role("root"), version=3)
    with pytest.raises(BrokenChain, match="root version 2 comes next, version 3 was offered"):
        check_chain((CHAIN[0], sign_root(third)))
    with pytest.raises(BrokenChain, match="root version 2 comes next, version 1 was offered"):
        check_chain((CHAIN[0], CHAIN[0]))


def test_a_changed_byte_in_a_successor_is_a_signature_that_does_not_match() -> None:
    document, signatures = CHAIN[1]
    with pytest.raises(SignatureMismatch):
        check_chain((CHAIN[0], (document.replace(b'"version": 2', b'"version": 3'), signatures)))


def test_a_store_follows_the_chain_and_keeps_all_of_it(tmp_path: Path) -> None:
    store = trust_store(tmp_path / "mirror")
    assert store.add_chain(CHAIN) == THIRD
    assert (store.load_root(), store.root_documents()) == (THIRD, CHAIN)
    assert store.add_chain(CHAIN[:2]) == THIRD  # an older bundle's chain takes nothing back


def test_a_store_takes_the_next_root_alone(tmp_path: Path) -> None:
    store = trust_store(tmp_path / "mirror")
    assert store.add_root(*CHAIN[1]) == SECOND
    with pytest.raises(BrokenChain):
        trust_store(tmp_path / "other").add_root(*CHAIN[2])


def test_a_new_host_trusts_a_chain_by_the_fingerprint_of_any_root_in_it(tmp_path: Path) -> None:
    for number, told in enumerate((FIRST, SECOND, THIRD)):
        assert TrustStore(tmp_path / str(number)).add_chain(CHAIN, told.fingerprint) == THIRD
    with pytest.raises(UnconfirmedRoot):
        TrustStore(tmp_path / "none").add_chain(CHAIN)
    with pytest.raises(UnconfirmedRoot):
        trust_store(tmp_path / "mirror").add_chain(CHAIN, "0" * 64)


class Stopped(BaseException):
    """Ctrl-C, or whatever else ends a run that no handler of errors sees."""


def stop_at(monkeypatch: pytest.MonkeyPatch, number: int, fault: BaseException | None) -> None:
    """Let the manieth write into a store fail; without a fault, kill the process there."""
    calls = iter(range(1, 100))

    def write(path: Path, data: bytes, mode: int = 0o644, directory: int | None = None) -> None:
        if next(calls) < number:
            write_file(path, data, mode, directory)
        elif fault:
            raise fault
        else:
            os._exit(9)

    monkeypatch.setattr(truststore, "write_file", write)


FULL = "No space left on device"


@pytest.mark.parametrize("number", range(1, 2 * len(CHAIN) + 1))
@pytest.mark.parametrize("fault", [Unwritable("roots/N", FULL), Stopped(), None], ids=["full disk", "Ctrl-C", "kill"])
def test_a_first_trust_stands_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, fault: BaseException | None
) -> None:
    store = TrustStore(tmp_path / "mirror")
    stop_at(monkeypatch, number, fault)
    if fault:
        with pytest.raises(type(fault)):
            store.add_chain(CHAIN, THIRD.fingerprint)
        assert list((store.directory / "roots").iterdir()) == []
    elif (child := os.fork()) == 0:
        try:
            store.add_chain(CHAIN, THIRD.fingerprint)
        finally:
            os._exit(0)
    else:
        assert os.waitpid(child, 0)[1] == 9 << 8
    monkeypatch.undo()
    assert not store.has_root()
    with pytest.raises(NoTrustedRoot):
        store.load_root()
    # What is there of it is nothing to whoever trusts a chain that ends earlier, or the same again.
    assert store.add_chain(CHAIN[:1], FIRST.fingerprint) == FIRST
    assert store.load_root() == FIRST
    assert store.add_chain(CHAIN) == store.load_root() == THIRD


def test_a_root_that_was_left_by_a_killed_run_is_no_part_of_another_chain(tmp_path: Path) -> None:
    store, other = trust_store(tmp_path / "mirror"), make_root(builder=role("eve"))
    store.add_chain(CHAIN)
    (store.directory / "roots" / "1.json").unlink()
    assert store.add_root(*sign_root(other), other.fingerprint) == store.load_root() == other


@pytest.mark.parametrize("number", range(1, 5))
def test_what_is_trusted_already_is_kept_whatever_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store = trust_store(tmp_path / "mirror")
    stop_at(monkeypatch, number, Unwritable("roots/N", FULL))
    with pytest.raises(Unwritable) as caught:
        store.add_chain(CHAIN, THIRD.fingerprint)
    assert "set MIRROR_HOME" in caught.value.hint
    monkeypatch.undo()
    assert store.load_root() == (FIRST, SECOND)[number > 2]  # as far as its holders' signatures lead
    assert store.add_chain(CHAIN) == store.load_root() == THIRD


@pytest.mark.parametrize("name", ["1.json", "2.json", "2.sig", "3.json", "3.sig"])
def test_a_damaged_store_is_told_by_its_file_and_mended_out_of_a_bundle(tmp_path: Path, name: str) -> None:
    store = trust_store(tmp_path / "mirror")
    store.add_chain(CHAIN)
    roots = store.directory / "roots"
    os.truncate(roots / name, 10)
    with pytest.raises(TrustStoreDamaged, match=f"^{roots / name[0]}.json, which was trusted here, is damaged: "):
        store.load_root()
    with pytest.raises(TrustStoreDamaged):
        store.add_chain(CHAIN, fingerprint(CHAIN[0][0]))
    for path in roots.iterdir():  # as the hint says
        if path.name >= name[0]:
            path.unlink()
    assert store.add_chain(CHAIN, fingerprint(CHAIN[0][0]) if name[0] == "1" else "") == THIRD


def test_of_two_first_trusts_at_once_one_stands_and_the_other_hears_of_it(tmp_path: Path) -> None:
    store, other = TrustStore(tmp_path / "mirror"), sign_root(make_root(builder=role("eve")))
    store.directory.mkdir(mode=0o700)
    (store.directory / "roots").mkdir(mode=0o700)
    roots = os.open(store.directory / "roots", os.O_RDONLY)
    fcntl.flock(roots, fcntl.LOCK_EX)  # as somebody who is about to trust another
    with futures.ThreadPoolExecutor(1) as pool:
        adding = pool.submit(store.add_chain, CHAIN, fingerprint(CHAIN[0][0]))
        with pytest.raises(futures.TimeoutError):
            adding.result(0.5)  # it has seen that nothing is trusted, and waits
        for name, data in zip(("1.sig", "1.json"), reversed(other)):
            write_file(store.directory / "roots" / name, data)
        os.close(roots)
        with pytest.raises(OtherRootTrusted):
            adding.result(20)
    assert store.root_documents() == (other,)


@pytest.mark.group(71)
def test_a_fork_is_refused_whoever_signed_it(tmp_path: Path) -> None:
    store = trust_store(tmp_path / "mirror")
    store.add_chain(CHAIN[:2])
    fork = make_root(builder=role("eve"), version=2)
    with pytest.raises(RootForked, match="root version 2 is"):
        store.add_root(*sign_root(fork))
    other = make_root(builder=role("eve"))
    with pytest.raises(OtherRootTrusted):
        store.add_chain((sign_root(other), *CHAIN[1:]))
    assert store.load_root() == SECOND


def test_a_root_that_got_lost_between_others_is_an_error(tmp_path: Path) -> None:
    store = trust_store(tmp_path / "mirror")
    store.add_chain(CHAIN)
    (store.directory / "roots" / "2.json").unlink()
    with pytest.raises(Unreadable, match="it is missing, while version 3 is there"):
        store.load_root()


def bundle(path: Path, chain: Documents, builder: str = "builder") -> Path:
    """A bundle that carries a chain, signed by one of its builders."""
    simulator = BundleSimulator()
    simulator.add("meta/a.txt", b"a")
    simulator.chain, simulator.signers = chain, (builder,)
    return simulator.write(path)


def test_the_newest_root_in_a_bundle_is_the_judge(tmp_path: Path) -> None:
    with open_bundle(bundle(tmp_path / "b.tar", CHAIN, "bea")) as opened:
        opened.trust(FIRST)
        opened.verify()
        assert opened.root == THIRD
        assert opened.signers and opened.signers.by_role["builder"] == ("bea",)


@pytest.mark.group(72)
def test_a_builder_who_was_revoked_signs_no_more_not_even_what_is_older(tmp_path: Path) -> None:
    """SECURITY.md 72: the third root knows no key of the first builder's."""
    old = bundle(tmp_path / "old.tar", CHAIN[:1])
    with open_bundle(old) as opened:
        assert opened.trust(FIRST).roots == (FIRST.fingerprint,)
    with open_bundle(old) as opened, pytest.raises(UnknownSigner):
        opened.trust(THIRD)
    with open_bundle(bundle(tmp_path / "new.tar", CHAIN)) as opened, pytest.raises(UnknownSigner):
        opened.trust(FIRST)


@pytest.mark.group(71)
def test_a_bundle_with_a_fork_is_refused_though_a_trusted_builder_signed_it(tmp_path: Path) -> None:
    fork = (CHAIN[0], sign_root(make_root(approver=role("eve"), version=2)))
    with (
        open_bundle(bundle(tmp_path / "b.tar", fork)) as opened,
        pytest.raises(RootForked),
    ):
        opened.trust(SECOND)


@pytest.mark.group(15)
def test_an_expired_root_has_a_successor_that_is_not(tmp_path: Path) -> None:
    expired, later = make_root(expires=1000), make_root(version=2)
    path = bundle(tmp_path / "b.tar", (sign_root(expired), sign_root(later)))
    with open_bundle(path) as opened:
        assert opened.trust(expired).name == "demo"
    alone = bundle(tmp_path / "alone.tar", (sign_root(expired),))
    with open_bundle(alone) as opened, pytest.raises(RootExpired):
        opened.trust(expired)

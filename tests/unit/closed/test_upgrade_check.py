"""Older bundles, contradictions, and what the history of a prefix keeps (SECURITY.md T4, 14)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.history import Event, History
from mirror.closed.prefix.switching import roll_back
from mirror.closed.prefix.tree import remove_tree
from mirror.closed.upgrade_check import BundleOlder, SequenceReused
from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.names import Sha256Hex
from mirror.core.trust.chain import RootForked
from mirror.core.trust.quorum import ThresholdNotMet, UnknownSigner
from mirror.core.trust.sidecars import APPROVED, REJECTED
from mirror.core.trust.verdict import BundleRejected
from mirror.review.decisions.approval import decide
from tests.support.bundles import SEQUENCE
from tests.support.desk import Desk, version_in
from tests.support.keys import make_root, role, sign_root, signer
from tests.support.wheels import make_wheel

DIGEST = Sha256Hex("ab" * 32)


def actions(desk: Desk) -> list[tuple[str, int, str]]:
    return [(event.action, event.sequence - SEQUENCE, event.reason) for event in History(desk.path / "p").events()]


def test_an_older_bundle_is_allowed_with_a_reason_that_the_receipt_and_the_history_keep(desk: Desk) -> None:
    desk.install(desk.bundle("2.0", sequence=SEQUENCE + 2))
    older = desk.bundle("1.0")
    with pytest.raises(BundleOlder) as caught:
        desk.install(older)
    assert "--allow-older" in caught.value.hint
    with pytest.raises(BundleOlder):  # blanks are no reason
        desk.install(older, allow_older=" \n")
    installed = desk.install(older, allow_older="2.0 hangs on node 7")
    assert installed.receipt.allowed_older == "2.0 hangs on node 7"
    assert version_in(installed.prefix) == "1.0"
    assert actions(desk) == [("installed", 2, ""), ("installed", 0, "2.0 hangs on node 7")]
    with pytest.raises(BundleOlder):  # allowed once is not allowed for ever
        desk.install(desk.bundle("1.1", sequence=SEQUENCE + 1))


def test_what_was_once_installed_is_remembered_when_it_is_gone(desk: Desk) -> None:
    installed = desk.install(desk.bundle("2.0", sequence=SEQUENCE + 2))
    prefix = Prefix(installed.prefix)
    (prefix.root / "current").unlink()
    for generation in prefix.installed():
        remove_tree(generation.path)
    with pytest.raises(BundleOlder):
        desk.install(desk.bundle("1.0"))
    with pytest.raises(SequenceReused):
        desk.install(desk.bundle("3.0", sequence=SEQUENCE + 2))


@pytest.mark.group(14)
def test_a_contradiction_is_allowed_by_nobody(desk: Desk) -> None:
    desk.install(desk.bundle("1.0"))
    with pytest.raises(SequenceReused):
        desk.install(desk.bundle("2.0"), allow_older="please")


def test_an_installed_older_bundle_is_made_current_with_a_reason(desk: Desk) -> None:
    first = desk.bundle("1.0")
    desk.install(first)
    desk.install(desk.bundle("2.0", sequence=SEQUENCE + 1))
    assert desk.install(first, allow_older="back").was_installed
    assert version_in(desk.path / "p") == "1.0"
    assert actions(desk)[-1] == ("made-current", 0, "back")


def test_a_rollback_is_written_down_too(desk: Desk) -> None:
    desk.install(desk.bundle("1.0"))
    desk.install(desk.bundle("2.0", sequence=SEQUENCE + 1))
    roll_back(Prefix(desk.path / "p"))
    assert actions(desk) == [("installed", 0, ""), ("installed", 1, ""), ("rolled-back", 0, "")]


def test_a_history_that_a_power_loss_cut_is_read_to_its_last_whole_line(tmp_path: Path) -> None:
    history = History(tmp_path)
    first, second = Event("installed", 1, "1-a", 1, DIGEST), Event("installed", 2, "2-b", 2, DIGEST, ("a",), "why")
    history.append(first)
    with history.path.open("ab") as stream:
        stream.write(b'{"action": "inst')
    assert history.events() == (first,)
    history.append(second)
    assert history.events() == (first, second)
    assert (history.greatest(), history.digest_of(2), history.digest_of(3)) == (2, DIGEST, "")


@pytest.mark.group(58)
@pytest.mark.parametrize("line", [b"{}", b'{"action": "eaten"}', b"rubbish", b'{"sequence": 0}'])
def test_a_damaged_history_is_an_error_never_an_empty_one(tmp_path: Path, line: bytes) -> None:
    history = History(tmp_path)
    history.path.write_bytes(line + b"\n")
    with pytest.raises(InvalidDocument, match="line 1"):
        history.greatest()


def test_a_history_that_cannot_be_written_stops_the_install_before_it_is_current(desk: Desk) -> None:
    desk.install(desk.bundle("1.0"))
    (desk.path / "p" / "history.jsonl").unlink()
    (desk.path / "p" / "history.jsonl").symlink_to(desk.path / "elsewhere")
    with pytest.raises(Unreadable, match=r"history\.jsonl"):
        desk.install(desk.bundle("2.0", sequence=SEQUENCE + 1))
    assert version_in(desk.path / "p") == "1.0"
    assert not (desk.path / "elsewhere").exists()


def test_install_counts_approvals_and_honours_refusals(desk: Desk) -> None:
    root = make_root(approver=role("alice"), version=1)
    simulator = desk.simulator()
    simulator.add_wheel(make_wheel(desk.path / "wheels", "left-pad", "1.0"))
    simulator.root = root
    bundle = simulator.write(desk.path / "b.tar", ("left_pad",))
    desk.store = simulator.store(desk.path / "other-trust")
    with pytest.raises(ThresholdNotMet, match=r"needs 1 approver, has none, missing alice"):
        desk.install(bundle)
    decide(bundle, root, APPROVED, signer("alice").sign, "", 99)
    decide(bundle, root, REJECTED, signer("alice").sign, "not before Monday", 100)
    with pytest.raises(BundleRejected, match="alice refused this bundle at 1970-01-01T00:01:40Z: not before Monday"):
        desk.install(bundle)
    assert not (desk.path / "p").exists()
    decide(bundle, root, APPROVED, signer("alice").sign, "", 101)
    assert desk.install(bundle).receipt.signers == ("alice", "builder")


def test_the_next_root_is_trusted_once_its_bundle_was_verified(desk: Desk) -> None:
    second = make_root(builder=role("bea"), version=2)
    chain = (sign_root(make_root()), sign_root(second))
    simulator = desk.simulator(sequence=SEQUENCE + 1)
    simulator.add_wheel(make_wheel(desk.path / "wheels", "left-pad", "2.0"))
    simulator.chain, simulator.signers = chain, ("bea",)
    desk.install(desk.bundle("1.0"))
    desk.install(simulator.write(desk.path / "second.tar", ("left_pad",)))
    assert desk.store.load_root() == second
    with pytest.raises(UnknownSigner):  # the first builder was revoked
        desk.install(desk.bundle("3.0", sequence=SEQUENCE + 2))
    fork = (chain[0], sign_root(make_root(builder=role("bea", "eve"), version=2)))
    simulator.chain, simulator.sequence = fork, SEQUENCE + 3
    with open_bundle(simulator.write(desk.path / "fork.tar", ("left_pad",))) as bundle, pytest.raises(RootForked):
        bundle.trust(second)


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    history = History(tmp_path)
    with pytest.raises(OSError, match="give a shorter reason"):
        history.append(Event("installed", 1, "1-a", 1, DIGEST, reason="x" * (64 << 10)))
    history.append(Event("installed", 1, "1-a", 1, DIGEST, reason="x" * (60 << 10)))
    assert len(history.events()) == 1


def test_the_next_root_is_followed_though_the_bundle_is_installed_already(desk: Desk) -> None:
    first, second = make_root(), make_root(builder=role("builder", "bea"), version=2)
    simulator = desk.simulator()
    simulator.add_wheel(make_wheel(desk.path / "wheels", "left-pad", "1.0"))
    simulator.chain = (sign_root(first), sign_root(second))
    bundle = simulator.write(desk.path / "b.tar", ("left_pad",))
    desk.install(bundle)
    for path in (desk.store.directory / "roots").glob("2.*"):
        path.unlink()
    assert desk.install(bundle).was_installed
    assert desk.store.load_root() == second

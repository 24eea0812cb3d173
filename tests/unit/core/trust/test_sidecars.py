"""What lies beside a bundle counts when it is good and about this bundle, and stops nothing when it is not."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from mirror.core.bundle.reader import Bundle, open_bundle
from mirror.core.bundle.volumes.splitting import split
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.names import Sha256Hex
from mirror.core.trust.quorum import NotSigned, ThresholdNotMet, UnknownSigner
from mirror.core.trust.root import MANIFEST_NAMESPACE, STATEMENT_NAMESPACE, Root
from mirror.core.trust.sidecars import APPROVED, MAX, REJECTED, Statement, sidecar_paths
from mirror.core.trust.verdict import BundleRejected, check_refusals
from mirror.review.report.inventory import take_inventory
from tests.support.bundles import BundleSimulator
from tests.support.keys import make_root, role, sign_manifest, signer

BOTH = make_root(approver=role("alice", "bob", threshold=1))


def make(path: Path, root: Root, content: bytes = b"a", signers: tuple[str, ...] = ("builder",)) -> Path:
    simulator = BundleSimulator()
    simulator.add("meta/a.txt", content)
    simulator.root, simulator.signers = root, signers
    return simulator.write(path)


def manifest_of(path: Path) -> bytes:
    with open_bundle(path) as bundle:
        return bundle.manifest_bytes


def approve(path: Path, who: str, suffix: str = "approval.sig", manifest: bytes = b"") -> Path:
    beside = path.with_name(f"{path.name}.{suffix}")
    beside.write_bytes(sign_manifest(manifest or manifest_of(path), who))
    return beside


def state(path: Path, who: str, decision: str, at: int, note: str = "", suffix: str = "rejection.json") -> None:
    with open_bundle(path) as bundle:
        statement = Statement(bundle.digest, decision, at, note).encode()
    beside = path.with_name(f"{path.name}.{suffix}")
    beside.write_bytes(statement)
    beside.with_name(f"{beside.name}.sig").write_bytes(signer(who).sign(statement, STATEMENT_NAMESPACE))


def trusted(path: Path, root: Root) -> Bundle:
    with open_bundle(path) as bundle:
        bundle.trust(root)
        return bundle


# Who signed: a builder in the bundle, approvers beside it. SECURITY.md 2.1 and 6: thresholds count distinct key bytes, and a
# key counts in its own role alone.
MATRIX = {
    # (builder threshold, approver threshold, in the bundle, beside it): what comes of it
    (1, 0, ("builder",), ()): None,
    (1, 0, (), ()): NotSigned,
    (1, 0, ("stranger",), ()): UnknownSigner,
    (1, 0, ("root",), ()): UnknownSigner,
    (1, 1, ("builder",), ()): ThresholdNotMet,
    (1, 1, ("builder",), ("alice",)): None,
    (1, 1, ("builder",), ("stranger",)): ThresholdNotMet,
    (1, 1, ("builder",), ("root",)): ThresholdNotMet,
    (1, 1, ("builder",), ("builder",)): ThresholdNotMet,
    (1, 1, ("alice",), ("bob",)): ThresholdNotMet,
    (1, 2, ("builder",), ("alice",)): ThresholdNotMet,
    (1, 2, ("builder",), ("alice", "alice")): ThresholdNotMet,
    (1, 2, ("builder",), ("alice", "bob")): None,
    (1, 2, ("builder", "alice"), ("bob",)): None,
    (2, 1, ("builder",), ("alice",)): ThresholdNotMet,
    (2, 1, ("builder", "bea"), ("alice",)): None,
}


@pytest.mark.group(6)
@pytest.mark.parametrize(("builders", "approvers", "inside", "beside"), MATRIX, ids=str)
def test_the_role_matrix(
    tmp_path: Path, builders: int, approvers: int, inside: tuple[str, ...], beside: tuple[str, ...]
) -> None:
    root = make_root(
        builder=role("builder", "bea", threshold=builders), approver=role("alice", "bob", threshold=approvers)
    )
    path = make(tmp_path / "b.tar", root, signers=inside)
    for number, who in enumerate(beside, 1):
        approve(path, who, f"approval.{number}.sig")
    error = MATRIX[builders, approvers, inside, beside]
    if error is None:
        signers = trusted(path, root).signers
        assert signers and len(signers.by_role["builder"]) >= builders and len(signers.by_role["approver"]) >= approvers
    else:
        with pytest.raises(error):
            trusted(path, root)


def test_the_matrix_has_sixteen_cases() -> None:
    assert len(MATRIX) == 16


def test_who_is_missing_is_named(tmp_path: Path) -> None:
    root = make_root(approver=role("alice", "bob", "carol", threshold=2))
    path = make(tmp_path / "b.tar", root)
    approve(path, "bob")
    with pytest.raises(ThresholdNotMet, match=r"needs 2 approvers, has 1 \(bob\), missing alice or carol"):
        trusted(path, root)


def test_a_reviewer_reads_before_the_approvers_have_signed(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", BOTH)
    with open_bundle(path) as bundle:
        bundle.trust(BOTH, required=("builder",))
        assert bundle.signers and [one.role for one in bundle.signers.shortfalls] == ["approver"]


@pytest.mark.group(17)
def test_an_approval_for_another_bundle_is_set_aside_and_says_so(tmp_path: Path) -> None:
    """SECURITY.md 17."""
    path, other = make(tmp_path / "b.tar", BOTH), make(tmp_path / "other.tar", BOTH, b"other")
    approve(path, "alice", manifest=manifest_of(other))
    with pytest.raises(ThresholdNotMet):
        trusted(path, BOTH)
    with open_bundle(path) as bundle:
        bundle.trust(BOTH, required=("builder",))
        assert [line.split(":")[0] for line in bundle.sidecars.ignored] == ["b.tar.approval.sig"]


def test_what_lies_beside_a_bundle_that_lacks_signatures_and_counts_for_nothing_is_told(tmp_path: Path) -> None:
    path, other = make(tmp_path / "b.tar", BOTH), make(tmp_path / "other.tar", BOTH, b"other")
    approve(path, "alice", manifest=manifest_of(other))
    with pytest.raises(ThresholdNotMet) as caught:
        trusted(path, BOTH)
    (line,) = caught.value.context().splitlines()
    assert line.startswith("beside it, counted for nothing: b.tar.approval.sig: the signature by ")


def test_an_approval_of_a_bundle_that_was_renamed_is_told_with_the_name_that_it_needs(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", BOTH)
    approve(path, "alice")
    renamed = path.rename(tmp_path / "b (1).tar")
    (tmp_path / "c.tar.approval.2.sig").write_bytes(b"rubbish")
    (tmp_path / "d.tar.approval.sig").mkdir()
    with pytest.raises(ThresholdNotMet) as caught:
        trusted(renamed, BOTH)
    assert caught.value.context() == (
        "beside it, counted for nothing: b.tar.approval.sig: it is over this very bundle, and counts once it is called "
        "b (1).tar.approval.sig"
    )
    with open_bundle(renamed) as bundle:
        told = take_inventory(bundle, BOTH, complete=False).ignored
    assert [f"beside it, counted for nothing: {line}" for line in told] == [caught.value.context()]
    (tmp_path / "b.tar.approval.sig").rename(tmp_path / "b (1).tar.approval.sig")
    trusted(renamed, BOTH)


@pytest.mark.group(17)
@pytest.mark.parametrize(
    "rubbish", [b"", b"rubbish", bytes(100_000), b"-----BEGIN SSH SIGNATURE-----\nAAAA\n"], ids=str
)
def test_rubbish_beside_a_bundle_stops_nothing(tmp_path: Path, rubbish: bytes) -> None:
    path = make(tmp_path / "b.tar", make_root())
    for name in ("approval.sig", "approval.json", "rejection.json", "approval.2.sig"):
        path.with_name(f"b.tar.{name}").write_bytes(rubbish[:70_000])
    path.with_name("b.tar.approval.3.sig").mkdir()
    bundle = trusted(path, make_root())
    assert len(bundle.sidecars.ignored) == 5


def test_a_hundred_strangers_stop_nothing(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", BOTH)
    manifest = manifest_of(path)
    for number in range(2, 22):
        approve(path, f"stranger {number}", f"approval.{number}.sig", manifest)
    approve(path, "alice", manifest=manifest)
    assert trusted(path, BOTH).sidecars.approvals


def test_an_unsigned_bundle_is_not_made_signed_by_approvals(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", BOTH, signers=())
    approve(path, "alice")
    with pytest.raises(ThresholdNotMet, match="needs 1 builder, has none"):
        trusted(path, BOTH)


@pytest.mark.parametrize("who", ["alice", "builder", "root"])
def test_a_refusal_by_anyone_whom_the_root_names_is_honoured(tmp_path: Path, who: str) -> None:
    path = make(tmp_path / "b.tar", BOTH)
    approve(path, "bob")
    state(path, who, REJECTED, 1_700_000_000, "a licence nobody may use")
    bundle = trusted(path, BOTH)
    with pytest.raises(BundleRejected) as caught:
        check_refusals(bundle.sidecars, BOTH)
    assert str(caught.value) == f"{who} refused this bundle at 2023-11-14T22:13:20Z: a licence nobody may use"


def renamed(path: Path, how: str) -> Path:
    """Another name for a bundle."""
    other = path.parent / {"link elsewhere": "d/today.tar"}.get(how, "b (1).tar")
    other.parent.mkdir(exist_ok=True)
    if how == "renamed":
        path.rename(other)
    elif how == "hard link":
        os.link(path, other)
    else:
        other.symlink_to(path)
    return other


@pytest.mark.group(17)
@pytest.mark.parametrize("how", ["renamed", "hard link", "link", "link elsewhere"])
def test_no_bundle_escapes_a_refusal_by_another_name_nor_what_took_it_back(tmp_path: Path, how: str) -> None:
    path = make(tmp_path / "b.tar", make_root())
    state(make(tmp_path / "other.tar", make_root(), b"other"), "root", REJECTED, 50)
    state(path, "builder", REJECTED, 100, "malware")
    for number in range(2 * MAX):
        (tmp_path / f"b.tar.rejection.{100 + number}.json").write_bytes(b"rubbish")
    other = renamed(path, how)
    with pytest.raises(BundleRejected, match="malware"):
        check_refusals(trusted(other, make_root()).sidecars, make_root())
    if how == "renamed":
        path.symlink_to(other)
    state(path, "builder", APPROVED, 200, suffix="approval.json")
    check_refusals(trusted(other, make_root()).sidecars, make_root())


@pytest.mark.group(17)
def test_a_refusal_in_a_directory_of_volumes_is_heard(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", make_root())
    state(path, "builder", REJECTED, 100, "malware")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    split(path, path.stat().st_size // 2 + 1)
    for one in tmp_path.glob("b.tar.*"):
        one.rename(tmp_path / ("a" if one.name in ("b.tar.001", "b.tar.volumes") else "b") / one.name)
    path.unlink()
    for named, other in (("a", "b"), ("b", "a")):
        with open_bundle(tmp_path / named / "b.tar", [tmp_path / other]) as bundle:
            bundle.trust(make_root())
            with pytest.raises(BundleRejected, match="malware"):
                check_refusals(bundle.sidecars, make_root())


def test_where_a_directory_cannot_be_listed_what_has_the_bundles_name_is_heard(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", make_root())
    state(path, "builder", REJECTED, 100, "malware")
    tmp_path.chmod(0o300)
    try:
        with pytest.raises(BundleRejected):
            check_refusals(trusted(path, make_root()).sidecars, make_root())
    finally:
        tmp_path.chmod(0o700)


def test_a_strangers_refusal_is_not(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", make_root())
    state(path, "stranger", REJECTED, 1)
    check_refusals(trusted(path, make_root()).sidecars, make_root())


def test_whoever_refused_takes_it_back_with_a_later_word_and_nobody_else_does(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", BOTH)
    approve(path, "bob")
    state(path, "alice", REJECTED, 100)
    state(path, "bob", APPROVED, 200, suffix="approval.json")
    with pytest.raises(BundleRejected):
        check_refusals(trusted(path, BOTH).sidecars, BOTH)
    state(path, "alice", APPROVED, 200, suffix="approval.2.json")
    check_refusals(trusted(path, BOTH).sidecars, BOTH)


def test_a_statement_about_another_bundle_says_nothing(tmp_path: Path) -> None:
    path, other = make(tmp_path / "b.tar", BOTH), make(tmp_path / "other.tar", BOTH, b"other")
    state(other, "alice", REJECTED, 1)
    for name in ("rejection.json", "rejection.json.sig"):
        other.with_name(f"other.tar.{name}").rename(path.with_name(f"b.tar.{name}"))
    approve(path, "bob")
    bundle = trusted(path, BOTH)
    check_refusals(bundle.sidecars, BOTH)
    assert "it is about another bundle" in bundle.sidecars.ignored[0]


def test_a_signature_over_a_statement_is_none_over_a_manifest(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", BOTH)
    path.with_name("b.tar.approval.sig").write_bytes(signer("alice").sign(manifest_of(path), STATEMENT_NAMESPACE))
    with pytest.raises(ThresholdNotMet):
        trusted(path, BOTH)
    assert MANIFEST_NAMESPACE != STATEMENT_NAMESPACE


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "perhaps"},
        {"at": -1},
        {"at": 10**12},
        {"note": "a\x1b[31m"},
        {"note": "\u202egnp.exe"},
        {"note": "x" * 5000},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_statement_that_cannot_be_shown_is_refused(change: dict[str, object]) -> None:
    values: dict[str, object] = {"decision": APPROVED, "at": 1, "note": "", **change}
    digest = Sha256Hex("0" * 64)
    with pytest.raises(InvalidDocument):
        Statement.parse(Statement(digest, values["decision"], values["at"], values["note"]).encode())  # type: ignore[arg-type]


def test_places_are_taken_in_order_and_run_out(tmp_path: Path) -> None:
    bundle = tmp_path / "b.tar"
    for number in range(MAX):
        paths = sidecar_paths(bundle, "approval")
        assert paths[0].name == ("b.tar.approval.sig" if number == 0 else f"b.tar.approval.{number + 1}.sig")
        paths[number % 2].touch()
    with pytest.raises(FileExistsError):
        sidecar_paths(bundle, "approval")


def test_names_that_only_look_alike_are_not_read(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", BOTH)
    for name in itertools.chain(
        ("xb.tar.approval.sig", "b.tar.approval.sig.bak", "b_tar.approval.sig", "b.tar.approval..sig")
    ):
        (tmp_path / name).write_bytes(sign_manifest(manifest_of(path), "alice"))
    with pytest.raises(ThresholdNotMet):
        trusted(path, BOTH)


def test_a_fifo_beside_a_bundle_makes_nobody_wait(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", BOTH)
    for name in ("approval.sig", "approval.json", "rejection.json"):
        os.mkfifo(tmp_path / f"b.tar.{name}")
    approve(path, "alice", "approval.2.sig")
    bundle = trusted(path, BOTH)
    assert [one.partition(":")[2] for one in bundle.sidecars.ignored] == [" it is no regular file"] * 3


@pytest.mark.parametrize("name", ["rejection.json", "rejection.2.json", "approval.json"])
def test_a_statement_that_the_system_cannot_read_may_be_a_refusal(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / "b.tar", BOTH)
    unread = tmp_path / f"b.tar.{name}"
    unread.symlink_to("/proc/self/mem")  # a regular file whose first byte nobody reads: EIO
    with pytest.raises(Unreadable) as caught:
        trusted(path, BOTH)
    assert str(caught.value) == f"cannot read {unread}: Input/output error"
    assert caught.value.hint.startswith("It may be a refusal of this bundle.")


@pytest.mark.parametrize("target", ["/nonexistent", "b.tar.rejection.json", "/proc/self/mem/below"])
def test_a_statement_that_certainly_is_none_stops_nothing(tmp_path: Path, target: str) -> None:
    path = make(tmp_path / "b.tar", BOTH)
    (tmp_path / "b.tar.rejection.json").symlink_to(target)
    approve(path, "alice", "approval.sig")
    assert len(trusted(path, BOTH).sidecars.ignored) == 1


def test_rubbish_does_not_crowd_out_what_counts(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", BOTH)
    for number in range(1000):
        (tmp_path / f"b.tar.approval.{number:03}.sig").write_bytes(b"rubbish")
    approve(path, "alice")
    state(path, "bob", REJECTED, 5)
    with pytest.raises(BundleRejected):
        check_refusals(trusted(path, BOTH).sidecars, BOTH)


def test_of_one_second_the_refusal_stands(tmp_path: Path) -> None:
    path = make(tmp_path / "b.tar", BOTH)
    approve(path, "alice")
    state(path, "alice", APPROVED, 5, suffix="approval.json")
    state(path, "alice", REJECTED, 5)
    with pytest.raises(BundleRejected):
        check_refusals(trusted(path, BOTH).sidecars, BOTH)


def test_a_refusal_with_a_character_newer_than_this_python_counts(tmp_path: Path) -> None:
    note = "no \U0001fae8 \U0001fbff"  # of Unicode 15, and of none yet: what is printable depends on the Python
    path = make(tmp_path / "b.tar", BOTH)
    approve(path, "alice")
    state(path, "bob", REJECTED, 5, note)
    with pytest.raises(BundleRejected, match=note):
        check_refusals(trusted(path, BOTH).sidecars, BOTH)

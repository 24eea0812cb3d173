"""Approving and refusing: what is written beside the bundle, by whom, and that nothing else is touched."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from mirror.core.bundle.reader import DigestMismatch, open_bundle
from mirror.core.errors import InvalidDocument, Unreadable, Unwritable
from mirror.core.signatures import sshsig
from mirror.core.trust.quorum import ThresholdNotMet
from mirror.core.trust.root import STATEMENT_NAMESPACE
from mirror.core.trust.sidecars import APPROVED, REJECTED, signed
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import REVIEW, BundleRejected, check_refusals
from mirror.review.decisions.approval import NoSay, NotHeard, decide
from mirror.review.decisions.sshkeygen import CannotSign, SshKeygen
from mirror.review.report.inventory import take_inventory
from tests.support.bundles import BundleSimulator, flip_last_byte_of
from tests.support.faults import HOUSE, needs_strace
from tests.support.keys import make_root, role, sign_root, signer, write_private_key

ROOT = make_root(approver=role("alice", "bob", threshold=2))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    simulator = BundleSimulator()
    simulator.add("meta/a.txt", b"content of a")
    simulator.root = ROOT
    return simulator.write(tmp_path / "b.tar")


def test_a_pipe_in_the_place_of_a_key_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key")
    with pytest.raises(CannotSign, match="it is no key's file"):
        SshKeygen(tmp_path / "key")


def test_two_approvers_sign_one_after_the_other_and_the_bundle_keeps_its_bytes(bundle: Path) -> None:
    before = hashlib.sha256(bundle.read_bytes()).hexdigest()
    first = decide(bundle, ROOT, APPROVED, signer("alice").sign, "read it all", 1_700_000_000)
    assert [str(one) for one in first.missing] == ["needs 2 approvers, has 1 (alice), missing bob"]
    second = decide(bundle, ROOT, APPROVED, signer("bob").sign, "", 1_700_000_001)
    assert (second.who, second.missing) == ("bob", ())
    assert sorted(path.name for path in bundle.parent.iterdir()) == [
        "b.tar",
        "b.tar.approval.2.json",
        "b.tar.approval.2.json.sig",
        "b.tar.approval.2.sig",
        "b.tar.approval.json",
        "b.tar.approval.json.sig",
        "b.tar.approval.sig",
    ]
    assert hashlib.sha256(bundle.read_bytes()).hexdigest() == before
    with open_bundle(bundle) as opened:
        inventory = take_inventory(opened, ROOT, complete=True)
    assert inventory.signers["approver"] == ("alice", "bob")
    assert [(who, said.note) for who, said in inventory.statements] == [("alice", "read it all"), ("bob", "")]


@pytest.mark.group(51)
@pytest.mark.parametrize("lacking", [[".sig"], [".sig", ".json"]])
def test_what_a_killed_run_has_left_is_gone_on_with(bundle: Path, lacking: list[str]) -> None:
    decide(bundle, ROOT, APPROVED, signer("alice").sign, "read it all", 1_700_000_000)
    for ending in lacking:  # they are written in the other order
        (bundle.parent / f"b.tar.approval{ending}").unlink()
    decide(bundle, ROOT, APPROVED, signer("alice").sign, "read it all", 1_700_000_001)
    names = [f"b.tar.approval{ending}" for ending in (".json", ".json.sig", ".sig")]
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["b.tar", *names]


@pytest.mark.group(17)
@pytest.mark.parametrize("decision", [APPROVED, REJECTED])
def test_of_those_who_decide_at_once_each_is_heard(tmp_path: Path, decision: str) -> None:
    names = tuple(f"approver{number}" for number in range(6))
    simulator = BundleSimulator()
    simulator.root = make_root(approver=role(*names, threshold=len(names)))
    path = simulator.write(tmp_path / "b.tar")
    together = threading.Barrier(len(names))

    def sign(name: str, data: bytes, namespace: str) -> bytes:
        together.wait(30)
        return signer(name).sign(data, namespace)

    with ThreadPoolExecutor(len(names)) as pool:
        made = list(pool.map(lambda name: decide(path, simulator.root, decision, partial(sign, name), name, 5), names))
    assert len({place for one in made for place in one.written}) == len(names) * (3 if decision == APPROVED else 2)
    with open_bundle(path) as opened:
        inventory = take_inventory(opened, simulator.root, complete=False)
    assert sorted(said.note for _, said in inventory.statements) == sorted(names)
    assert inventory.ignored == ()
    assert sorted(inventory.signers["approver"]) == (sorted(names) if decision == APPROVED else [])


def test_what_another_is_about_to_write_is_left_to_them(bundle: Path) -> None:
    decide(bundle, ROOT, REJECTED, signer("bob").sign, "bob", 1_700_000_000)
    statement = bundle.with_name("b.tar.rejection.json")
    later = statement.rename(statement.with_name("later"))
    decide(bundle, ROOT, REJECTED, signer("alice").sign, "alice", 1_700_000_000)
    later.rename(statement)
    with open_bundle(bundle) as opened:
        opened.trust(ROOT, required=REVIEW)
        assert sorted(one.statement.note for one in opened.sidecars.statements) == ["alice", "bob"]


@needs_strace
@pytest.mark.group(17)
def test_who_is_not_heard_is_told(bundle: Path, tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "mirror")
    store.add_root(*sign_root(ROOT, ("root",)), ROOT.fingerprint)
    key = write_private_key(tmp_path / "alice", "alice")
    slowly = ["strace", "-o", "/dev/null", "-e", "inject=rename,renameat,renameat2:delay_exit=3000000:when=1"]
    words = [sys.executable, "-m", "mirror.cli.main", "reject", str(bundle), "--key", str(key), "--note", "no"]
    environment = {"MIRROR_HOME": str(store.directory), "PATH": os.environ["PATH"]}
    with subprocess.Popen([*slowly, *words], env=environment, cwd=HOUSE, stderr=subprocess.PIPE, text=True) as process:
        statement, deadline = bundle.with_name("b.tar.rejection.json"), time.monotonic() + 60
        while not statement.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        signed(statement).write_bytes(signer("bob").sign(b"other words", STATEMENT_NAMESPACE))
        said = process.communicate()[1]
    assert process.returncode == NotHeard.exit_code
    assert f"error: {statement} was written, and is another file now: the decision does not count" in said


@pytest.mark.group(51)
def test_where_the_approval_cannot_be_written_the_words_go_too(bundle: Path) -> None:
    (bundle.parent / f".b.tar.approval.sig.{os.getpid()}.tmp").mkdir()
    with pytest.raises(Unwritable, match=r"b\.tar\.approval\.sig"):
        decide(bundle, ROOT, APPROVED, signer("alice").sign, "", 1)
    assert [path.name for path in bundle.parent.iterdir() if path.is_file()] == ["b.tar"]


def test_who_has_no_say_writes_nothing(bundle: Path) -> None:
    for who in ("stranger", "root"):
        with pytest.raises(NoSay, match="the trusted root names as builder or approver: builder"):
            decide(bundle, ROOT, APPROVED, signer(who).sign, "", 1)
    with pytest.raises(NoSay):
        decide(bundle, ROOT, REJECTED, signer("stranger").sign, "no", 1)
    assert [path.name for path in bundle.parent.iterdir()] == ["b.tar"]


def test_a_damaged_bundle_is_not_approved_but_may_be_refused(bundle: Path) -> None:
    flip_last_byte_of(bundle, b"content of a")
    with pytest.raises(DigestMismatch):
        decide(bundle, ROOT, APPROVED, signer("alice").sign, "", 1)
    decide(bundle, ROOT, REJECTED, signer("alice").sign, "damaged", 1)
    with open_bundle(bundle) as opened:
        opened.trust(ROOT, required=REVIEW)
        with pytest.raises(BundleRejected):
            check_refusals(opened.sidecars, ROOT)


def test_a_refusal_is_taken_back_by_approving(bundle: Path) -> None:
    decide(bundle, ROOT, REJECTED, signer("alice").sign, "wait", 100)
    assert decide(bundle, ROOT, APPROVED, signer("alice").sign, "well", 200).said_before == REJECTED
    with open_bundle(bundle) as opened:
        opened.trust(ROOT, required=REVIEW)
        check_refusals(opened.sidecars, ROOT)


def test_a_note_that_could_deceive_a_terminal_is_refused(bundle: Path) -> None:
    with pytest.raises(InvalidDocument):
        decide(bundle, ROOT, APPROVED, signer("alice").sign, "\x1b[2J", 1)
    assert [path.name for path in bundle.parent.iterdir()] == ["b.tar"]


def test_too_many_are_refused(bundle: Path) -> None:
    for number in range(1, 17):
        bundle.with_name("b.tar.approval.sig" if number == 1 else f"b.tar.approval.{number}.sig").touch()
    with pytest.raises(Unwritable, match=r"16 files b\.tar\.\w+\* lie beside it; remove those of earlier bundles"):
        decide(bundle, ROOT, APPROVED, signer("alice").sign, "", 1)


def test_ssh_keygen_signs_for_a_reviewer_without_our_libraries(bundle: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    sign = SshKeygen(write_private_key(keys / "alice", "alice")).sign
    assert decide(bundle, ROOT, APPROVED, sign, "", 1).who == "alice"


def test_the_command_line_of_the_help_makes_an_approval_that_counts(bundle: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    for number, who in enumerate(("alice", "bob"), 1):
        key = write_private_key(keys / who, who)
        script = f"""set -e
        tar -xOf {bundle} MANIFEST.json > {keys}/MANIFEST.json
        ssh-keygen -q -Y sign -n mirror-manifest@v1 -f {key} {keys}/MANIFEST.json
        mv {keys}/MANIFEST.json.sig {bundle}.approval.{number}.sig
        """
        subprocess.run(["sh", "-c", script], check=True, capture_output=True)
        with open_bundle(bundle) as opened:
            if who == "alice":
                with pytest.raises(ThresholdNotMet):
                    opened.trust(ROOT)
            else:
                opened.trust(ROOT)


@pytest.mark.group(17)
def test_what_is_signed_lies_in_no_file_that_others_could_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TMPDIR is shared on some clusters, without a sticky bit, and a passphrase takes its time."""
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("TMPDIR", str(shared))
    monkeypatch.setattr(tempfile, "tempdir", None)
    key = write_private_key(tmp_path / "alice", "alice")
    program = tmp_path / "ssh-keygen"
    program.write_text(f'#!/bin/sh\nls -A {shared} >{tmp_path}/seen; exec ssh-keygen "$@"\n')
    program.chmod(0o755)
    signature = SshKeygen(key, str(program)).sign(b"a manifest", "mirror-manifest@v1")
    assert sshsig.verify(b"a manifest", signature, "mirror-manifest@v1") == signer("alice").public
    assert (tmp_path / "seen").read_text() == ""


def test_without_a_signature_there_is_a_named_error(tmp_path: Path) -> None:
    key = write_private_key(tmp_path / "alice", "alice")
    with pytest.raises(CannotSign):
        SshKeygen(key, "/nonexistent/ssh-keygen").sign(b"a", "mirror-manifest@v1")
    key.write_bytes(key.read_bytes()[:80])
    with pytest.raises(CannotSign):
        SshKeygen(key).sign(b"a", "mirror-manifest@v1")


def test_what_is_no_key_is_refused_before_a_bundle_is_read(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotSign, match="it is a bundle, and no key's file") as caught:
        SshKeygen(bundle)
    assert caught.value.hint.startswith("Name your key's own file")
    with pytest.raises(Unreadable):
        SshKeygen(tmp_path / "no-such-key")
    (tmp_path / "k.pub").write_text(f"{signer('alice').public.openssh()} alice\n")
    SshKeygen(tmp_path / "k.pub")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without a name")
def test_a_user_without_a_name_is_told_what_to_do(tmp_path: Path) -> None:
    """ssh-keygen looks itself up before it signs, and a container under a bare number has nobody."""
    key = write_private_key(tmp_path / "alice", "alice")
    program = tmp_path / "ssh-keygen"
    program.write_text('#!/bin/sh\nexec setpriv --reuid 54321 --clear-groups -- ssh-keygen "$@"\n')
    program.chmod(0o755)
    with pytest.raises(CannotSign) as exc_info:
        SshKeygen(key, str(program)).sign(b"a", "mirror-manifest@v1")
    assert str(exc_info.value).endswith("No user exists for uid 54321")
    assert "sign as a user who has one" in exc_info.value.hint


@pytest.mark.parametrize("ahead", [0, 10_000_000])
def test_what_is_said_last_counts_whatever_the_clock_said_before(bundle: Path, ahead: int) -> None:
    now = 1_700_000_000
    decide(bundle, ROOT, APPROVED, signer("alice").sign, "", now + ahead)
    decide(bundle, ROOT, REJECTED, signer("alice").sign, "no", now)
    with open_bundle(bundle) as opened:
        opened.trust(ROOT, required=REVIEW)
        with pytest.raises(BundleRejected, match="no"):
            check_refusals(opened.sidecars, ROOT)
    decide(bundle, ROOT, APPROVED, signer("alice").sign, "", now)
    with open_bundle(bundle) as opened:
        opened.trust(ROOT, required=REVIEW)
        check_refusals(opened.sidecars, ROOT)


def test_a_second_builder_signs_beside_it_and_is_counted_as_one(tmp_path: Path) -> None:
    root = make_root(builder=role("builder", "bea", threshold=2), approver=role("alice", threshold=1))
    simulator = BundleSimulator()
    simulator.root = root
    simulator.add("meta/a.txt", b"content of a")
    path = simulator.write(tmp_path / "b.tar")
    with open_bundle(path) as opened, pytest.raises(ThresholdNotMet) as caught:
        opened.trust(root)
    assert "`mirror approve " in caught.value.hint and str(path) in caught.value.hint
    made = decide(path, root, APPROVED, signer("bea").sign, "built it too, the same bytes", 5)
    assert (made.who, made.role) == ("bea", "builder")
    assert [str(one) for one in made.missing] == ["needs 1 approver, has none, missing alice"]
    assert made.to_dict()["next"] == [f"mirror approve {path} --key KEY"]
    decide(path, root, APPROVED, signer("alice").sign, "", 6)
    with open_bundle(path) as opened:
        opened.trust(root)
        assert opened.signers and opened.signers.by_role == {"builder": ("bea", "builder"), "approver": ("alice",)}


def test_what_no_builder_signed_is_looked_at_by_nobody(tmp_path: Path) -> None:
    simulator = BundleSimulator()
    simulator.root, simulator.signers = ROOT, ("alice",)
    simulator.add("meta/a.txt", b"content of a")
    path = simulator.write(tmp_path / "b.tar")
    with pytest.raises(ThresholdNotMet, match="needs 1 builder, has none, missing builder"):
        decide(path, ROOT, APPROVED, signer("bob").sign, "", 1)
    assert not list(tmp_path.glob("*approval*"))

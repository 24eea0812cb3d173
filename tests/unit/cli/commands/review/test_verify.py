"""``mirror verify`` at the terminal: "ok" is said of what install would take, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.core.bundle.volumes.splitting import split
from mirror.core.trust.sidecars import APPROVED, REJECTED
from mirror.review.decisions.approval import decide
from tests.support.bundles import BundleSimulator
from tests.support.keys import make_root, role, sign_root, signer, trust_store, write_private_key

ROOT = make_root(builder=role("builder", "bea", threshold=2), approver=role("alice", threshold=1))


@pytest.fixture
def bundle(tmp_path: Path, mirror_home: Path) -> Path:
    trust_store(mirror_home, ROOT)
    simulator = BundleSimulator()
    simulator.root = ROOT
    simulator.add("meta/a.txt", b"content of a")
    return simulator.write(tmp_path / "b.tar")


def test_what_lacks_signatures_is_intact_and_not_ok(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(bundle)]) == 38
    out, err = capsys.readouterr()
    assert out.startswith(f"intact, but not ok (threshold-not-met): {bundle}: 2 files, ")
    assert "  builder:   1 of 2 signed: builder\n  approver:  0 of 1 signed: -\n" in out
    assert (
        f"  missing:   bea (builder)\n  missing:   alice (approver)\n  next:      mirror approve {bundle} --key KEY\n"
        in out
    )
    assert "needs 2 builders, has 1 (builder), missing bea; needs 1 approver, has none, missing alice" in err
    assert f"hint: Each of those who are missing signs with `mirror approve {bundle} --key KEY`" in err


def test_who_has_refused_is_not_asked_to_sign_as_if_it_were_forgotten(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decide(bundle, ROOT, REJECTED, signer("alice").sign, "wait", 100)
    assert main(["verify", str(bundle)]) == 118
    out = capsys.readouterr().out
    assert "  refused:   by alice: no signature of others makes up for it; ask them\n" in out
    assert "next:" not in out
    decide(bundle, ROOT, APPROVED, signer("alice").sign, "well", 200)
    assert main(["verify", str(bundle)]) == 38
    out = capsys.readouterr().out
    assert "  next:      mirror approve" in out and "refused:" not in out


def test_who_approves_twice_is_told(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["approve", str(bundle), "--key", str(write_private_key(tmp_path / "alice", "alice"))]
    assert main(words) == 0
    assert "before" not in capsys.readouterr().out
    assert main(words) == 0
    assert "  alice had approved it before: who counts is the same; the newest note stands\n" in capsys.readouterr().out


@pytest.mark.parametrize("approved", [False, True], ids=["of the builder alone", "approved"])
def test_what_no_builder_of_the_root_signed_is_to_be_packed_again(
    tmp_path: Path, mirror_home: Path, capsys: pytest.CaptureFixture[str], approved: bool
) -> None:
    """The builder's key was rotated: signing beside it is refused alike, so no command may send its user there."""
    before = make_root(approver=role("alice"))
    after = make_root(builder=role("bea"), approver=role("alice"), version=2)
    store = trust_store(mirror_home, before)
    simulator = BundleSimulator()
    simulator.root = before
    simulator.add("meta/a.txt", b"content of a")
    old = simulator.write(tmp_path / "b.tar")
    if approved:
        decide(old, before, APPROVED, signer("alice").sign, "", 1)
    store.add_root(*sign_root(after))
    bea = write_private_key(tmp_path / "bea", "bea")
    for words in (("verify",), ("approve", "--key", str(bea)), ("install", "--prefix", str(tmp_path / "p"))):
        assert main([words[0], str(old), *words[1:]]) == (38 if approved else 37)
        err = capsys.readouterr().err
        assert "`mirror approve` does not make up for that" in err
        assert "packs it again from the same lock, `mirror bundle NAME --key KEY`" in err
        assert "signs with" not in err
    simulator.chain, simulator.signers = (sign_root(before), sign_root(after)), ("bea",)
    simulator.write(old)
    decide(old, after, APPROVED, signer("alice").sign, "", 2)
    assert main(["verify", str(old)]) == 0


def test_what_all_have_signed_is_ok_and_what_one_refused_is_not(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for at, name in enumerate(("bea", "alice"), 1):
        decide(bundle, ROOT, APPROVED, signer(name).sign, "", at)
    assert main(["verify", str(bundle)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"ok: {bundle} is intact: 2 files, ") and "next:" not in out
    decide(bundle, ROOT, REJECTED, signer("bea").sign, "the wrong torch", 3)
    assert main(["verify", str(bundle)]) == 118
    assert capsys.readouterr().out.startswith("intact, but not ok (bundle-rejected): ")


def test_a_bundle_in_volumes_is_named_with_their_number_and_a_bad_copy_of_one(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle.parent / "a").mkdir()
    made = split(bundle, 4000, [bundle.parent / "a"])
    bundle.unlink()
    bad = bundle.parent / made.volumes[1].name
    bad.write_bytes(bytes(4000))
    main(["verify", str(bad), "--volumes", str(bundle.parent / "a")])
    out = capsys.readouterr().out
    assert f": {bundle.name}, in {len(made.volumes)} volumes: 2 files, " in out
    assert f"\nnote: {bad} is damaged, or of another file: its sha256 is " in out and "; another copy is read\n" in out
    bad.write_bytes(bytes(3))
    main(["verify", str(bad), "--volumes", str(bundle.parent / "a"), "--json"])
    told = json.loads(capsys.readouterr().out)["passed_over"]
    assert told == [f"{bad} has 3 bytes, the index says 4000; another copy is read"]


def test_after_a_refusal_no_command_counts_signatures(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bea, alice = (str(write_private_key(tmp_path / name, name)) for name in ("bea", "alice"))
    assert main(["reject", str(bundle), "--key", bea, "--note", "the wrong torch"]) == 0
    *_, last, step = capsys.readouterr().out.splitlines()
    assert last.startswith("it cannot be installed: bea refused this bundle at 20") and last.endswith(
        ": the wrong torch"
    )
    assert step == "  whoever refused takes it back with mirror approve"
    assert main(["approve", str(bundle), "--key", alice, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["refused"].startswith("bea refused") and told["next"] == []
    assert main(["approve", str(bundle), "--key", bea]) == 0
    assert capsys.readouterr().out.endswith("  approver:  1 of 1 signed: alice\n")


def test_a_policy_that_cannot_be_applied_in_full_says_what_it_could_not_judge(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[licences]\nallowed = ["MIT"]\n[vulnerabilities]\nblock = ["high"]\n[files]\nbuilt = false\n')
    assert main(["verify", str(bundle), "--policy", str(policy)]) == 124
    out = capsys.readouterr().out
    assert out.startswith("intact, but not ok (policy-facts-missing): ")
    assert "  policy:    nothing against it\n  unjudged:  it carries no meta/dossier.json, which tells licences" in out
    assert "  unjudged:  it carries no meta/vulnerabilities.json, which tells known vulnerabilities\n" in out
    main(["verify", str(bundle), "--policy", str(policy), "--json"])
    told = json.JSONDecoder().raw_decode(capsys.readouterr().out)[0]
    assert told["breaches"] == [] and len(told["not_judged"]) == 2

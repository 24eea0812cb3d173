"""The report as data: who signed, what stands, what is known; and the command that writes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.connected.packing.installer import write_installer
from mirror.core.advisories.known import PATH as ADVISORIES
from mirror.core.advisories.known import Advisories, Finding, Source
from mirror.core.bundle.reader import DigestMismatch, open_bundle
from mirror.core.errors import InvalidDocument
from mirror.core.trust.quorum import UnknownSigner
from mirror.core.trust.sidecars import APPROVED, REJECTED
from mirror.review.decisions.approval import decide
from mirror.review.questions.judgement import Judgement
from mirror.review.report.report import APPROVED as IS_APPROVED
from mirror.review.report.report import MAX_LOG_BYTES, REFUSED, UNASKED, WAITING
from tests.e2e.conftest import find_python
from tests.support.bundles import flip_last_byte_of
from tests.support.keys import make_root, role, sign_manifest, signer
from tests.support.reports import ROOT, Case, found, report_of

A = "wheels/a-1-py3-none-any.whl"
BUILT = "wheels/b-1-py3-none-any.whl"
LOG = "meta/build-b.log"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = Case(tmp_path)
    case.add(A, b"the bytes of a")
    return case


def approve(bundle: Path, name: str, decision: str = APPROVED, note: str = "", now: float = 1.0) -> None:
    decide(bundle, ROOT, decision, signer(name).sign, note, now)


def test_a_bundle_that_nobody_approved_is_reported_and_says_so(case: Case) -> None:
    report = case.report()
    assert report.standing == WAITING
    assert [(one.role, one.name, one.signed) for one in report.signatories()] == [
        ("builder", "builder", True),
        ("approver", "alice", False),
        ("approver", "bob", False),
    ]
    assert all(one.fingerprint.startswith("SHA256:") for one in report.signatories())


def test_one_of_two_approvals_still_waits_and_two_do_not(case: Case) -> None:
    bundle = case.write()
    approve(bundle, "alice")
    assert report_of(bundle).standing == WAITING
    approve(bundle, "bob")
    report = report_of(bundle)
    assert report.standing == IS_APPROVED
    assert [one.signed for one in report.signatories()] == [True, True, True]


def test_a_refusal_stands_above_every_approval(case: Case) -> None:
    bundle = case.write()
    approve(bundle, "alice", now=1)
    approve(bundle, "bob", now=1)
    approve(bundle, "alice", REJECTED, "torch is not ours", now=2)
    report = report_of(bundle)
    assert report.standing == REFUSED
    assert report.to_dict()["refusal"] == {"who": "alice", "at": 2, "note": "torch is not ours"}


def test_a_root_without_approvers_asks_nobody(tmp_path: Path) -> None:
    case = Case(tmp_path, make_root())
    case.add(A)
    assert case.report().standing == UNASKED


def test_a_bundle_that_no_builder_signed_is_not_reported(case: Case) -> None:
    case.simulator.signers = ("stranger",)
    with pytest.raises(UnknownSigner):
        case.report()


@pytest.mark.group(1)
def test_a_bundle_with_one_flipped_bit_is_not_reported(case: Case) -> None:
    bundle = case.write()
    flip_last_byte_of(bundle, b"the bytes of a")
    with pytest.raises(DigestMismatch):
        report_of(bundle)


def test_a_dossier_that_cannot_be_read_is_not_passed_over(case: Case) -> None:
    case.has_dossier = False
    case.simulator.add("meta/dossier.json", b"{}")
    with pytest.raises(InvalidDocument, match="Dossier"):
        case.report()


def test_a_bundle_of_an_older_mirror_is_reported_by_its_manifest(case: Case) -> None:
    case.has_dossier = False
    case.add(BUILT, origin="built")
    case.simulator.add(LOG, b"$ build_wheel\n")
    report = case.report()
    assert report.dossier is None and [row.facts for row in report.rows] == [None, None]
    assert report.logs == {LOG: "$ build_wheel\n"}
    assert report.to_dict()["dossier"] is False


def test_a_log_that_is_not_there_is_not_pointed_to(case: Case) -> None:
    case.add(BUILT, origin="built", built=LOG)
    report = case.report()
    assert report.rows[1].log == "" and report.logs == {}


def test_a_long_log_is_cut_in_its_middle_and_says_so(case: Case) -> None:
    case.add(BUILT, origin="built", built=LOG)
    log = b"begin " + b"x" * MAX_LOG_BYTES + b" end\r\nlast"
    case.simulator.add(LOG, log)
    shown = case.report().logs[LOG]
    assert shown.startswith("begin xxx") and shown.endswith("xxx end\nlast")
    assert f"[{len(log) - MAX_LOG_BYTES} bytes left out here; all of it: tar -xOf demo.tar {LOG}]" in shown
    assert len(shown) < MAX_LOG_BYTES + 200


def test_a_log_that_just_fits_is_whole(case: Case) -> None:
    case.add(BUILT, origin="built", built=LOG)
    case.simulator.add(LOG, b"x" * MAX_LOG_BYTES)
    assert case.report().logs[LOG] == "x" * MAX_LOG_BYTES


def test_licence_texts_are_shown_whatever_their_bytes(case: Case) -> None:
    case.simulator.add("meta/licences.txt", b"\xff text")
    assert case.report().licences == "\ufffd text"


def test_the_vulnerabilities_that_it_carries_are_told_and_newer_ones_take_their_place(case: Case) -> None:
    source = Source("dump", "all.zip", date="2026-11-20T08:00:00Z")
    case.simulator.add(ADVISORIES, Advisories(source, (A,), findings=(Finding(A, "a", "1", "CVE-2026-1"),)).encode())
    report = case.report()
    assert found(report) == {"vulnerable": [A]}
    assert report.to_dict()["advisories"]["source"]["date"] == "2026-11-20T08:00:00Z"
    newer = Judgement(Advisories(source, (A,)))
    assert found(case.report(judgement=newer)) == {}


def test_each_row_knows_which_questions_it_answers(case: Case) -> None:
    case.add(BUILT, origin="built", native=1)
    assert [row.questions for row in case.report().rows] == [(), ("built-here", "native")]


def test_the_recipes_and_commands_are_of_this_bundle_and_root(case: Case) -> None:
    report = case.report()
    assert set(report.recipes) == {"ssh-keygen", "openssl"}
    assert all("demo.tar" in recipe and ROOT.fingerprint in recipe for recipe in report.recipes.values())
    assert report.inventory.manifest_sha256 in report.commands.reject_by_hand


def test_it_is_told_to_machines_as_plain_data(case: Case) -> None:
    document = case.report().to_dict()
    assert document["inventory"]["name"] == "demo" and document["since"] is None
    assert json.loads(json.dumps(document)) == document
    assert document["artifacts"][0]["why"] == {"kind": "asked", "path": ["a"], "words": "a"}
    assert document["artifacts"][0]["facts"]["licence"] == "MIT"
    assert [one["path"] for one in document["documents"]] == ["meta/dossier.json", "meta/install.txt"]


def test_what_changed_is_told_with_who_approved_the_earlier_one(case: Case, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    old = Case(tmp_path / "old", sequence=1_780_000_000)
    old.add("wheels/a-0-py3-none-any.whl")
    since = old.contents()
    told = case.report(since).to_dict()["since"]
    assert (told["file"], told["approved_by"]) == ("old.tar", [])
    assert told["changes"]["updated"][0]["new"]["version"] == "1"


def test_a_signature_of_a_former_approver_is_not_counted(case: Case) -> None:
    bundle = case.write()
    with open_bundle(bundle) as opened:
        block = sign_manifest(opened.manifest_bytes, "carol")
    bundle.with_name("demo.tar.approval.sig").write_bytes(block)
    report = report_of(bundle)
    assert report.standing == WAITING and "is not named by the root" in report.inventory.ignored[0]


# The command.


@pytest.fixture
def written(case: Case, mirror_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    case.simulator.store(mirror_home)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return case.write()


def test_the_page_is_written_here_and_the_words_say_what_to_look_at(
    case: Case, written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(written)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("demo, locked 2026-09-21T")
    assert ": not all have signed: still to sign alice and bob (approver)\n" in out
    assert "not looked for: Same version, other bytes" in out and out.endswith("wrote demo.tar.report.html\n")
    assert Path("demo.tar.report.html").read_text().startswith("<!doctype html>")


def test_a_refused_bundle_is_reported_with_exit_code_0(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    approve(written, "alice", REJECTED, "no")
    assert main(["report", str(written), "-o", "r.html"]) == 0
    assert ": REFUSED by alice\n" in capsys.readouterr().out


def test_json_is_printed_alone_and_a_page_only_when_asked_for(
    written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(written), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["standing"] == WAITING
    assert list(Path().iterdir()) == []
    assert main(["report", str(written), "--json", "-o", "r.html"]) == 0
    assert Path("r.html").exists()


def test_the_earlier_bundle_may_be_a_manifest(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_bundle(written) as opened:
        Path("MANIFEST.json").write_bytes(opened.manifest_bytes)
    assert main(["report", str(written), "--since", "MANIFEST.json", "--json"]) == 0
    since = json.loads(capsys.readouterr().out)["since"]
    assert since["approved_by"] is None and since["changes"]["same"] == 1


def test_an_earlier_bundle_of_another_stack_is_told_with_both_names(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    other = Case(tmp_path / "other")
    other.simulator.name = "other"
    other.add("wheels/a-1-py3-none-any.whl")
    since = other.write("other.tar")
    assert main(["report", str(written), "--since", str(since), "-o", "r.html"]) == 0
    told = "these are two stacks, and not one: other before, demo now"
    assert told in capsys.readouterr().out
    assert told in Path("r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("output", [".", "missing/r.html", "BUNDLE"])
def test_a_place_that_cannot_be_written_is_refused_before_the_long_pass(
    written: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = written.read_bytes()
    assert main(["report", str(written), "-o", str(written) if output == "BUNDLE" else output]) == 10
    assert "ref: unwritable" in capsys.readouterr().err and written.read_bytes() == before


def test_a_page_may_be_written_again(written: Path) -> None:
    for _ in range(2):
        assert main(["report", str(written), "-o", "r.html"]) == 0


def test_the_root_may_ask_for_one_approver_only(tmp_path: Path) -> None:
    root = make_root(approver=role("alice"))
    case = Case(tmp_path, root)
    case.add(A)
    bundle = case.write()
    assert report_of(bundle, root).standing == WAITING
    decide(bundle, root, APPROVED, signer("alice").sign, "", 1.0)
    assert report_of(bundle, root).standing == IS_APPROVED


def test_a_policy_is_shown_and_refuses_nothing(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("policy.toml").write_text('[licences]\nallowed = ["Apache-2.0"]\n')
    assert main(["report", str(written), "--policy", "policy.toml", "-o", "r.html"]) == 0
    assert "1  decide  Against the policy\n" in capsys.readouterr().out
    assert "policy.toml on 20" in Path("r.html").read_text()


def test_a_newer_dump_takes_the_place_of_what_the_bundle_knows(
    written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("dump").mkdir()
    affected = {"package": {"ecosystem": "PyPI", "name": "a"}, "versions": ["1"]}
    record = {"id": "CVE-2026-9", "modified": "2026-11-20T08:00:00Z", "affected": [affected]}
    Path("dump/record.json").write_text(json.dumps(record))
    assert main(["report", str(written), "--osv", "dump", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [question["key"] for question in told["questions"] if question["findings"]] == ["vulnerable"]
    assert told["advisories"]["source"]["date"] == "2026-11-20T08:00:00Z"


def test_the_installer_writes_the_same_page_on_the_oldest_python(
    written: Path, mirror_home: Path, tmp_path: Path
) -> None:
    python = find_python("3.9")
    if python is None:
        pytest.skip("no Python 3.9 on this machine")
    write_installer(tmp_path / "mirror.pyz")
    for interpreter, page in ((python, "oldest.html"), (sys.executable, "ours.html")):
        done = subprocess.run(
            [interpreter, "-I", str(tmp_path / "mirror.pyz"), "report", str(written), "-o", page],
            env={**os.environ, "MIRROR_HOME": str(mirror_home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert Path("oldest.html").read_bytes() == Path("ours.html").read_bytes()
    assert (
        b"python3 -I mirror.pyz approve" in Path("ours.html").read_bytes()
    )  # whoever reads it has another interpreter

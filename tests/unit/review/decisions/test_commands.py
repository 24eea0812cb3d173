"""The commands in a report do what they say: they are run here, with sh."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mirror.core.bundle.reader import open_bundle
from mirror.core.trust.quorum import ThresholdNotMet
from mirror.core.trust.verdict import REVIEW, BundleRejected, check_refusals
from mirror.review.decisions.commands import Commands, commands
from tests.support.keys import write_private_key
from tests.support.reports import ROOT, Case


def commands_for(bundle: Path) -> Commands:
    with open_bundle(bundle) as opened:
        return commands(bundle, opened.digest)


def run(line: str, directory: Path, key: Path) -> None:
    done = subprocess.run(
        ["sh", "-euc", line.replace("KEY", str(key))], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(params=["demo.tar", "a b'c %s.tar", "-v.tar"])
def bundle(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (tmp_path / "desk").mkdir()
    return Case(tmp_path / "desk").write(request.param)


def test_two_approvers_approve_by_hand(bundle: Path, tmp_path: Path) -> None:
    for name in ("alice", "bob"):
        with open_bundle(bundle) as opened, pytest.raises(ThresholdNotMet):
            opened.trust(ROOT)
        run(commands_for(bundle).approve_by_hand, bundle.parent, write_private_key(tmp_path / name, name))
    with open_bundle(bundle) as opened:
        opened.trust(ROOT)
        assert opened.signers is not None and opened.signers.by_role["approver"] == ("alice", "bob")
        assert not opened.sidecars.ignored


def test_a_refusal_by_hand_is_honoured(bundle: Path, tmp_path: Path) -> None:
    run(commands_for(bundle).reject_by_hand, bundle.parent, write_private_key(tmp_path / "alice", "alice"))
    with open_bundle(bundle) as opened:
        opened.trust(ROOT, required=REVIEW)
        with pytest.raises(BundleRejected, match=r"alice refused this bundle at .*: WHY NOT"):
            check_refusals(opened.sidecars, ROOT)


@pytest.mark.parametrize(
    "note",
    [
        'it says "no"',
        "a\\b \\n \\\\",
        "it's 100 % $HOME `id`",
        "first\n\nthird, with a blank line before",
        "{}[],: \u2713",
    ],
)
def test_a_note_may_hold_whatever_people_write(tmp_path: Path, note: str) -> None:
    bundle = Case(tmp_path).write()
    lines = commands_for(bundle).reject_by_hand.replace("WHY NOT", note)
    run(lines, tmp_path, write_private_key(tmp_path / "alice", "alice"))
    with open_bundle(bundle) as opened:
        opened.trust(ROOT, required=REVIEW)
        assert [one.statement.note for one in opened.sidecars.statements] == [note]
        assert not opened.sidecars.ignored


def test_what_lies_there_already_keeps_its_name(tmp_path: Path) -> None:
    bundle = Case(tmp_path).write()
    bundle.with_name("demo.tar.approval.sig").write_text("x")
    bundle.with_name("demo.tar.rejection.json").write_text("x")
    found = commands_for(bundle)
    assert found.approve_by_hand.endswith(" demo.tar.approval.2.sig")
    assert found.reject_by_hand.endswith(" demo.tar.rejection.2.json")


def test_where_no_name_is_left_the_first_one_is_told(tmp_path: Path) -> None:
    bundle = Case(tmp_path).write()
    for number in range(1, 17):
        bundle.with_name(f"demo.tar.approval{f'.{number}' if number > 1 else ''}.sig").write_text("x")
    assert commands_for(bundle).approve_by_hand.endswith(" demo.tar.approval.sig")


def test_with_mirror_only_the_key_and_the_words_are_left_to_fill_in(tmp_path: Path) -> None:
    found = commands_for(Case(tmp_path).write())
    assert found.verify == "mirror verify demo.tar"
    assert found.approve == "mirror approve demo.tar --key KEY --note 'WHAT YOU READ'"
    assert found.reject == "mirror reject demo.tar --key KEY --note 'WHY NOT'"

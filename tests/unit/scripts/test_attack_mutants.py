"""``scripts/attack mutants``: a sample of it finds nothing, and what would be a fault is found."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.core.bundle.reader import Bundle as Opened
from mirror.core.signatures import ed25519
from scripts.attack_jobs import mutants
from scripts.attack_jobs.mutants import CHANGES, Bundle, Judge, changes, flips, mutant, summary


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.make(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def judge(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    for name in ("verify", "is_usable_key"):  # most changes leave what is signed, and by whom, as it is
        monkeypatch.setattr(ed25519, name, functools.lru_cache(None)(getattr(ed25519, name)))
    with Judge(bundle) as made:
        assert made.verdict(bundle.data) == ""
        yield made


@pytest.mark.group(1)
def test_of_flipped_bytes_none_is_accepted(bundle: Bundle, judge: Judge) -> None:
    tally = flips(judge, range(0, len(bundle.data), 97))
    assert (tally.found, tally.made) == ([], 3 * len(range(0, len(bundle.data), 97)))


@pytest.mark.group(2, 3, 4, 19)
def test_of_changed_structures_none_is_accepted(bundle: Bundle, judge: Judge) -> None:
    tally = changes(judge, bundle, range(1500))
    assert tally.found == []
    assert set(tally.changes) == {change.__name__ for change in CHANGES}
    assert tally.made + tally.same == 1500


def test_a_change_is_made_of_its_number_alone(bundle: Bundle, tmp_path: Path) -> None:
    assert Bundle.make(tmp_path) == bundle
    assert mutant(bundle, 12) == mutant(bundle, 12) != mutant(bundle, 13)


def test_a_reader_that_looks_at_no_digest_is_found(
    bundle: Bundle, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Opened, "_check", lambda *_: None)
    at = bundle.members[-2] + 512
    tally = flips(judge, [at])
    assert tally.found == [f"flip: accepted; again: byte {at} ^ {mask:#04x}" for mask in mutants.MASKS]
    assert f"accepted, or ended otherwise: {len(tally.found)}" in summary(bundle, tally)


def test_an_error_without_a_name_is_found(bundle: Bundle, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashlib, "sha256", None)
    (found, *_) = flips(judge, [bundle.members[-1] - 1]).found
    assert found.startswith("flip: escaped: TypeError: ")

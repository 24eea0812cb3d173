from __future__ import annotations

import pytest

from mirror.core.words import bundle_words, did_you_mean, meant


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("bundel", ("bundle", "lock"), "bundle"),
        ("H100", ("h100", "h200"), "h100"),
        ("rpm_repo", ("rpm-repo",), "rpm-repo"),
        ("repo", ("repository", "packages"), "repository"),
        ("nothing-like-it", ("bundle", "lock"), ""),
        ("x", (), ""),
    ],
)
def test_the_closest_word_is_meant(word: str, known: tuple[str, ...], near: str) -> None:
    assert meant(word, known) == near
    assert did_you_mean(word, known) == (f"; did you mean {near}?" if near else "")


def test_a_sequence_number_is_said_with_the_day_that_it_means() -> None:
    assert bundle_words("h100", 1795913445) == "h100 1795913445 (locked 2026-11-29)"

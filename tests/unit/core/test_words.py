from __future__ import annotations

import pytest

from mirror.core.words import did_you_mean, meant


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

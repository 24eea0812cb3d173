"""mirror.core.logs.vocabulary: what it leaves out stands nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.core.logs import vocabulary
from mirror.core.logs.explained.ending import Ending
from mirror.core.logs.suspects import Suspects
from mirror.core.logs.symptoms import CONSEQUENCES, SYMPTOMS
from mirror.core.logs.vocabulary import Vocabulary

TEXTS = tuple(
    dict.fromkeys(
        (
            *(fragment for symptom in (*SYMPTOMS, *CONSEQUENCES) for fragment in symptom.fragments),
            *Ending.WORDS,
            *Suspects.WORDS,
        )
    )
)
BETWEEN = ("", " ", "\n", "\t", "\u00a0", "\u2028", "x", "/", "'", "7 ")


@given(st.lists(st.lists(st.sampled_from((*TEXTS, *BETWEEN)), max_size=12).map("".join), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_every_text_that_stands_in_a_block_is_named(blocks: list[str]) -> None:
    one = Vocabulary(TEXTS)
    for block in blocks:
        assert one.held(block) >= {text for text in TEXTS if text in block}


def test_a_text_alone_is_named_with_few_others() -> None:
    one = Vocabulary(TEXTS)
    for text in TEXTS:
        held = one.held(f"a calm line\n{text}\n")
        assert text in held
        assert len(held) < len(TEXTS) / 4


def test_a_calm_block_holds_none() -> None:
    assert Vocabulary(TEXTS).held("(APIServer pid=7) INFO 11-28 08:00:01 [api.py:259] 12.5 tokens/s\n" * 9) == set()


def test_what_is_forgotten_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "_MOST_CHARACTERS", 20)
    one = Vocabulary(("no space left", "refused"))
    for _ in range(3):
        assert one.held("no space left on /tmp") == {"no space left"}
        assert one.held("many other words that are remembered, connection refused") == {"refused"}

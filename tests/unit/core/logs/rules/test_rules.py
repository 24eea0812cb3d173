"""General rules: the first that fits a line is told, with what the line names; what it does not name leaves no gap."""

from __future__ import annotations

import re
import string

import pytest

from mirror.core.logs.layers import LAYERS, MAY_BE
from mirror.core.logs.rules import RULES, judge
from mirror.core.logs.rules.rule import Rule

PLAIN = Rule(
    "library-missing",
    LAYERS[0],
    (r"cannot open (?P<library>\S+)",),
    "a library is not found: {library}",
    "it is not carried",
    "ls {library}",
    "mirror which {library}",
    is_certain=False,
)


def test_each_rule_has_a_name_of_its_own_and_a_layer_that_there_is() -> None:
    causes = [rule.cause for rule in RULES]
    assert len(causes) == len(set(causes)) > 40
    assert {rule.layer for rule in RULES} <= set(LAYERS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.cause)
def test_a_rule_names_only_what_one_of_its_words_finds(rule: Rule) -> None:
    asked = {
        name for text in (rule.what, rule.why, rule.check, rule.fix) for _, name, _, _ in string.Formatter().parse(text)
    }
    assert {name for name in asked if name and f"(?P<{name}>" not in "".join(rule.words)} == set()


PLAIN_WORDS = [
    (word, rule.cause) for rule in RULES for word in rule.words if re.fullmatch(r"[\w ,:;'/-]+", word, re.ASCII)
]
"""Words that are read as they stand, with the rule that knows them."""


@pytest.mark.parametrize(("word", "cause"), PLAIN_WORDS)
def test_no_rule_hides_another_ones_words(word: str, cause: str) -> None:
    """A kernel's "an illegal instruction was encountered" was once told as a fault of the processor."""
    judged = judge(word)
    assert judged is not None
    assert judged[0].cause == cause


def test_the_first_rule_that_fits_is_told_with_what_the_line_names() -> None:
    judged = judge("ValueError: User-specified max_model_len (131072) is greater than the derived max_model_len")
    assert judged is not None
    rule, groups = judged
    assert (rule.cause, dict(groups)) == ("context-too-long", {"wanted": "131072"})
    assert rule.finding(groups, "line 3").what.endswith(": 131072 tokens")


def test_a_line_that_says_nothing_of_the_kind_fits_none() -> None:
    assert judge("INFO: Application startup complete.") is None


def test_what_a_line_names_is_quoted_where_it_is_typed() -> None:
    found = PLAIN.finding({"library": "lib a.so"}, "line 1")
    assert (found.what, found.fix) == ("a library is not found: lib a.so", "mirror which 'lib a.so'")
    assert found.proof == "line 1\nto be sure: ls 'lib a.so'"
    assert (found.key, found.about, found.certainty) == ("library-missing", "lib a.so", MAY_BE)


def test_what_a_line_does_not_name_leaves_no_gap() -> None:
    found = PLAIN.finding({"library": ""}, "line 1")
    assert (found.what, found.fix) == ("a library is not found", "mirror which it")

"""Near misses: what may have been meant by a word that is not known.

One rule for commands, options, keys of a TOML file, stacks and projects. What is known, and what becomes of the word, is the
caller's business.

Rules: only what is close is offered, and nothing is ever taken in a word's place.

Example::

    >>> meant("bundel", ["bundle", "lock"])
    'bundle'
    >>> did_you_mean("h10", ["h100", "quickstart"])
    '; did you mean h100?'
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_CLOSE = 0.6
_SHORTEST = 3
"""Letters of a word that may stand for the beginning of another."""


def meant(word: str, known: Iterable[str]) -> str:
    """The known word that is closest, or begins so, whatever its case and its dashes; empty when there is none."""
    plain = {_plain(other): other for other in sorted(known, reverse=True)}
    wanted = _plain(word)
    found = difflib.get_close_matches(wanted, plain, n=1, cutoff=_CLOSE)
    found = found or [other for other in plain if len(wanted) >= _SHORTEST and other.startswith(wanted)]
    return plain[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that refuses a word: a question, or nothing when no known word is close."""
    near = meant(word, known)
    return f"; did you mean {near}?" if near else ""


def near(word: str, known: Iterable[str]) -> str:
    """The beginning of a hint: what was probably meant, as a question, or nothing."""
    found = meant(word, known)
    return f"Did you mean {found}? " if found else ""


def _plain(word: str) -> str:
    return word.lower().replace("_", "-")

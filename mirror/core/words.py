"""Words for people: sizes, counts, times and digits the same wherever one reads them, and what may have been meant by a word
not known.

One rule of near misses for commands, options, keys of a TOML file, stacks and projects. The caller knows which
words there are, and decides what becomes of one that is not known.

Rules: only what is close is offered, and nothing is ever taken in a word's place.

Example::

    >>> human_bytes(1536)
    '1.5 KiB'
    >>> grouped("610c7b14e068")
    '610c 7b14 e068'
    >>> meant("bundel", ["bundle", "lock"])
    'bundle'
    >>> did_you_mean("h10", ["h100", "quickstart"])
    '; did you mean h100?'
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterable

MAX_TIME = 253_402_300_799
"""9999-12-31T23:59:59Z: later times have no four-digit year."""
_CLOSE = 0.6
_SHORTEST = 3
"""Letters of a word that may stand for the beginning of another."""


def human_bytes(size: float) -> str:
    """Bytes in the largest unit that leaves at least one before the point."""
    for unit in ("B", "KiB", "MiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.2f} GiB"


def counted(count: int, one: str, many: str = "") -> str:
    """``"1 file"``, ``"2 files"``; ``many`` where an s is not all that differs."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def utc(seconds: int) -> str:
    """A time of a signed document: ``2026-11-21T01:50:00Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(seconds, MAX_TIME)))


def bundle_words(name: str, sequence: int, *more: str) -> str:
    """A bundle by its stack and its sequence number, and what that is: ``h100 1795913445 (locked 2026-11-29)``."""
    return f"{name} {sequence} ({', '.join((f'locked {utc(sequence)[:10]}', *more))})"


def grouped(digits: str) -> str:
    """Hex digits in groups of four, for reading aloud; other words as they are."""
    if not re.fullmatch("[0-9A-Fa-f]+", digits, re.ASCII):
        return digits
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


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

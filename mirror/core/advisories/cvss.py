"""CVSS: from a vector's text to the base score of version 3, and from a score to its word.

Version 4 has no formula but a table of 270 classes; its vectors are not scored here: the words of those who publish them are
taken instead (``mirror.core.advisories.record``).

Rules: the base metrics only, for the others depend on time and place; a vector that breaks its form has no score, and is
never scored in part.

Example::

    base_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")      # 98, in tenths
    severity_of(98)                                                 # "critical"
"""

from __future__ import annotations

import re
from typing import Optional

from mirror.core.names import one_of

SEVERITIES = ("critical", "high", "medium", "low", "none", "unknown")
"""Worst first; what nobody rated is last, and is no better for it."""

severity = one_of(SEVERITIES)
"""Check a word of them."""

_VECTOR = re.compile(r"CVSS:3\.[01](?:/[A-Z]{1,3}:[A-Z]){8,22}", re.ASCII)
_WEIGHTS = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "UI": {"N": 0.85, "R": 0.62},
    "S": {"U": 0.0, "C": 1.0},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES_CHANGED = {"N": 0.85, "L": 0.68, "H": 0.5}
_BANDS = ((90, "critical"), (70, "high"), (40, "medium"), (1, "low"), (0, "none"))


def base_score(vector: str) -> Optional[int]:
    """The base score of a CVSS 3.0 or 3.1 vector in tenths, 0 to 100; None for what is no such vector."""
    if not _VECTOR.fullmatch(vector):
        return None
    parts = vector.split("/")[1:]
    metrics = dict(part.split(":") for part in parts)
    if len(metrics) != len(parts) or any(metrics.get(key) not in values for key, values in _WEIGHTS.items()):
        return None
    weight = {key: values[metrics[key]] for key, values in _WEIGHTS.items()}
    changed = metrics["S"] == "C"
    if changed:
        weight["PR"] = _PRIVILEGES_CHANGED[metrics["PR"]]
    # CVSS 3.1 specification, section 7.1; 3.0 has the same formulas.
    left = 1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"])
    impact = 7.52 * (left - 0.029) - 3.25 * (left - 0.02) ** 15 if changed else 6.42 * left
    if impact <= 0:
        return 0
    exploitability = 8.22 * weight["AV"] * weight["AC"] * weight["PR"] * weight["UI"]
    return _round_up(min((impact + exploitability) * (1.08 if changed else 1.0), 10.0))


def _round_up(score: float) -> int:
    """Up to the next tenth, as appendix A of the 3.1 specification writes it so that no machine's arithmetic matters."""
    whole = round(score * 100_000)
    return whole // 10_000 + (whole % 10_000 != 0)


def severity_of(tenths: int) -> str:
    """The word for a score (CVSS 3.1, section 5)."""
    return next(word for floor, word in _BANDS if tenths >= floor)


def worst(*severities: str) -> str:
    """The worst of some words of ``SEVERITIES``; ``"unknown"`` for none."""
    return min(severities, key=SEVERITIES.index, default="unknown")

"""General rules: what a line says by its form, for every library, symbol, path and host, and not for one text alone.

``mirror.core.logs.symptoms`` has the texts whose cause is known; where none of them ended a program, these say at least which
layer failed and what it lacked. They are read over the few lines of an end (``mirror.core.logs.explained.ending``), not over
a whole log.

``rule`` is what each is made of; they are of:

1. ``loading``: libraries and symbols.
2. ``machine``: driver, GPU, disks, memory, limits, peers.
3. ``models``: their files, code and description, vocabularies.
4. ``building``: compilers, linkers, caches, installers.
5. ``outside``: settings, the network, packages that do not go together.

Rules: the first rule that fits the first line that any fits is told, so the order is from special to general; a rule whose
words allow another explanation says so (of all its words, or of some of them), and its check tells them apart; what a
line names is quoted in commands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Optional

from mirror.core.logs.rules.building import RULES as BUILDING
from mirror.core.logs.rules.loading import RULES as LOADING
from mirror.core.logs.rules.machine import RULES as MACHINE
from mirror.core.logs.rules.models import RULES as MODELS
from mirror.core.logs.rules.outside import RULES as OUTSIDE
from mirror.core.logs.rules.rule import Rule

RULES = (*LOADING, *MACHINE, *MODELS, *BUILDING, *OUTSIDE)
"""In the order in which they are asked."""


def judge(message: str) -> Optional[tuple[Rule, Mapping[str, str]]]:
    """The first rule that fits a line, and what its named groups found; None for none."""
    for rule, patterns in _patterns():
        for pattern in patterns:
            found = pattern.search(message)
            if found:
                return rule, {name: value or "" for name, value in found.groupdict().items()}
    return None


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[Rule, tuple[re.Pattern[str], ...]], ...]:
    found = []
    for rule in RULES:
        found.append((rule, tuple(map(re.compile, rule.words))))
        if rule.may_be:
            found.append((replace(rule, is_certain=False), tuple(map(re.compile, rule.may_be))))
    return tuple(found)

"""A general rule: what a line says by its form, for every library, symbol, path and host, and not for one text alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mirror.core.logs.finding import PROBLEM, Finding
from mirror.core.logs.layers import MAY_BE


@dataclass(frozen=True)
class Rule:
    """One rule. Texts may hold the names of groups; ``": {name}"`` goes where that group found nothing.

    Attributes:
        cause: its name, in one word with dashes.
        layer: one of ``mirror.core.logs.layers.LAYERS``.
        words: regular expressions; one of them is found in a line without its prefixes. Their named groups count.
        what: what happened, in one sentence.
        why: the likely reason.
        check: a command that decides whether it is so.
        fix: the next step.
        may_be: more of them, that other causes have too; found by one of these, the rule is not certain.
        is_certain: whether the words allow one explanation only.
    """

    cause: str
    layer: str
    words: tuple[str, ...]
    what: str
    why: str
    check: str
    fix: str
    may_be: tuple[str, ...] = ()
    is_certain: bool = True

    def finding(self, groups: Mapping[str, str], proof: str) -> Finding:
        """The rule as a finding; ``proof`` is where it was seen."""
        typed = {name: value and shlex.quote(value) for name, value in groups.items()}
        check = f"\nto be sure: {_filled(self.check, typed)}" if self.check else ""
        return Finding(
            PROBLEM,
            self.layer,
            _filled(self.what, groups),
            _filled(self.why, groups),
            f"{proof}{check}",
            _filled(self.fix, typed),
            key=self.cause,
            about=next((value for value in groups.values() if value), ""),
            layer=self.layer,
            certainty="" if self.is_certain else MAY_BE,
        )


def _filled(text: str, groups: Mapping[str, str]) -> str:
    """The text with what the groups found, and without what they did not."""

    def found(match: re.Match[str]) -> str:
        value = groups.get(match["name"], "")
        return f"{match['before'] or ''}{value}" if value else "" if match["before"] else "it"

    return _PLACE.sub(found, text)


DAMAGED = (
    r"(?:file too short|invalid ELF header|cannot read file data|ELF load command|wrong ELF class|ELF file\b|"
    r"cannot dynamically load|nonrepresentable section|only ET_DYN)"
)
"""What ld.so says of a file that is there, and is not whole or no library for this machine."""

_PLACE = re.compile(r"(?P<before>: )?\{(?P<name>[a-z]+)\}")

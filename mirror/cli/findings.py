"""What the doctor found, for people.

Example::

    print("\\n".join(told(finding, sys.stdout)))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO

from mirror.cli.caller import spoken
from mirror.cli.terminal import BAD, FAINT, paint
from mirror.cli.terminal import GOOD as GREEN
from mirror.cli.terminal import WARNING as YELLOW
from mirror.core.logs.explained.explanation import Explanation
from mirror.core.logs.finding import GOOD, PROBLEM, WARNING, Finding

_STYLES = {PROBLEM: BAD, WARNING: YELLOW, GOOD: GREEN}


def told(finding: Finding, stream: TextIO) -> Iterator[str]:
    """A finding's lines: what, why, seen, do; painted where the stream is a terminal."""
    row = f"  [E{finding.row}]" if finding.row else ""
    level = paint(f"{finding.level:<8}", _STYLES.get(finding.level, FAINT), stream)
    certainty = f" ({finding.certainty})" if finding.certainty else ""
    yield spoken(f"{level} {finding.subject}{certainty}: {finding.what}{row}")
    if finding.level == GOOD:
        return
    labels = {"why": finding.cause, "seen": finding.proof, "do": finding.fix}
    for label, text in labels.items():
        for number, line in enumerate(text.splitlines()):
            yield spoken(f"{'':9}{label + ':' if not number else '':<6}{line}")


def explained(explanation: Explanation, seen: Iterable[Finding], stream: TextIO) -> Iterator[str]:
    """What a log means, and what was looked at on this host because of it."""
    for finding in explanation.findings:
        yield from told(finding, stream)
    looked = list(seen)
    if looked:
        yield "\nlooked at on this host:"
    for finding in looked:
        yield from told(finding, stream)

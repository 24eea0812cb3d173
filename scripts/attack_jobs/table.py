"""The groups of hostile inputs as a Markdown table: which tests show each, and what it leads to."""

from __future__ import annotations

from tests.support.catalogue import behaviours, shown_by


def table() -> str:
    """One row a group."""
    tests = shown_by()
    lines = ["| group | what it is and leads to | shown by |", "|---|---|---|"]
    for number, behaviour in behaviours().items():
        lines.append(f"| {number} | {behaviour.replace('|', chr(92) + '|')} | {'<br>'.join(tests[number])} |")
    return "\n".join(lines)

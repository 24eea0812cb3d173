"""Who signed a bundle, who is still to sign, and what they type, as several commands print it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mirror.cli.caller import spoken
from mirror.cli.console import out, shown
from mirror.core.trust.quorum import Tally, unmet
from mirror.core.trust.sidecars import signing_command
from mirror.core.words import utc
from mirror.review.report.inventory import Inventory


def print_tallies(bundle: Path, tallies: Sequence[Tally], refusing: Sequence[str] = ()) -> None:
    """By role, who signed and how many must; then who is still to sign, and the line that each of them types.

    Args:
        refusing: who has refused it: nobody's signature makes up for that.
    """
    for one in tallies:
        names = ", ".join(one.signed)
        counted = (
            f"{len(one.signed)} of {one.threshold} signed: {names or '-'}"
            if one.threshold
            else names or "none required"
        )
        out(f"  {one.role + ':':<10} {counted}")
    short = unmet(tallies)
    for one in short:
        out(f"  missing:   {one.who} ({one.role})")
    if refusing:
        out(f"  refused:   by {', '.join(refusing)}: no signature of others makes up for it; ask them")
    elif short:
        out(f"  next:      {spoken(signing_command(bundle))}")
        out("             by each who is missing; KEY is their key's file, or NAME.pub of a key in an ssh agent")


def print_signers(bundle: Path, inventory: Inventory) -> None:
    """Who signed, who is still to sign, what they said, and what counted for nothing."""
    print_tallies(bundle, inventory.tallies, inventory.refusing)
    for who, said in inventory.statements:
        out(f"  {said.decision + ':':<10} {who}, {utc(said.at)}" + (f": {shown(said.note)}" if said.note else ""))
    for line in inventory.ignored:
        out(f"  ignored:   {shown(line)}")

"""Who signed a bundle, as several commands print it."""

from __future__ import annotations

from mirror.cli.console import shown
from mirror.core.trust.root import utc
from mirror.review.report.inventory import Inventory


def print_signers(inventory: Inventory) -> None:
    """Who signed, who is still to sign, what they said, and what counted for nothing."""
    for role, names in inventory.signers.items():
        print(f"  {role + ':':<10} {', '.join(names) or '-'}")
    for missing in inventory.missing:
        print(f"  missing:   it {missing}")
    for who, said in inventory.statements:
        print(f"  {said.decision + ':':<10} {who}, {utc(said.at)}" + (f": {shown(said.note)}" if said.note else ""))
    for line in inventory.ignored:
        print(f"  ignored:   {shown(line)}")

"""``mirror status``: what is installed, and which generation is current."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from mirror.cli.console import print_json
from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.status import Status, choose_prefix, installed_stacks, read_status


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "status",
        description="Show what is installed: one stack, by its name or its prefix, or every stack in the default place.",
    )
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="the stack's name (default: all)")
    parser.add_argument("--prefix", type=Path, metavar="DIR", help="where it is, if not in the default place")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    statuses = [read_status(prefix) for prefix in _prefixes(args.name, args.prefix)]
    if args.json:
        print_json({"stacks": [status.to_dict() for status in statuses]})
    else:
        print("\n\n".join(_text(status) for status in statuses))
    return 0


def _prefixes(name: str, prefix: Path | None) -> tuple[Prefix, ...]:
    if name or prefix:
        return (choose_prefix(name, prefix),)
    return installed_stacks() or (choose_prefix(),)  # which says that there is none


def _text(status: Status) -> str:
    names = sorted({receipt.name for receipt in status.receipts})
    lines = [" ".join([*names, "in", str(status.prefix)])]
    for receipt in status.receipts:
        generation = Path(receipt.generation).name
        mark = "*" if generation == status.current else " "
        locked, installed = (
            time.strftime("%Y-%m-%d", time.gmtime(when)) for when in (receipt.sequence, receipt.installed)
        )
        lines.append(f"{mark} {generation}  locked {locked}, installed {installed}, Python {receipt.python_version}")
        lines += [f"    {check}" for check in receipt.checks if check.detail]
    lines += [f"  {name}  unfinished" for name in status.unfinished]
    if not status.current:
        lines.append("  none is current")
    return "\n".join(lines)

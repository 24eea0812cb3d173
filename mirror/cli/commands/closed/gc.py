"""``mirror gc``: remove generations and JIT caches that nobody needs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mirror.cli.caller import spoken
from mirror.cli.console import Console, human_bytes, tell
from mirror.cli.options import add_stack_arguments
from mirror.closed.garbage import Report, collect
from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.status import choose_prefix, choose_prefixes
from mirror.core.names import whole_number

_DESCRIPTION = """\
Remove generations that are neither current nor kept for 'mirror rollback', and what killed runs have left, of one stack (by
its name, its prefix or the env.sh that was sourced), else of every stack in the default place. The current generation is never
removed, nor one that a process of yours or a program started by 'mirror run' uses. What the last rollback came from stays, but
for --keep 0; other newer ones go, and so does one that was repaired: look with --dry-run. One that lacks files is not counted:
where whole ones are there, as many of them stay as --keep asks for, and one in any case while the current one lacks files. With
--caches, JIT caches of yours whose generation is gone are removed too.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("gc", description=_DESCRIPTION)
    add_stack_arguments(parser, default="all")
    parser.add_argument(
        "--keep",
        type=count,
        default=1,
        metavar="N",
        help="how many of the generations that were installed before the current one stay, the last ones first (default: "
        "1, which is what 'mirror rollback' goes back to); the current one always stays",
    )
    parser.add_argument(
        "--caches", action="store_true", help="remove your JIT caches of generations that are gone, too"
    )
    parser.add_argument("--dry-run", action="store_true", help="tell what would be removed, and remove nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def count(text: str) -> int:
    """A number of generations."""
    number = whole_number(text)
    if number is None or len(text) > 6:
        raise argparse.ArgumentTypeError(f"expected a number, 0 or more, got {text!r}")
    return number


def run(args: argparse.Namespace) -> int:
    prefixes = _prefixes(args.name, args.prefix, args.caches)
    progress = Console()
    report = collect(prefixes, args.keep, os.environ if args.caches else None, args.dry_run, progress)
    items = {name: [item.to_dict() for item in found] for name, found in vars(report).items()}
    facts = {"dry_run": args.dry_run, **items, "bytes": report.freed_bytes}
    tell(args, facts, map(spoken, _lines(report, args.dry_run)))
    return 0


def _prefixes(name: str, prefix: Path | None, caches: bool) -> tuple[Prefix, ...]:
    # Who installed nothing may still have caches of other users' stacks; without either there is nothing to do, which is said.
    return choose_prefixes(name, prefix) or (() if caches else (choose_prefix(),))


def _lines(report: Report, dry_run: bool) -> Iterator[str]:
    verb = "would remove" if dry_run else "removed"
    for item in report.removed:
        yield f"{verb} {item.kind} {item.path} ({human_bytes(item.size)}): {item.why}"
    yield from (f"kept {item.kind} {item.path}: {item.why}" for item in report.kept)
    yield f"{'would free' if dry_run else 'freed'} {human_bytes(report.freed_bytes)}"

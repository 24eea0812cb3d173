"""``mirror rollback``: make another installed generation current."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from mirror.cli.caller import spoken
from mirror.cli.console import out, print_json
from mirror.cli.options import add_stack_arguments
from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.numbered import read_stack
from mirror.closed.prefix.status import choose_prefix
from mirror.closed.prefix.switching import Switched, roll_back
from mirror.closed.soundness import seems_whole
from mirror.closed.upgrade_check import unmet_today
from mirror.core.trust.truststore import TrustStore


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "rollback",
        description="Make another generation current, in one step: the one that was installed before the current one, or the "
        "one named with --to, older or newer: that is also the way back. Only what is installed can be chosen; programs "
        "that run from another generation are not disturbed.",
    )
    add_stack_arguments(parser)
    parser.add_argument(
        "--to",
        default="",
        metavar="GEN",
        help="a generation's number, or its name or the beginning of it, as 'status' lists them",
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the prefix's history and 'status'")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    tell(roll_back(choose_prefix(args.name, args.prefix), args.to, args.reason), args)
    return 0


def tell(result: Switched, args: argparse.Namespace) -> None:
    """Say which generation is current now, and how to go back to the one that was."""
    generation = read_stack(Prefix(result.prefix)).named(result.current)
    unmet, is_damaged = unmet_today(generation, TrustStore.default()), not seems_whole(generation)
    if args.json:
        print_json({**vars(result), "prefix": str(result.prefix), "unmet": list(unmet), "is_damaged": is_damaged})
        return
    this = f"generation {result.number} ({result.current})"
    is_new = result.before != result.current
    out(f"{this} is current {'now' if is_new else 'already'} in {result.prefix}")
    where = [shlex.quote(args.name)] if args.name else []
    where += ["--prefix", shlex.quote(str(result.prefix))] if args.prefix else []
    if is_damaged:
        out("warning: it is damaged, files of it are missing or not known; to see which:")
        out("  " + spoken(" ".join(["mirror status --check", *where])))
    if not is_new:
        return
    if result.repaired_by:
        out(
            f"note: it was found damaged, and generation {result.repaired_by} was built to repair it; gc keeps that one"
        )
    if unmet:
        out(f"note: today's root would refuse its bundle: it {'; it '.join(unmet)}")
        out(
            "  It runs as it is, but cannot be repaired or installed again. Approvers who are missing sign the bundle with"
        )
        out(f"  {spoken('mirror approve')}; where no builder of that root has signed, one packs it again")
    if result.before:
        words = ["mirror rollback", *where]
        out(f"before it was {result.before_number} ({result.before}); to go back there:")
        out("  " + spoken(" ".join([*words, "--to", str(result.before_number)])))

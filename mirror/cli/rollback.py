"""``mirror rollback``: make an older installed generation current."""

from __future__ import annotations

import argparse
from typing import Any

from mirror.cli.console import print_json
from mirror.cli.options import add_stack_arguments
from mirror.closed.prefix.status import choose_prefix, roll_back


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "rollback",
        description="Make an older generation current, in one step: the newest before the current one, or the one named. "
        "Only what is installed can be chosen; programs that run from another generation are not disturbed.",
    )
    add_stack_arguments(parser)
    parser.add_argument(
        "--to", default="", metavar="GEN", help="a generation's name or its beginning, as 'status' lists them"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    result = roll_back(choose_prefix(args.name, args.prefix), args.to)
    if args.json:
        print_json({"prefix": str(result.prefix), "before": result.before, "current": result.current})
    elif result.before == result.current:
        print(f"{result.current} is current already in {result.prefix}")
    else:
        print(f"{result.current} is current now in {result.prefix}; before it was {result.before or 'none'}")
    return 0

"""``mirror activate``: make a generation current that ``install --prepare`` has installed."""

from __future__ import annotations

import argparse
from typing import Any

from mirror.cli.commands.closed.rollback import tell
from mirror.cli.options import add_stack_arguments
from mirror.closed.prefix.status import choose_prefix
from mirror.closed.prefix.switching import activate


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "activate",
        description="Make a generation current, in one step, that 'mirror install --prepare' has installed; any other that is "
        "installed will do as well. Its name, which comes from the bundle, is the same on every host; its number need not be. "
        "When it is current already, nothing is changed. Programs that run from another generation are not disturbed.",
        epilog="For several hosts, with Ansible or ClusterShell: mirror help site",
    )
    add_stack_arguments(parser)
    parser.add_argument(
        "generation",
        metavar="GENERATION",
        help="a generation's name or the beginning of it, or its number, as 'install --prepare' and 'status' tell them",
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the prefix's history and 'status'")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    tell(activate(choose_prefix(args.name, args.prefix), args.generation, args.reason), args)
    return 0

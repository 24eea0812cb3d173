"""``mirror reject``: refuse a bundle, with a signed reason beside it."""

from __future__ import annotations

from typing import Any

from mirror.cli.commands.review.approve import add_decision_options
from mirror.cli.commands.review.approve import run as run
from mirror.cli.parsing import add_bundle_argument
from mirror.core.trust.sidecars import REJECTED


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "reject",
        description="Refuse a bundle: write a signed statement beside it, as FILE.rejection.json with FILE.rejection.json.sig. "
        "`mirror verify` and `mirror install` refuse a bundle with such a statement by any key that the trusted root names. "
        "Whoever refused takes it back with `mirror approve`, or with the next statement of the same key. Carry the files "
        "with the bundle: where they do not lie beside it, they cannot be seen.",
    )
    add_bundle_argument(parser)
    add_decision_options(parser)
    parser.add_argument(
        "--note", required=True, metavar="TEXT", help="why; shown to everyone who verifies or installs it"
    )
    parser.set_defaults(decision=REJECTED)

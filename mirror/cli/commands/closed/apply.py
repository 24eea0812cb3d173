"""``mirror apply``: the next bundle, out of a delta and the bundle before."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mirror.cli.caller import spoken
from mirror.cli.console import human_bytes, tell
from mirror.cli.deltas import applied_delta
from mirror.cli.parsing import add_volumes_option
from mirror.core.trust.sidecars import shell_word
from mirror.core.trust.truststore import TrustStore

_DESCRIPTION = """\
Make the next bundle out of a delta, which `mirror bundle NAME --from PREV` wrote, and the bundle before. What comes out is the
very bundle, byte for byte: it has the sha256 that the builder's has, and approvals of that one count for it. Nothing is trusted
here: `mirror verify` and `mirror install` check it as any other. Either may lie in volumes.

It needs zstd: this Python's library (3.14), the program (1.4.5 or newer), or the one that the bundle before carries. The output
is there whole or not at all; a run that was stopped is gone on with by the same command.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("apply", description=_DESCRIPTION)
    parser.add_argument("delta", type=Path, metavar="DELTA", help="the delta")
    parser.add_argument(
        "--base",
        type=Path,
        metavar="PREV",
        help="the bundle that it goes from (default: the one beside the delta, whatever its name)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the new bundle (default: its name, beside the delta)"
    )
    add_volumes_option(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    applied = applied_delta(args.delta, args.base, args.output, args.volumes, TrustStore.default())
    head, counts = applied.head, applied.head.counts()
    made = f"{counts.pop('same')} files unchanged, {sum(counts.values())} new"
    lines = (
        f"{applied.path}  {human_bytes(head.size)}, {'is there already' if applied.was_there else made}",
        f"  sha256      {head.sha256}",
        f"  made of     {head.base}",
        f"next:  {spoken('mirror verify')} {shell_word(str(applied.path))}",
    )
    tell(args, applied.to_dict(), lines)
    return 0

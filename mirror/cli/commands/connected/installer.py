"""``mirror installer``: write the companion installer for the closed network."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from mirror.cli.console import human_bytes, print_json


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "installer",
        description="Write mirror.pyz: verify, inspect, install, status, rollback and trust in one file that needs nothing "
        "but Python 3.9 or newer. Carry it across once, apart from any bundle, with the root's fingerprint.",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("mirror.pyz"), metavar="FILE", help="default: mirror.pyz"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    from mirror.connected.packing.installer import write_installer

    write_installer(args.output)
    data = args.output.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if args.json:
        print_json({"path": str(args.output), "size": len(data), "sha256": digest})
    else:
        print(f"{args.output}  {human_bytes(len(data))}  sha256 {digest}")
    return 0

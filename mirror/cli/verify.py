"""``mirror verify``: is this bundle what its builders signed, to the last byte?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mirror.cli.console import Console, human_bytes, print_json
from mirror.core.reader import open_bundle
from mirror.core.trust import TrustStore
from mirror.review.inventory import take_inventory


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "verify",
        help="check a bundle's signature and every byte",
        description="Check that a bundle is signed as the trusted root asks, that each file in it is the one that was "
        "signed, and that nothing is missing or added. Writes nothing. Which root is trusted: mirror trust show.",
    )
    parser.add_argument("bundle", type=Path, metavar="FILE", help="the bundle")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    with open_bundle(args.bundle) as bundle:
        inventory = take_inventory(bundle, TrustStore.default().load_root(), complete=True, progress=Console())
    if args.json:
        print_json(inventory.to_dict())
        return 0
    manifest = inventory.manifest
    print(f"ok: {args.bundle} is intact: {len(manifest.artifacts)} files, {human_bytes(manifest.total_bytes)}")
    for role, names in inventory.signers.items():
        print(f"  {role + ':':<10} {', '.join(names) or '-'}")
    print(f"  locked:    {inventory.locked}")
    print(f"  manifest:  sha256 {inventory.manifest_sha256}")
    return 0

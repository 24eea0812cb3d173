"""``mirror verify``: is this bundle what its builders signed, to the last byte?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mirror.cli.console import Console, human_bytes, print_json
from mirror.cli.signers import print_signers
from mirror.core.quorum import ThresholdNotMet
from mirror.core.reader import open_bundle
from mirror.core.trust import check_refusals
from mirror.core.truststore import TrustStore
from mirror.review.inventory import take_inventory


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "verify",
        help="check a bundle's signatures and every byte",
        description="Check that a bundle is signed as the trusted root asks, by builders in it and by approvers beside it "
        "(FILE.approval.sig), that each file in it is the one that was signed, and that nothing is missing or added. Says who "
        "signed and who is still to sign. Writes nothing. Which root is trusted: mirror trust show.",
    )
    parser.add_argument("bundle", type=Path, metavar="FILE", help="the bundle")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    with open_bundle(args.bundle) as bundle:
        inventory = take_inventory(bundle, TrustStore.default().load_root(), complete=True, progress=Console())
        root = bundle.root
        sidecars = bundle.sidecars
    if args.json:
        print_json(inventory.to_dict())
    else:
        manifest = inventory.manifest
        print(f"ok: {args.bundle} is intact: {len(manifest.artifacts)} files, {human_bytes(manifest.total_bytes)}")
        print_signers(inventory)
        print(f"  locked:    {inventory.locked}")
        print(f"  manifest:  sha256 {inventory.manifest_sha256}")
    # Intact is not yet approved: what install would refuse is refused here too, after all has been said.
    assert root is not None, "the manifest was trusted"
    check_refusals(sidecars, root)
    if inventory.missing:
        raise ThresholdNotMet("manifest", inventory.missing)
    return 0

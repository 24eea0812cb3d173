"""``mirror inspect``: what is inside a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mirror.cli.console import human_bytes, print_json
from mirror.cli.parsing import add_bundle_argument
from mirror.cli.signers import print_signers
from mirror.core.bundle.manifest import BUILT
from mirror.core.bundle.reader import open_bundle
from mirror.core.trust.truststore import TrustStore
from mirror.core.words import counted
from mirror.review.report.inventory import Inventory, take_inventory


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "inspect",
        description="List a bundle's files with their versions, sizes and origins, and say what was built on the connected "
        "machine. Checks the signature of the list, not the bytes of the files: mirror verify does that.",
    )
    add_bundle_argument(parser)
    parser.add_argument("--json", action="store_true", help="print the whole list as JSON")


def run(args: argparse.Namespace) -> int:
    with open_bundle(args.bundle, args.volumes) as bundle:
        inventory = take_inventory(bundle, TrustStore.default().load_root(), complete=False)
    print_json(inventory.to_dict()) if args.json else _print(args.bundle, inventory)
    return 0


def _print(bundle: Path, inventory: Inventory) -> None:
    manifest = inventory.manifest
    print(f"{manifest.name}, locked {inventory.locked}")
    print(f"for {manifest.target}")
    print_signers(bundle, inventory)
    if manifest.host_packages:
        print(f"left to the host's own Python: {', '.join(project for project, _ in manifest.host_packages)}")
    for directory, (count, size) in manifest.sizes().items():
        print(f"\n{directory}/  {counted(count, 'file')}, {human_bytes(size)}")
        for artifact in manifest.within(directory):
            what = f"{artifact.name} {artifact.version}" if artifact.version else artifact.filename
            origin = "built here" if artifact.origin == BUILT else artifact.origin
            print(f"  {what:<44} {human_bytes(artifact.size):>10}  {origin}")
    built = ", ".join(artifact.filename for artifact in inventory.built())
    print(f"\nbuilt on the connected machine: {built or 'nothing'}")

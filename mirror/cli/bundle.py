"""``mirror bundle``: lock in, signed tar out."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirror.cli.console import Console, human_bytes, print_json

if TYPE_CHECKING:
    from mirror.connected.bundle import Bundled
    from mirror.connected.plan import Plan

_DESCRIPTION = """\
Fetch what a lock names, build what has no wheel, and write one signed tar for the closed network.

LOCK is lockfiles/NAME.txt; NAME.toml, NAME.build.txt and NAME.rpms.toml are found beside it, and what is not locked yet is
locked first. A requirements file with hashes written by pip-tools or uv, and a PEP 751 pylock.toml, are accepted too.
The same lock gives the same bytes. On first use a builder key and a root are made, and what to carry across is printed.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "bundle",
        help="fetch, build, pack and sign what a lock names",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lock", type=Path, required=True, metavar="LOCK", help="the lock, e.g. lockfiles/h100.txt")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("bundle.tar"), metavar="FILE", help="default: bundle.tar"
    )
    parser.add_argument("--locked", action="store_true", help="refuse to lock anything: every pin must be there")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and write nothing")
    parser.add_argument(
        "--wheelhouse",
        type=Path,
        metavar="DIR",
        help="files that are here already, found by digest (default: wheelhouse/ beside the lock's directory)",
    )
    parser.add_argument("--rpm-repo", metavar="URL-or-DIR", help="a copy of the RPM repository that NAME.toml names")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="PART",
        help="leave out 'rpms' (no CUDA toolchain), or a requirement that NAME.toml calls optional; may be repeated",
    )
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="sign with this ssh ed25519 key (or FILE.pub by agent)"
    )
    parser.add_argument("-j", "--jobs", type=int, default=8, metavar="N", help="downloads at once (default: 8)")
    parser.add_argument("--python", type=Path, metavar="FILE", help="the target's Python, to build wheels with")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from mirror.connected.bundle import BundleOptions, bundle, preview

    options = BundleOptions(
        lock=args.lock,
        output=args.output,
        locked=args.locked,
        wheelhouse=args.wheelhouse,
        rpm_repo=args.rpm_repo,
        without=frozenset(args.without),
        key=args.key,
        jobs=max(1, args.jobs),
        python=args.python,
        epoch=os.environ.get("SOURCE_DATE_EPOCH"),
    )
    console = Console()
    if args.dry_run:
        plan = preview(options, console)
        print_json(plan.to_dict()) if args.json else _print_plan(plan)
        return 0
    result = bundle(options, console)
    print_json(result.to_dict()) if args.json else _print_result(result)
    return 0


def _print_plan(plan: Plan) -> None:
    facts = plan.to_dict()
    print(f"{plan.name} for {plan.target}")
    for word, label in (("here", "here already"), ("fetch", "to fetch"), ("build", "to build")):
        group = facts[word]
        size = sum(item.get("size") or 0 for item in group)
        print(f"\n{label}: {len(group)}" + (f" ({human_bytes(size)})" if size else ""))
        for item in group:
            size_text = human_bytes(item["size"]) if item.get("size") else ""
            print(f"  {item['file']:<72} {size_text:>10}")
    for note in plan.notes:
        print(f"\nnote: {note}")


def _print_result(result: Bundled) -> None:
    print(f"{result.path}  {human_bytes(result.size)}  {result.artifacts} files")
    print(f"  sha256      {result.sha256}")
    print(f"  signed by   {result.signer}")
    for label, (count, size) in result.contents.items():
        print(f"  {label:<11} {count:>4}  {human_bytes(size)}")
    print("\ncarry across, every time:")
    print(f"  {result.path}")
    print("carry across once, apart from any bundle (write the fingerprint down, or read it out on the telephone):")
    print("  mirror.pyz            made by: mirror installer -o mirror.pyz")
    print(f"  root fingerprint      {result.root_fingerprint}")
    print("in the closed network:")
    print(f"  python3 mirror.pyz trust add {result.path.name} --fingerprint {result.root_fingerprint}")
    print(f"  python3 mirror.pyz install {result.path.name}")

"""``mirror diff``: what changed from one bundle to the next."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mirror.cli.caller import spoken
from mirror.cli.console import human_bytes, print_json, shown
from mirror.cli.deltas import bundle_to_look_at
from mirror.cli.parsing import add_volumes_option
from mirror.core.trust.truststore import TrustStore
from mirror.core.words import counted, utc
from mirror.review.questions.contents import read_contents
from mirror.review.questions.diff import Changes, compare

_TITLES = {
    "added": "added",
    "removed": "removed",
    "updated": "updated",
    "rebuilt": "built again, other bytes",
    "replaced": "SAME VERSION, OTHER BYTES",
    "moved": "same bytes from another place",
    "relabelled": "same bytes under another version",
}


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "diff",
        description="Compare two bundles, or the MANIFEST.json of either: what was added, removed, updated, built again or "
        "replaced, whose licence changed, who signed. Bundles must be signed by a trusted builder; a manifest alone is taken "
        "as it stands. Exit code 0 whether they differ or not.",
    )
    parser.add_argument(
        "old", type=Path, metavar="OLD", help="the bundle that was approved before, or its MANIFEST.json"
    )
    parser.add_argument(
        "new",
        type=Path,
        metavar="NEW",
        help="the bundle to decide about; of a delta, the one that it makes, which stays beside it",
    )
    add_volumes_option(parser)
    parser.add_argument("--json", action="store_true", help="print the changes as JSON")


def run(args: argparse.Namespace) -> int:
    store = TrustStore.default()
    root = store.load_root()
    new = bundle_to_look_at(args.new, args.old, args.volumes, store)
    changes = compare(read_contents(args.old, root, args.volumes), read_contents(new, root, args.volumes))
    if args.json:
        print_json(changes.to_dict())
    else:
        _print(changes)
    return 0


def _print(changes: Changes) -> None:
    print(f"from {utc(changes.older)} to {utc(changes.newer)}")
    if changes.strangers:
        print(changes.strangers)
    if changes.is_empty:
        print(
            f"nothing differs by what they say of themselves; whether each is intact, '{spoken('mirror verify')}' tells"
        )
    for group, title in _TITLES.items():
        found = getattr(changes, group)
        if found:
            print(f"\n{title} ({len(found)})")
        for change in found:
            sign = "+" if change.growth >= 0 else "-"
            print(f"  {change.directory + '/':<8} {shown(str(change)):<52} {sign}{human_bytes(abs(change.growth))}")
    for title, facts in (("licence", changes.licences), ("also", changes.facts)):
        if facts:
            print(f"\n{title} ({len(facts)})")
        for fact in facts:
            print(f"  {shown(str(fact))}")
    sign = "+" if changes.growth >= 0 else "-"
    same = f"{counted(changes.same, 'file')} {'is' if changes.same == 1 else 'are'} the same"
    print(f"\n{same}; {sign}{human_bytes(abs(changes.growth))} in all")

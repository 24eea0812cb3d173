"""``mirror rescan``: what has become known about a bundle since it was made?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mirror.cli.console import Console, print_json, shown
from mirror.cli.parsing import add_bundle_argument
from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import InvalidDocument
from mirror.core.policy.document import read_policy
from mirror.core.policy.rules import Verdict, hold
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import REVIEW
from mirror.review.report.rescan import Rescan, rescan

_TITLES = {
    "new": "new since the bundle was made",
    "worse": "rated worse now",
    "fixed": "a fixed version is named now",
    "gone": "withdrawn or corrected",
}

_DESCRIPTION = """\
Judge a bundle again, offline, with a newer dump of an advisory database in OSV's format: what has become known about its
Python projects since it was made. The bundle must be signed by a trusted builder, and is not changed.
"""

_EPILOG = """\
DUMP is a directory of OSV records (*.json, at any depth), or the all.zip of the PyPI ecosystem as the database publishes it,
downloaded on a connected machine. CUDA packages are in no such database: their publisher's bulletins are read by people.
Without --policy the exit code is 0, whatever was found. With it, the rules about vulnerabilities are applied; the others
need no newer dump: mirror verify --policy applies them.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("rescan", description=_DESCRIPTION, epilog=_EPILOG)
    add_bundle_argument(parser)
    parser.add_argument("--osv", type=Path, required=True, metavar="DUMP", help="the newer dump")
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="end with an error when this policy.toml blocks what was found"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    policy = read_policy(args.policy) if args.policy else None
    if policy and policy.vulnerabilities is None:
        raise InvalidDocument(str(args.policy), "vulnerabilities", "missing: a rescan applies no other rule")
    with open_bundle(args.bundle, args.volumes) as bundle:
        bundle.trust(TrustStore.default().load_root(), required=REVIEW)
        result = rescan(bundle, args.osv, Console())
    verdict = hold(result.manifest, None, result.now, policy.about_vulnerabilities) if policy else Verdict(())
    if args.json:
        print_json(result.to_dict())
    else:
        _print(result)
        for finding, why in verdict.ignored:
            print(f"ignored by {args.policy}: {shown(f'{finding.project} {finding.version}: {finding.id}: {why}')}")
    verdict.enforce()
    return 0


def _print(result: Rescan) -> None:
    then = result.before
    print(result.now.summary())
    print(
        f"the bundle's own advisories: {then.source}: {then.counts()}" if then else "the bundle carries no advisories"
    )
    if result.is_older:
        print("note: this dump is older than what the bundle carries")
    for group, title in _TITLES.items():
        found = getattr(result, group)
        if found:
            print(f"\n{title} ({len(found)})")
        for finding in found:
            print(f"  {shown(str(finding))}")
    if then and not result.new:
        print("\nnothing new")
    for remark in result.now.unjudged:
        print(f"note: {shown(f'{remark.path}: {remark.id} cannot be judged: {remark.reason}')}")

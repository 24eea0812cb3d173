"""``mirror report``: the page that a reviewer decides from."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mirror.cli.caller import spoken_to_others
from mirror.cli.console import Console, print_json
from mirror.cli.deltas import bundle_to_look_at
from mirror.cli.parsing import add_bundle_argument
from mirror.core.bundle.reader import open_bundle
from mirror.core.policy.document import read_policy
from mirror.core.system.durable import facts_of, write_file
from mirror.core.system.output import check_place, taken
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import REVIEW
from mirror.review.decisions.commands import Commands
from mirror.review.markup import visible
from mirror.review.page import page
from mirror.review.questions.contents import read_contents
from mirror.review.questions.judgement import Judgement
from mirror.review.questions.question import Question
from mirror.review.report.report import APPROVED, REFUSED, UNASKED, WAITING, Report, make_report
from mirror.review.report.rescan import rescan

_STANDING = {
    REFUSED: "REFUSED by {who}",
    WAITING: "not all have signed: still to sign {missing}",
    APPROVED: "approved",
    UNASKED: "no approval is asked for",
}


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "report",
        description="Check a bundle's signature and every byte, and write all that is known of it into one page of HTML: who "
        "built it and who signed, what to look at, how to check it without mirror, how to approve or refuse it, then each "
        "artifact with its licence, origin, digest, why it is there and what was found inside. The page loads nothing and runs "
        "no script. A bundle that nobody approved yet, or that was refused, is reported too: the page says so.",
    )
    add_bundle_argument(parser, "the bundle; of a delta, the one that it makes, which stays beside it")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="HTML", help="the page (default: FILE's name with .report.html, here)"
    )
    parser.add_argument(
        "--since",
        type=Path,
        metavar="OLD",
        help="the bundle that was approved before, or its MANIFEST.json: tell what changed",
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help="show what is against this policy.toml")
    parser.add_argument(
        "--osv",
        type=Path,
        metavar="DUMP",
        help="judge by this newer dump of advisories (mirror rescan says which kind)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the report as JSON; the page is written only with -o"
    )


def run(args: argparse.Namespace) -> int:
    if args.output:
        _check(args.output)
    policy = read_policy(args.policy) if args.policy else None
    store = TrustStore.default()
    root = store.load_root()
    path = bundle_to_look_at(args.bundle, args.since, args.volumes, store)
    output = args.output or (None if args.json else Path(f"{path.name}.report.html"))
    if output and not args.output:
        _check(output)
    since = read_contents(args.since, root, args.volumes) if args.since else None
    with open_bundle(path, args.volumes) as bundle:
        bundle.trust(root, required=REVIEW)
        newer = rescan(bundle, args.osv, Console()).now if args.osv else None
        day = time.strftime("%Y-%m-%d", time.gmtime()) if policy else ""
        judgement = Judgement(newer, policy, args.policy.name if policy else "", day)
        report = make_report(bundle, root, since, judgement, Console())
    typed = {key: spoken_to_others(lines) for key, lines in vars(report.commands).items()}
    report = replace(report, commands=Commands(**typed))
    if output:
        data = page(report).encode()
        _check(output)  # again: what has got the name meanwhile is not replaced either
        write_file(output, data, mode=0o644)
    if args.json:
        print_json(report.to_dict())
    else:
        _print(report, output)
    return 0


def _check(output: Path) -> None:
    """Refuse now what would be refused after the long pass, and what a slip of the fingers would destroy."""
    check_place(output)
    if facts_of(output) and output.suffix not in (".html", ".htm"):
        raise taken(output, "page")


def _print(report: Report, output: Path | None) -> None:
    missing = "; ".join(f"{one.who} ({one.role})" for one in report.inventory.missing)
    standing = _STANDING[report.standing].format(who=", ".join(report.inventory.refusing), missing=missing)
    print(f"{report.inventory.manifest.name}, locked {report.inventory.locked}: {standing}")
    if report.changes and report.changes.strangers:
        print(f"  {report.changes.strangers}")
    for question in report.questions:
        if question.findings:
            print(f"  {len(question.findings):>4}  {question.weight:<6}  {visible(question.title)}")
    unknown: dict[str, list[Question]] = {}
    for question in report.questions:
        if question.unknown:
            unknown.setdefault(question.looked, []).append(question)
    for looked, questions in unknown.items():
        why = f" ({questions[0].unknown})" if questions[0].findings else ""
        print(f"  {looked}: {', '.join(question.title for question in questions)}{why}")
    if output:
        print(f"wrote {output}")

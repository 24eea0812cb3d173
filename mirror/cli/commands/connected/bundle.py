"""``mirror bundle``: lock in, signed tar out."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirror.cli.caller import INSTALLER
from mirror.cli.console import Console, human_bytes, out, print_json
from mirror.cli.deltas import bundle_of_host
from mirror.cli.options import (
    add_builder_options,
    add_index_option,
    add_locked_stack_arguments,
    add_repository_options,
    add_wheelhouse_option,
    url,
)
from mirror.cli.signers import print_tallies
from mirror.cli.stacktargets import found_stack, meant_stacks, wheelhouse_of
from mirror.core.policy.document import Policy, read_policy
from mirror.core.system.allocator import share_arenas
from mirror.core.trust.truststore import TrustStore
from mirror.core.words import grouped

if TYPE_CHECKING:
    from mirror.connected.bundle import Bundled
    from mirror.connected.delta.making import MadeDelta
    from mirror.connected.planning.plan import Plan

_DESCRIPTION = """\
Fetch what a lock names, build what has no wheel, and write one signed tar for the closed network.

NAME is a stack in lockfiles/ or here; its lock is NAME.txt, and NAME.build.txt and NAME.rpms.toml or NAME.redist.toml lie
beside it. What is not locked yet, or changed in NAME.toml since, is locked first; every pin that still holds stays. A
requirements file with hashes written by pip-tools or uv, and a PEP 751 pylock.toml, are accepted too. The same lock gives the
same bytes. On first use a builder key and a root are made, and what to carry across is printed.

A NAME.toml with [targets] gives a bundle for each: bundle.TARGET.tar. What they share is fetched and kept once.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("bundle", description=_DESCRIPTION)
    add_locked_stack_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("bundle.tar"),
        metavar="FILE",
        help="default: bundle.tar; that of another stack is kept",
    )
    parser.add_argument(
        "--locked", action="store_true", help="refuse to lock anything: every pin must be there and answer NAME.toml"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan; nothing is fetched, built or locked")
    add_wheelhouse_option(parser)
    parser.add_argument(
        "--target",
        metavar="FILE.toml|TARGET",
        help="the [target] of a lock that has no NAME.toml (default: this machine); of a NAME.toml with several targets, one",
    )
    parser.add_argument(
        "--check-target",
        type=Path,
        metavar="FILE",
        help="refuse what is not for this host: a file that 'mirror detect -o FILE' wrote there",
    )
    parser.add_argument(
        "--group",
        action="append",
        metavar="NAME",
        help="a pylock.toml's dependency group to take, in place of its default ones",
    )
    parser.add_argument(
        "--extra", action="append", default=[], metavar="NAME", help="an extra of a pylock.toml to take"
    )
    add_repository_options(parser)
    add_index_option(parser)
    parser.add_argument(
        "--key",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="sign with this builder's ssh ed25519 key (or FILE.pub by agent); may be repeated",
    )
    parser.add_argument(
        "--osv",
        type=_database,
        default="",
        metavar="URL|DIR",
        help="ask this advisory database in OSV's format: an API's URL, a directory of records, or an all.zip; what it knows "
        "goes into the bundle, dated, as meta/vulnerabilities.json",
    )
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="refuse to make what this policy.toml does not allow"
    )
    parser.add_argument(
        "--from",
        type=Path,
        dest="base",
        metavar="PREV",
        help="also write a delta from this bundle, which the closed network has ('mirror apply' makes the new one of both); or "
        "from the one beside the new one that a host's 'mirror status --json' says is current there",
    )
    parser.add_argument(
        "--no-redeflate",
        action="store_true",
        help="a delta that takes no wheel apart: larger, for hosts whose zlib packs otherwise",
    )
    add_builder_options(parser)


def run(args: argparse.Namespace) -> int:
    share_arenas()
    policy = read_policy(args.policy) if args.policy else None  # before the long work
    if args.no_redeflate and not args.base:
        args.parser.error("--no-redeflate is for a delta: name the bundle that it goes from with --from")
    found = found_stack(args)
    meant = meant_stacks(found, args.target, {"--from": args.base, "--check-target": args.check_target})
    if not meant:
        facts, shape = _bundle(args, found.lock, args.output, policy)
        if args.json:
            print_json(facts, shape)
        return 0
    done = {}
    for target, stack in meant.items():
        output = args.output.with_name(f"{args.output.stem}.{target}{args.output.suffix}")
        done[target], shape = _bundle(args, stack.lock, output, policy, target)
        if args.json:  # what is done is told, also when the next one fails
            print_json({"targets": done}, f"{shape}-targets")
    return 0


def _bundle(
    args: argparse.Namespace, lock: Path, output: Path, policy: Policy | None, target: str = ""
) -> tuple[dict[str, Any], str]:
    """Make one bundle, or its plan, and tell people of it; what there is to tell machines, and the shape of that.

    Args:
        target: the one of several that it is for.
    """
    from mirror.connected.bundle import BundleOptions, bundle
    from mirror.connected.fetching.store import Store
    from mirror.connected.planning.wishes import Wishes
    from mirror.connected.prepare import prepare
    from mirror.connected.stack.ownpins import own_pins_named

    base = args.base and bundle_of_host(args.base, lock.stem, output.parent)
    console, store = Console(), Store.default(wheelhouse_of(args, lock))
    if target:
        console.say(f"for target {target}")
    wishes = Wishes(
        lock=lock,
        locked=args.locked or args.dry_run,
        toolchain_repo=args.toolchain_repo,
        without=frozenset(args.without),
        epoch=os.environ.get("SOURCE_DATE_EPOCH"),
        index_url=args.index_url,
        rpm_fingerprints=tuple(args.rpm_fingerprint),
        target=Path(args.target) if args.target and not target else None,
        host=args.check_target,
        extras=tuple(args.extra),
        groups=None if args.group is None else tuple(args.group),
    )
    if args.dry_run:
        plan, locks = prepare(wishes, store, console)
        with own_pins_named(locks.stack, tuple(plan.downloads())):
            facts = plan.to_dict(store)
        if not args.json:
            _print_plan(plan, facts)
        return facts, "bundle-plan"
    options = BundleOptions(
        wishes, output, tuple(args.key), max(1, args.jobs), args.python, args.osv, policy, base, not args.no_redeflate
    )
    result = bundle(options, store, TrustStore.default(), console)
    if not args.json:
        _print_result(result)
    return result.to_dict(), "bundle"


def _database(text: str) -> str:
    """An advisory database: its address, or its path here."""
    if "://" in text or text.startswith("file:"):
        return url(text)
    if not Path(text).exists():
        raise argparse.ArgumentTypeError(f"there is no file or directory {text!r}")
    return text


def _print_plan(plan: Plan, facts: dict[str, Any]) -> None:
    out(f"{plan.name} for {plan.target}")
    for word, label in (("here", "here already"), ("fetch", "to fetch"), ("build", "to build")):
        group = facts[word]
        size = sum(item.get("size") or 0 for item in group)
        out(f"\n{label}: {len(group)}" + (f" ({human_bytes(size)})" if size else ""))
        for item in group:
            size_text = human_bytes(item["size"]) if item.get("size") else ""
            out(f"  {item['file']:<72} {size_text:>10}")
    _print_notes(plan.told)


def _print_result(result: Bundled) -> None:
    out(f"{result.path}  {human_bytes(result.size)}")
    out(f"  sha256      {result.sha256}")
    for directory, (count, size) in result.manifest.sizes().items():
        out(f"  {directory + '/':<11} {count:>4} files  {human_bytes(size):>10}")
    for path in result.builder.created:
        out(f"new private key: {path} (back it up; nobody else may read it)")
    if result.builder.created and result.builder.root.is_one_person:
        out("note: one person holds every key of this root: whoever has them decides alone what is installed")
    _print_notes(result.notes)
    if result.delta:
        _print_delta(result.delta, result.size)
    if result.missing:
        out("\nit cannot be installed before others have signed it, too:")
        print_tallies(result.path, result.tallies)
    _print_journey(result)


def _print_journey(result: Bundled) -> None:
    """What is carried across, and what is typed there; with a delta somebody has mirror.pyz and trusts the root already."""
    root, name = result.builder.root, result.path.name
    fingerprint = root.fingerprint
    carried = result.delta.path if result.delta else result.path
    when, beside = (", once they have signed,", f", with {name}.approval*") if result.missing else (":", "")
    out(f"\ncarry across{when} {carried}{beside}")
    if result.delta:
        out(f"in the closed network, where {result.delta.head.base} lies:")
        out(f"  {INSTALLER} apply {carried.name}")
    else:
        again = "" if root.version == 1 else f" (version {root.version}; who trusts an earlier one needs none)"
        out(f"""\
and once, apart from bundles: mirror.pyz (mirror installer -o mirror.pyz)
and, by another way than the files, the root's fingerprint{again}:
  {grouped(fingerprint[:32])}
  {grouped(fingerprint[32:])}
in the closed network:
  {INSTALLER} trust add {name} --fingerprint {fingerprint}""")
    out(f"  {INSTALLER} install {name}")


def _print_delta(delta: MadeDelta, whole: int) -> None:
    counts = ", ".join(f"{count} {_HOW[how]}" for how, count in delta.head.counts().items() if count)
    share = f"{100 * delta.size / whole:.1f} % of the whole"
    out(f"\n{delta.path}  {human_bytes(delta.size)}, {share}: {counts}")


_HOW = {"same": "unchanged", "members": "patched inside", "bytes": "patched", "whole": "whole"}


def _print_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        out(f"note: {note}")

"""``mirror verify``: is this bundle what its builders signed, to the last byte?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirror.cli.caller import spoken
from mirror.cli.console import Console, human_bytes, out, print_json, shown
from mirror.cli.parsing import add_bundle_argument
from mirror.cli.signers import print_signers
from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import MirrorError
from mirror.core.trust.quorum import ThresholdNotMet
from mirror.core.trust.root import Root
from mirror.core.trust.sidecars import Sidecars, signing_command
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import check_refusals, expiring
from mirror.core.words import counted
from mirror.review.report.inventory import Inventory, take_inventory

if TYPE_CHECKING:  # what only --deep and --policy need takes longer to import than a small bundle to verify
    from mirror.core.policy.document import Policy
    from mirror.core.policy.rules import Verdict
    from mirror.review.report.deep import Deep


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "verify",
        description="Check that a bundle is signed as the trusted root asks, by builders in it and by approvers beside it "
        "(FILE.approval.sig), that each file in it is the one that was signed, and that nothing is missing or added. Says who "
        "signed and who is still to sign. Writes nothing. Which root is trusted: mirror trust show.",
        epilog="With --deep, every wheel is also taken apart as the builder's gate did: its zip file, its RECORD, metadata, "
        "what it installs where, and how the wheels go together; every RPM's signature and digest; and what is found is held "
        "against the waivers that the bundle carries. Nothing is unpacked.",
    )
    add_bundle_argument(parser)
    parser.add_argument("--deep", action="store_true", help="look inside every wheel and package, too")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="refuse what this policy.toml does not allow, too")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    policy: Policy | None = None
    if args.policy:
        from mirror.core.policy.document import read_policy

        policy = read_policy(args.policy)
    with open_bundle(args.bundle, args.volumes) as bundle:
        inventory = take_inventory(bundle, TrustStore.default().load_root(), complete=True, progress=Console())
        assert bundle.root is not None, "the manifest was trusted"
        root, sidecars = bundle.root, bundle.sidecars
        said = f"{bundle.path.name}, in {counted(bundle.volumes, 'volume')}," if bundle.volumes else str(args.bundle)
        passed_over = bundle.passed_over
        deep, verdict = None, None
        if args.deep:
            from mirror.review.report.deep import look_deep

            deep = look_deep(bundle, Console())
        if policy:
            from mirror.core.policy.rules import judge

            verdict = judge(policy, bundle.manifest, bundle.read)
    against = _against(args.bundle, inventory, sidecars, root, deep, verdict)
    if args.json:
        print_json(
            {
                **inventory.to_dict(),
                "passed_over": list(passed_over),
                **({"deep": deep.to_dict()} if deep else {}),
                **_told(verdict),
            }
        )
    else:
        manifest = inventory.manifest
        holds = f"{counted(len(manifest.artifacts), 'file')}, {human_bytes(manifest.total_bytes)}"
        if against is None:
            out(f"ok: {said} is intact: {holds}")
        else:
            out(f"intact, but not ok ({against.ref}): {said.rstrip(',')}: {holds}")
        for fault in passed_over:
            out(f"note: {fault}")
        print_signers(args.bundle, inventory)
        for note in expiring(root):
            out(f"  note:      {spoken(note)}")
        out(f"  locked:    {inventory.locked}")
        out(f"  manifest:  sha256 {inventory.manifest_sha256}")
        if deep:
            _print_deep(deep)
        if verdict:
            _print_policy(verdict)
    # Intact is not yet approved: what install would refuse is refused here too, after all has been said.
    if against is not None:
        raise against
    return 0


def _told(verdict: Verdict | None) -> dict[str, Any]:
    """What a policy says, for machines."""
    if verdict is None:
        return {}
    return {"breaches": [vars(breach) for breach in verdict.breaches], "not_judged": list(verdict.missing)}


def _against(
    bundle: Path, inventory: Inventory, sidecars: Sidecars, root: Root, deep: Deep | None, verdict: Verdict | None
) -> MirrorError | None:
    """Why an intact bundle is not ok all the same; None when it is."""
    try:
        check_refusals(sidecars, root)
        if deep:
            deep.enforce(bundle)
        if verdict:
            verdict.enforce()
        if inventory.missing:
            raise ThresholdNotMet("manifest", inventory.missing, signing_command(bundle))
    except MirrorError as exc:
        return exc
    return None


def _print_policy(verdict: Verdict) -> None:
    out(f"  policy:    {len(verdict.breaches) or 'nothing'} against it")
    for one in verdict.missing:
        out(f"  unjudged:  it carries {one}")
    for finding, why in verdict.ignored:
        out(f"  ignored:   {shown(f'{finding.project} {finding.version}: {finding.id}: {why}')}")


def _print_deep(deep: Deep) -> None:
    count, files = deep.wheels
    out(f"  inside:    {counted(count, 'wheel')} with {counted(files, 'file')}, {counted(deep.packages, 'package')}")
    for finding, (_, waiver) in deep.judgement.waived:
        out(
            f"  waived:    {shown(f'{finding.rule}: {finding}')}\n             {shown(f'{waiver.by}: {waiver.reason}')}"
        )
    for finding in deep.judgement.open:
        out(f"  REFUSED:   {shown(f'{finding.rule}: {finding}')}")
    for note in deep.notes:
        out(f"  note:      {shown(note)}")

"""``mirror approve``: sign a bundle beside it, as an approver or as another builder."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from mirror.cli.caller import spoken
from mirror.cli.console import Console, out, print_json, shown
from mirror.cli.parsing import add_bundle_argument
from mirror.cli.signers import print_tallies
from mirror.core.trust.sidecars import APPROVED
from mirror.core.trust.truststore import TrustStore
from mirror.core.words import utc
from mirror.review.decisions.approval import Sign, decide
from mirror.review.decisions.sshkeygen import SshKeygen

_DESCRIPTION = """\
Sign a bundle that somebody else packed: check it as `mirror verify` does, then sign its manifest and write the signature beside
it, as FILE.approval.sig (FILE.approval.2.sig and so on when others have signed before). Approvers sign this way, and builders
too where the root requires several: the root says for which role your key counts. The bundle keeps its bytes and its sha256.
Carry the .approval files with it: `mirror verify` and `mirror install` count them.

The key may be a private key's file, or the NAME.pub of a key that an ssh agent holds (hardware keys too). To sign with
nothing but ssh-keygen (the number is the first, up to 16, that no file there has):

    tar -xOf FILE MANIFEST.json > MANIFEST.json
    ssh-keygen -Y sign -n mirror-manifest@v1 -f KEY MANIFEST.json
    mv -n MANIFEST.json.sig FILE.approval.1.sig
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("approve", description=_DESCRIPTION)
    add_bundle_argument(parser)
    add_decision_options(parser)
    parser.add_argument("--note", default="", metavar="TEXT", help="shown to everyone who verifies or installs it")
    parser.set_defaults(decision=APPROVED)


def add_decision_options(parser: argparse.ArgumentParser) -> None:
    """What approving and refusing have in common."""
    parser.add_argument(
        "--key", type=Path, required=True, metavar="KEY", help="your key's file, or NAME.pub with an agent"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    now = time.time()
    root = TrustStore.default().load_root()
    made = decide(args.bundle, root, args.decision, signing_with(args.key), args.note, now, Console(), args.volumes)
    if args.json:
        print_json(made.to_dict())
        return 0
    role = " as a builder" if made.role == "builder" else ""
    out(f"{made.who} {made.decision} {args.bundle}{role} at {utc(int(now))}")
    if made.said_before == made.decision:
        out(f"  {made.who} had {made.decision} it before: who counts is the same; the newest note stands")
    for path in made.written:
        out(f"  wrote      {path}")
    if made.refused:  # then nobody's signature makes up for it
        out(f"it cannot be installed: {shown(made.refused)}")
        out(f"  whoever refused takes it back with {spoken('mirror approve')}")
        return 0
    print_tallies(args.bundle, made.tallies)
    return 0


def signing_with(key: Path) -> Sign:
    """The connected side's signer where its libraries are, else the reviewer's own ssh-keygen."""
    try:
        from mirror.connected.signing.signers import load_signer
    except ImportError:
        return SshKeygen(key).sign
    return load_signer(key).sign

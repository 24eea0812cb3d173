"""``mirror key``: make and show signing keys."""

from __future__ import annotations

import argparse
import getpass
from pathlib import Path
from typing import Any

from mirror.cli.console import print_json
from mirror.core.signatures.sshsig import PublicKey
from mirror.core.trust.truststore import TrustStore

_DESCRIPTION = """\
Make and show signing keys: ed25519, in OpenSSH's format. An existing ssh key or one in an ssh-agent serves as well:
name its file (or FILE.pub for the agent) with `mirror bundle --key`.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("key", description=_DESCRIPTION)
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    new = actions.add_parser(
        "new",
        help="make a key",
        description="Make a private key (mode 0600) and FILE.pub beside it. An existing file is never replaced; a private key "
        "that lacks its FILE.pub, because its making was cut short, gets it.",
    )
    new.add_argument("--comment", default="mirror", metavar="TEXT", help="ends the line in FILE.pub (default: mirror)")
    new.add_argument("--passphrase", action="store_true", help="ask for a passphrase that locks the key")
    show = actions.add_parser(
        "show",
        help="show a key's public half",
        description="Show the public half and the fingerprint of a key, private (locked or not) or public.",
    )
    for action in (new, show):
        action.add_argument(
            "file", type=Path, nargs="?", metavar="FILE", help="the key (default: MIRROR_HOME/keys/builder)"
        )
        action.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    from mirror.connected.signing.keyfile import new_key, read_key

    path = args.file or TrustStore.default().keys / "builder"
    if args.action == "new":
        public = new_key(path, args.comment, _chosen_passphrase(path) if args.passphrase else b"")
    else:
        public = read_key(path).public
    _print(path, public, args.json)
    return 0


def _chosen_passphrase(path: Path) -> bytes:
    """A passphrase typed twice; asked again until both are the same and not empty."""
    from mirror.connected.signing.keyfile import ask_passphrase

    while True:
        first = ask_passphrase(path)
        if first and getpass.getpass("The same again: ").encode() == first:
            return first


def _print(path: Path, public: PublicKey, as_json: bool) -> None:
    if as_json:
        print_json({"path": str(path), "fingerprint": public.fingerprint, "public": public.openssh()})
        return
    print(public.openssh())
    print(f"  file         {path}")
    print(f"  fingerprint  {public.fingerprint}")

"""``mirror trust``: whom this machine trusts, decided once by a fingerprint that travels apart from any bundle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mirror.cli.console import print_json
from mirror.cli.options import fingerprint
from mirror.core.offer import read_offer
from mirror.core.root import Root, utc
from mirror.core.trust import TrustStore

_DESCRIPTION = """\
Say whom this machine trusts. A root names the keys that may sign bundles; its fingerprint is the sha256 of its bytes.

On the builder's machine, `mirror trust init` makes a root and prints its fingerprint (`mirror bundle` does it by itself
when there is none). In the closed network, `mirror trust add` trusts the root that a bundle carries, if its fingerprint is
the one that the builder told you by another way than the bundle.
"""

_ONE_PERSON = """\
WARNING: one key alone decides what the closed hosts install: one builder signs, and nobody has to approve."""

_ONE_MACHINE = """\
WARNING: ONE PERSON HOLDS EVERYTHING. The private keys of the root and of the builder were both made here:
  {files}
Whoever gets these files decides what the closed hosts install. Back up the root's key, then keep it off this machine:
it is needed again only to change who is trusted."""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "trust",
        help="say whom this machine trusts",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    init = actions.add_parser(
        "init",
        help="make a root (connected machine)",
        description="Make the keys of a root and of a builder, and a root of version 1 that names them; trust it here and "
        "print its fingerprint. Where a root is trusted already, nothing is made and that one is shown.",
    )
    init.add_argument("--key", type=Path, metavar="FILE", help="an existing ssh ed25519 key for the builder")
    init.add_argument("--root-key", type=Path, metavar="FILE", help="an existing ssh ed25519 key for the root")
    add = actions.add_parser(
        "add",
        help="trust a root, by its fingerprint",
        description="Trust the root that a bundle carries, or a root document with its signatures beside it (NAME.json, "
        "NAME.sig), if its fingerprint is the one given. Adding the root that is trusted already changes nothing.",
    )
    add.add_argument("file", type=Path, metavar="FILE", help="a bundle, or a root document")
    add.add_argument(
        "--fingerprint",
        type=fingerprint,
        metavar="HEX",
        help="the root's sha256, told by another way than FILE; required the first time",
    )
    show = actions.add_parser("show", help="show the trusted root", description="Show the root that is trusted here.")
    for action in (init, add, show):
        action.add_argument("--json", action="store_true", help="print the result as JSON")
    init.set_defaults(run=run, act=_init)
    add.set_defaults(run=run, act=_add)
    show.set_defaults(run=run, act=_show)


def run(args: argparse.Namespace) -> int:
    code: int = args.act(args, TrustStore.default())
    return code


def _init(args: argparse.Namespace, store: TrustStore) -> int:
    try:
        from mirror.connected.signing import ensure_builder
    except ImportError as exc:
        print(f"mirror: error: 'trust init' runs on the connected machine only ({exc})", file=sys.stderr)
        return 2
    builder = ensure_builder(store, args.key, args.root_key)
    _print(builder.root, store, args.json, created=builder.created)
    return 0


def _add(args: argparse.Namespace, store: TrustStore) -> int:
    _print(store.add_chain(read_offer(args.file), args.fingerprint or ""), store, args.json)
    return 0


def _show(args: argparse.Namespace, store: TrustStore) -> int:
    _print(store.load_root(), store, args.json)
    return 0


def _print(root: Root, store: TrustStore, as_json: bool, created: tuple[Path, ...] = ()) -> None:
    if as_json:
        print_json({**_facts(root), "directory": str(store.directory), "created": [str(path) for path in created]})
        return
    print(f"root fingerprint  {root.fingerprint}")
    print(f"  version   {root.version}, expires {'never' if root.expires is None else utc(root.expires)}")
    for name, role in root.roles():
        print(f"  {name:<9} {role.threshold} of {len(role.keys)}  {', '.join(map(str, role.keys)) or '-'}")
    print(f"  kept in   {store.directory}")
    for path in created:
        print(f"  new key   {path}")
    if len(created) > 1:
        print(_ONE_MACHINE.format(files="\n  ".join(map(str, created))), file=sys.stderr)
    elif root.is_one_person:
        print(_ONE_PERSON, file=sys.stderr)


def _facts(root: Root) -> dict[str, Any]:
    return {
        "fingerprint": root.fingerprint,
        "version": root.version,
        "expires": root.expires,
        "one_person": root.is_one_person,
        "roles": {
            name: {
                "threshold": role.threshold,
                "keys": [
                    {"name": key.name, "fingerprint": key.public.fingerprint, "public": key.public.openssh()}
                    for key in role.keys
                ],
            }
            for name, role in root.roles()
        },
    }

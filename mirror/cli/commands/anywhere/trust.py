"""``mirror trust``: whom this machine trusts, decided once by a fingerprint that travels apart from any bundle."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirror.cli.caller import spoken
from mirror.cli.console import Console, print_json
from mirror.cli.options import Action, add_actions, fingerprint
from mirror.cli.parsing import Usage, add_volumes_option
from mirror.core.bundle.offered_roots import read_offered_roots
from mirror.core.names import whole_number
from mirror.core.trust.root import ROLES, Key, Root
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import expiring
from mirror.core.words import grouped, utc

if TYPE_CHECKING:
    from mirror.connected.signing.rotation import Rotation, Signed

_LAST_SECOND = 86_399
"""Of a day."""

_DESCRIPTION = """\
Say whom this machine trusts. A root names the keys that may sign bundles; its fingerprint is the sha256 of its bytes.

On the builder's machine, `mirror trust init` makes a root and prints its fingerprint (`mirror bundle` does it by itself
when there is none). In the closed network, `mirror trust add` trusts the roots that a bundle carries, if the fingerprint of
one of them is the one that the builder told you by another way than the bundle. Later roots are trusted through the ones
before, and travel in every bundle.

To change who is trusted, on a connected machine: `mirror trust add KEY.pub --role approver` and `mirror trust remove NAME`
write a draft of the next root, `mirror trust rotate` signs it. It counts when enough holders of the old and of the new root
role have signed: send next-root.json and next-root.sig to the others, who run `mirror trust rotate next-root.json`.
"""

_ONE_PERSON = """\
WARNING: one key alone decides what the closed hosts install: one builder signs, and nobody has to approve."""

_ONE_MACHINE = """\
WARNING: ONE PERSON HOLDS EVERYTHING. The private keys of the root and of the builder were both made here:
  {files}
Whoever gets these files decides what the closed hosts install. Back up the root's key, then keep it off this machine:
it is needed again only to change who is trusted."""

_UNCHANGED = """\
nothing to change, and nothing was signed: root version {version} is the newest, and no draft differs from it
a change is asked for with --expires or --threshold, or drafted with `mirror trust add KEY.pub --role ROLE` or
`mirror trust remove NAME`"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("trust", description=_DESCRIPTION)
    add_actions(
        parser,
        Action("init", "make a root (connected machine)", _declare_init, _init),
        Action("add", "trust a root, by its fingerprint; or draft a root with one key more", _declare_add, _add),
        Action("remove", "draft a root with one key less (connected machine)", _declare_remove, _draft),
        Action("rotate", "sign the next root (connected machine)", _declare_rotate, _rotate),
        Action("show", "show the trusted root", _declare_show, _show),
        Action("export", "print the keys for ssh-keygen -Y verify", _declare_export, _export),
    )


def _declare_init(parser: argparse.ArgumentParser) -> None:
    """Make the keys of a root and of a builder, and a root of version 1 that names them; trust it here and print its
    fingerprint. Where a root is trusted already, nothing is made and that one is shown."""
    parser.add_argument("--key", type=Path, metavar="FILE", help="an existing ssh ed25519 key for the builder")
    parser.add_argument("--root-key", type=Path, metavar="FILE", help="an existing ssh ed25519 key for the root")


def _declare_add(parser: argparse.ArgumentParser) -> None:
    """Trust the roots that a bundle carries, or a root document with its signatures beside it (NAME.json, NAME.sig), if the
    fingerprint given is that of one of them; the next root after a trusted one needs none. With --role: add a public key to
    the draft of the next root (connected machine)."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a bundle, a root document, or with --role a public key"
    )
    parser.add_argument(
        "--fingerprint",
        type=fingerprint,
        metavar="HEX",
        help="the root's sha256, told by another way than FILE; required the first time (in quotes where it has blanks)",
    )
    add_volumes_option(parser)
    parser.add_argument("--role", choices=ROLES, help="FILE is a public key that shall have this role")
    parser.add_argument("--name", metavar="NAME", help="what messages call its holder (default: the file's name)")


def _declare_remove(parser: argparse.ArgumentParser) -> None:
    """Take a key out of the draft of the next root. Once that root is trusted, nothing that the key signed counts any more,
    also what it signed before: sign bundles that are still wanted again."""
    parser.add_argument("name", metavar="NAME", help="as `mirror trust show` calls it")
    _add_threshold_option(parser)


def _declare_rotate(parser: argparse.ArgumentParser) -> None:
    """Sign the draft of the next root with the root keys that are here. When enough have signed, it is trusted here and
    travels in the next bundle; else it says who is missing. Where nothing would change, nothing is signed; where no root
    key is, the draft is kept for those who have one."""
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="a draft that another holder sent")
    parser.add_argument(
        "--key",
        type=Path,
        action="append",
        metavar="KEY",
        help="sign with this root key; may be repeated (default: keys/root)",
    )
    _add_threshold_option(parser)
    parser.add_argument(
        "--expires", type=_moment, metavar="DATE", help="trust nothing by it after the day YYYY-MM-DD (UTC), or 'never'"
    )


def _add_threshold_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        type=_threshold,
        metavar="ROLE=N",
        help="require N signatures of the role; may be repeated",
    )


def _declare_show(parser: argparse.ArgumentParser) -> None:
    """Show the root that is trusted here."""


def _declare_export(parser: argparse.ArgumentParser) -> None:
    """Print the trusted root's keys as an allowed_signers file, by which ssh-keygen checks a bundle's signatures without
    mirror."""
    parser.add_argument(
        "--role",
        choices=ROLES,
        action="append",
        help="keys of this role; may be repeated (default: builder and approver)",
    )


def _threshold(text: str) -> tuple[str, int]:
    role, _, words = text.partition("=")
    number = whole_number(words)
    if role not in ROLES or number is None:
        raise argparse.ArgumentTypeError(f"expected ROLE=N with one of {', '.join(ROLES)}, got {text!r}")
    return role, number


def _moment(text: str) -> int:
    """Seconds since 1970 at the day's last second, as in a policy; 0 for never."""
    if text == "never":
        return 0
    try:
        text.encode("ascii")  # strptime takes the digits of other scripts, too
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc)
        moment = int(day.timestamp()) + _LAST_SECOND
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"expected YYYY-MM-DD or 'never', got {text!r}") from exc
    if moment <= time.time():
        raise argparse.ArgumentTypeError(
            f"expected today, a day to come or 'never', got {text}, which ended {utc(moment)}"
        )
    return moment


def run(args: argparse.Namespace) -> int:
    code: int = args.act(args, TrustStore.default())
    return code


def _init(args: argparse.Namespace, store: TrustStore) -> int:
    _need_connected("init")
    from mirror.connected.signing.signers import ensure_builder

    builder = ensure_builder(store, (args.key,) if args.key else (), args.root_key)
    _print(builder.root, store, args.json, builder.created, builder.notes)
    return 0


def _add(args: argparse.Namespace, store: TrustStore) -> int:
    if args.role:
        return _draft(args, store)
    offered = read_offered_roots(args.file, args.volumes)
    _print(store.add_chain(offered, confirmed_fingerprint=args.fingerprint or ""), store, args.json)
    return 0


def _draft(args: argparse.Namespace, store: TrustStore) -> int:
    """Add a key to the draft of the next root, or take one out."""
    _need_connected(args.action)
    from mirror.connected.signing.keyfile import read_public
    from mirror.connected.signing.rotation import Rotation

    rotation = Rotation(store)
    with rotation.alone():
        if args.action == "add":
            root = rotation.add_key(args.role, Key(args.name or args.file.stem, read_public(args.file)))
        else:
            root = rotation.remove_key(args.name, args.threshold)
        rotation.draft(root)
    if args.json:
        print_json({"draft": str(rotation.path), **_facts(root)}, "trust-draft")
        return 0
    _print_roles(root)
    print(f"drafted in {rotation.path}; nobody trusts it yet: sign it with `mirror trust rotate`")
    return 0


def _rotate(args: argparse.Namespace, store: TrustStore) -> int:
    _need_connected("rotate")
    from mirror.connected.signing.rotation import Rotation

    rotation = Rotation(store, args.file)
    with rotation.alone():
        return _sign(args, rotation, store)


def _sign(args: argparse.Namespace, rotation: Rotation, store: TrustStore) -> int:
    """Tell what the draft changes, and sign just that."""
    from mirror.connected.signing.rotation import Signed, changes, check_lasting, with_threshold
    from mirror.connected.signing.signers import load_signer

    if done := rotation.finished():  # by a run that was stopped before it could say so
        return _tell_signed(done, (), store, args.json)
    root = rotation.next_root()
    for role, number in args.threshold:
        root = with_threshold(root, role, number)
    if args.expires is not None:
        root = replace(root, expires=args.expires or None)
    before = store.load_root()
    told = changes(before, root)
    if not told and not args.file:
        if not args.json:
            print(_UNCHANGED.format(version=before.version))
            return 0
        return _tell_signed(Signed(before, True, (), rotation.path), (), store, as_json=True)
    check_lasting(root)
    rotation.draft(root)
    keys = args.key or rotation.own_keys()
    if not args.json:
        what = "signing" if keys else "drafted"
        words = f"{what} root version {root.version}; after version {before.version}, {'; '.join(told) or 'no change'}"
        print(words, flush=True)  # before it is signed, into a pipe as well
    for one in rotation.others():
        Console().say(f"note: {one}: see that what is changed is what you agreed on")
    signed = rotation.sign([load_signer(key) for key in keys], told=root)
    return _tell_signed(signed, told, store, args.json)


def _tell_signed(signed: Signed, told: tuple[str, ...], store: TrustStore, as_json: bool) -> int:
    if as_json:
        missing = [str(one) for one in signed.shortfalls]
        state = {"trusted": signed.is_trusted, "missing": missing, "draft": str(signed.path), "changes": list(told)}
        print_json({**_facts(signed.root), **state})
    elif signed.is_trusted:
        _print(signed.root, store, as_json=False)
    else:
        print(f"root version {signed.root.version} is not trusted yet: it {'; it '.join(map(str, signed.shortfalls))}")
        print(f"send them {signed.path} and {signed.path.with_suffix('.sig')}; they run `mirror trust rotate FILE`")
    return 0


def _need_connected(action: str) -> None:
    """Refuse what needs the libraries of the connected machine.

    Raises:
        Usage: when one of them is not here.
    """
    try:
        import mirror.connected.signing.signers  # noqa: F401 - what signing needs is there, or is not
    except ImportError as exc:
        raise Usage(f"'trust {action}' runs on the connected machine only ({exc})") from exc


def _export(args: argparse.Namespace, store: TrustStore) -> int:
    root = store.load_root()
    lines = root.allowed_signers(tuple(args.role or ("builder", "approver")))
    if args.json:
        print_json({"fingerprint": root.fingerprint, "allowed_signers": lines.splitlines()})
    else:
        print(lines, end="")
    return 0


def _show(args: argparse.Namespace, store: TrustStore) -> int:
    _print(store.load_root(), store, args.json)
    return 0


def _print(
    root: Root, store: TrustStore, as_json: bool, created: tuple[Path, ...] = (), notes: tuple[str, ...] = ()
) -> None:
    if as_json:
        facts = {"directory": str(store.directory), "created": [str(path) for path in created]}
        print_json({**_facts(root), **facts, "notes": [*notes, *expiring(root)]})
        return
    first, second = grouped(root.fingerprint[:32]), grouped(root.fingerprint[32:])
    print(f"root fingerprint  {first}\n                  {second}")
    _print_roles(root)
    print(f"  kept in   {store.directory}")
    for path in created:
        print(f"  new key   {path}")
    for note in (*notes, *expiring(root)):
        print(f"note: {spoken(note)}")
    if len(created) > 1:
        Console().say(_ONE_MACHINE.format(files="\n  ".join(map(str, created))))
    elif root.is_one_person:
        Console().say(_ONE_PERSON)


def _print_roles(root: Root) -> None:
    expiry = "expires never" if root.expires is None else f"expires {utc(root.expires)}"
    if root.expires is not None and root.expires <= time.time():
        expiry = f"EXPIRED {utc(root.expires)}: nothing is trusted by it"
    print(f"  version   {root.version}, {expiry}")
    for name, role in root.roles():
        print(f"  {name:<9} {role.threshold} of {len(role.keys)}  {', '.join(map(str, role.keys)) or '-'}")


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

"""``mirror publish``: give a verified bundle's wheels and RPMs to the site, as a directory or to its package index."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mirror.cli.caller import spoken
from mirror.cli.console import Console, shown, tell
from mirror.cli.parsing import add_bundle_argument
from mirror.closed.site.directory import publish_directory
from mirror.closed.site.shelf import read_shelf, verified_bundle
from mirror.closed.site.upload import publish_index
from mirror.core.names import split_url
from mirror.core.policy.document import read_policy
from mirror.core.words import counted

_DESCRIPTION = """\
Publish what a bundle holds inside the site. To a directory: its wheels as a package index (PEP 503, 691 and 658) and its RPMs
as a repository with repodata, as files for any web server. To an address: its wheels, uploaded by twine to the package index
there. The bundle must be one that 'install' would take: signed, approved, refused by nobody; all of it is verified first.

What is there already with the same bytes is left as it is; other bytes under a name are refused before anything is written, and
nothing is ever removed or overwritten. Cut anywhere, the same command goes on.
"""

_EPILOG = """\
Credentials for an index are TWINE_USERNAME and TWINE_PASSWORD, or the netrc file's, or the keyring's (twine asks that); never
arguments, nor parts of an address. How to set up a web server, and clients: mirror help site.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("publish", description=_DESCRIPTION, epilog=_EPILOG)
    add_bundle_argument(parser)
    parser.add_argument(
        "--to",
        required=True,
        type=lambda text: _address(text) if "://" in text else text,
        metavar="DIR-or-URL",
        help="the directory, or where the index takes uploads",
    )
    parser.add_argument(
        "--index-url",
        type=_address,
        metavar="URL",
        help="where pip finds that index (default: simple/ or +simple/ below the address of uploads)",
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help="refuse what this policy.toml does not allow")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _address(text: str) -> str:
    """An index's address. It may hold a password, so an error shows none of it."""
    try:
        parts = split_url(text)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        known = None
    if not known:
        raise argparse.ArgumentTypeError(
            "expected the path of a directory, or an address that begins with https:// or http://"
        )
    if parts.username is not None or parts.password is not None:
        raise argparse.ArgumentTypeError(
            "it holds a user name or password, which every user of this host could read in the list of processes: set "
            "TWINE_USERNAME and TWINE_PASSWORD, or use ~/.netrc or the keyring"
        )
    if parts.query or parts.fragment:
        raise argparse.ArgumentTypeError("expected an address without '?' and '#'")
    return text


def run(args: argparse.Namespace) -> int:
    console = Console()
    policy = read_policy(args.policy) if args.policy else None
    is_index = "://" in args.to
    if args.index_url and not is_index:
        args.parser.error("--index-url is for --to URL: a directory has its pages in itself")
    with verified_bundle(args.bundle, policy, progress=console, volumes=args.volumes) as bundle:
        shelf = read_shelf(bundle)
        if is_index:
            published = publish_index(bundle, shelf, args.to, args.index_url or "", console)
        else:
            published = publish_directory(bundle, shelf, Path(args.to), console)
    what = f"published {counted(len(published.added), 'file')} in {published.place}"
    index = published.index or "http://HOST/simple/"  # where a web server gives it out
    use = f"pip install --index-url {index} PACKAGE"
    lines = [
        f"{what}; {len(published.kept)} were there already",
        f"use it with:  {use}"
        if is_index
        else f"give it out by any web server (mirror help site), and use it with:  {use}",
        *(f"note: {shown(spoken(note))}" for note in published.notes),
    ]
    tell(args, vars(published), lines)
    return 0

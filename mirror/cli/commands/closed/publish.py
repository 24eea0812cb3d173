"""``mirror publish``: give a verified bundle's wheels and RPMs to the site, as a directory or to its package index."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mirror.cli.console import Console, out, print_json, shown
from mirror.closed.site.directory import publish_directory
from mirror.closed.site.shelf import read_shelf, verified_bundle
from mirror.core.policy.document import read_policy
from mirror.core.words import counted

_DESCRIPTION = """\
Publish what a bundle holds inside the site. To a directory: its wheels as a package index (PEP 503, 691 and 658) and its RPMs as
a repository with repodata, as files for any web server. To an address: its wheels, uploaded by twine to the package index there.
The bundle must be one that 'install' would take: signed, approved, refused by nobody; all of it is verified first.

What is there already with the same bytes is left as it is; other bytes under a name are refused before anything is written, and
nothing is ever removed or overwritten. Cut anywhere, the same command goes on.
"""

_EPILOG = """\
Credentials for an index are TWINE_USERNAME and TWINE_PASSWORD, or the netrc file's, or the keyring's (twine asks that); never
arguments, nor parts of an address. How to set up a web server, and clients: mirror help site.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("publish", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("bundle", type=Path, metavar="FILE", help="the bundle")
    parser.add_argument(
        "--to", required=True, metavar="DIR-or-URL", help="the directory, or where the index takes uploads"
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help="refuse what this policy.toml does not allow")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    console = Console()
    policy = read_policy(args.policy) if args.policy else None
    with verified_bundle(args.bundle, policy, progress=console) as bundle:
        published = publish_directory(bundle, read_shelf(bundle), Path(args.to), console)
    if args.json:
        print_json(published.to_dict())
        return 0
    out(
        f"published {counted(len(published.added), 'file')} in {published.place}; {len(published.kept)} were there already"
    )
    for note in published.notes:
        out(f"note: {shown(note)}")
    return 0

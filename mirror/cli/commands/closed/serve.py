"""``mirror serve``: a package index and an RPM repository, straight out of a verified bundle."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from pathlib import Path
from typing import Any

from mirror.cli.caller import spoken
from mirror.cli.console import Console, is_verbose, out, print_json, shown
from mirror.cli.failure import Stopped
from mirror.cli.parsing import add_bundle_argument
from mirror.closed.site.server import site_server
from mirror.closed.site.shelf import read_shelf, verified_bundle
from mirror.core.names import whole_number
from mirror.core.policy.document import read_policy
from mirror.core.words import counted

_DESCRIPTION = """\
Serve the wheels and RPMs of a bundle, straight out of the file, to pip, uv, dnf and zypper: a package index (PEP 503, 691 and
658) below /simple/, an RPM repository at /rpms/. The bundle must be one that 'install' would take: signed, approved, refused by
nobody; all of it is verified first. Only reads, and answers nothing but GET and HEAD. Ctrl-C ends it.
"""

_EPILOG = """\
There is no password and no TLS: with --bind, whoever reaches the address can read. A file that changes on the disk while it is
served is refused from then on. With --verbose each request is told.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("serve", description=_DESCRIPTION, epilog=_EPILOG)
    add_bundle_argument(parser)
    parser.add_argument("--port", type=_port, default=8000, metavar="N", help="0 for any that is free (default: 8000)")
    parser.add_argument(
        "--bind",
        type=_address,
        default="127.0.0.1",
        metavar="ADDR",
        help="this address of the host (default: 127.0.0.1)",
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help="refuse what this policy.toml does not allow")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, when it ends")


def _port(text: str) -> int:
    port = whole_number(text)
    if port is None or port > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return port


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an IP address such as 0.0.0.0 or ::1, got {text!r}") from None


def run(args: argparse.Namespace) -> int:
    console = Console()
    policy = read_policy(args.policy) if args.policy else None
    with verified_bundle(args.bundle, policy, progress=console, volumes=args.volumes) as bundle:
        shelf = read_shelf(bundle)

        def say(line: str) -> None:
            if is_verbose():
                console.say(shown(line))

        def alarm(problem: str) -> None:
            console.say(f"error: {shown(problem)}; nothing more is served. {spoken('mirror verify')} says what changed")

        with site_server(bundle, shelf, (args.bind, args.port), say, alarm) as server:
            index, repository = f"{server.address}/simple/", f"{server.address}/rpms/" if shelf.packages else ""
            try:  # once it is told, a signal ends it as it should
                if not args.json:
                    out(
                        f"serving {args.bundle}: {counted(len(shelf.wheels), 'wheel')}, {counted(len(shelf.packages), 'RPM')}"
                    )
                    out(f"  pip install --index-url {index} PACKAGE")
                    for key in shelf.keys if repository else ():
                        out(f"  rpm --import {repository}{key}")
                    if repository:
                        out(f"  dnf --repofrompath mirror,{repository} install PACKAGE")
                    if not ipaddress.ip_address(args.bind).is_loopback:
                        out(f"note: whoever reaches {args.bind} can read it all; there is no password")
                    sys.stdout.flush()
                else:
                    console.say(f"serving at {server.address}")
                server.serve_forever()
            except (KeyboardInterrupt, Stopped):
                console.say("stopped")
            if args.json:
                facts = {"bundle": str(args.bundle), "manifest_sha256": bundle.digest, "index": index}
                counts = {"wheels": len(shelf.wheels), "packages": len(shelf.packages)}
                print_json({**facts, "repository": repository, **counts, "problem": server.spoilt})
    return 0

"""``mirror lock``: wishes in, pins out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirror.cli.console import Console, print_json
from mirror.cli.options import add_repository_options

if TYPE_CHECKING:
    from mirror.connected.lock import Locked

_DESCRIPTION = """\
Pin everything that NAME.toml wishes for, for its target, whatever machine this is.

Written beside NAME.toml: NAME.txt (Python projects, with the sha256 of the one file that the target takes), NAME.build.txt
(what the builds from source need), NAME.rpms.toml (the CUDA toolchain's RPMs) and NAME.files.txt (which RPM of that CUDA
release brings which file, for mirror which); or NAME.redist.toml (NVIDIA's component archives), if NAME.toml has [redist] in
place of [rpms]. Versions that are locked already are kept where they still answer; when nothing changes, no file does. No
package's code is run.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "lock",
        help="pin what a stack wishes for",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stack", type=Path, metavar="NAME.toml", help="the stack, e.g. lockfiles/h100.toml")
    parser.add_argument(
        "--resolver",
        choices=("uv", "pip-tools"),
        default="uv",
        help="what chooses the versions (default: uv; pip-tools only where this machine is like the target)",
    )
    parser.add_argument(
        "--rpms-lock", type=Path, metavar="FILE", help="take only RPMs that this rpms.lock.yaml (Hermeto's) names"
    )
    parser.add_argument(
        "--write-rpms-lock", type=Path, metavar="FILE", help="write the RPMs as a rpms.lock.yaml for Hermeto, too"
    )
    add_repository_options(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from mirror.connected.fetching.store import Store
    from mirror.connected.lock import LockOptions, lock

    options = LockOptions(
        resolver=args.resolver,
        rpm_repo=args.rpm_repo,
        rpm_fingerprints=tuple(args.rpm_fingerprint),
        rpms_lock=args.rpms_lock,
        write_rpms_lock=args.write_rpms_lock,
        without=frozenset(args.without),
    )
    locked = lock(args.stack, options, Store.default(), Console())
    print_json(locked.to_dict()) if args.json else _print(locked)
    return 0


def _print(locked: Locked) -> None:
    for file in locked.files:
        unit = "files" if file.path.name.endswith(".files.txt") else "pins"
        print(f"{file.path}  {file.pins} {unit}  {'written' if file.changed else 'unchanged'}")
    for line in locked.unpinned:
        print(f"goes without {line}")

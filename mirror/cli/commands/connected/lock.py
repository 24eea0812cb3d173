"""``mirror lock``: wishes in, pins out."""

from __future__ import annotations

import argparse
import shlex
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirror.cli.console import Console, print_json
from mirror.cli.options import STACK_HELP, add_index_option, add_repository_options
from mirror.cli.stacktargets import meant_stacks
from mirror.core.errors import Unreadable
from mirror.core.stackfiles import StackFiles, find_stack, is_written

if TYPE_CHECKING:
    from mirror.connected.lock import Locked
    from mirror.connected.locking.moves import Move

_DESCRIPTION = """\
Pin everything that a stack wishes for in NAME.toml, for its target, whatever machine this is.

Written beside NAME.toml: NAME.txt (Python projects, with the sha256 of the one file that the target takes), NAME.build.txt
(what the builds from source need), NAME.rpms.toml (the CUDA toolchain's RPMs) and NAME.files.txt (which RPM of that CUDA
release brings which file, for mirror which); or NAME.redist.toml (NVIDIA's component archives), if NAME.toml has [redist] in
place of [rpms]. NAME is looked for in lockfiles/, then here.

Versions that are locked already are kept where they still answer; when nothing changes, no file does. --upgrade lets them move:
everything, or only the projects named ('toolchain' names the CUDA toolchain, 'interpreter' the Python that is carried). What
moved is told; so is, of each project that NAME.toml names, a newer version that is not locked, and what kept it out. Pins for
different releases of CUDA are refused. No package's code is run.

A NAME.toml with [targets] is locked for each of them: NAME.TARGET.txt and so on.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("lock", description=_DESCRIPTION)
    parser.add_argument("stack", metavar="NAME", help=STACK_HELP)
    parser.add_argument(
        "--upgrade",
        nargs="*",
        metavar="PROJECT",
        help="take the newest versions that fit, of these projects, or of everything when none is named",
    )
    parser.add_argument(
        "--target",
        metavar="FILE|TARGET",
        help="first take Python, glibc and GPU of NAME.toml from a host's file, which 'mirror detect -o FILE' wrote there; "
        "of a NAME.toml with several targets, lock this one alone",
    )
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
    add_index_option(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    from mirror.connected.fetching.store import Store
    from mirror.connected.lock import lock
    from mirror.connected.locking.adoption import adopted
    from mirror.connected.locking.drafts import LockOptions
    from mirror.connected.locking.upgrade import Upgrade

    options = LockOptions(
        resolver=args.resolver,
        toolchain_repo=args.toolchain_repo,
        rpm_fingerprints=tuple(args.rpm_fingerprint),
        rpms_lock=args.rpms_lock,
        write_rpms_lock=args.write_rpms_lock,
        without=frozenset(args.without),
        upgrade=Upgrade.of(args.upgrade),
        index_url=args.index_url,
    )
    console, found = Console(), _found(args.stack)
    for_one = {"--rpms-lock": args.rpms_lock, "--write-rpms-lock": args.write_rpms_lock}
    meant = meant_stacks(found, args.target, for_one)
    if meant:
        done: dict[str, Any] = {}
        for target, stack in meant.items():
            console.say(f"for target {target}")
            locked = lock(stack.wishes, options, Store.default(), console)
            done[target] = locked.to_dict()
            # What is done is told, also when the next one fails.
            print_json({"targets": done}, "lock-targets") if args.json else _print(locked)
        return 0
    with adopted(found.wishes, Path(args.target), console) if args.target else nullcontext(()) as taken:
        locked = lock(found.wishes, options, Store.default(), console)
    locked = replace(locked, notes=(*taken, *locked.notes))
    print_json(locked.to_dict()) if args.json else _print(locked)
    return 0


def _found(word: str) -> StackFiles:
    """The files of the stack that a word means.

    Raises:
        Unreadable: when it means another tool's file, which alone says what is wanted but not for which machine.
    """
    found = find_stack(word)
    if found.lock.is_file() and not is_written(found.wishes):
        raise Unreadable(str(found.lock), "it is no stack's NAME.toml, and there is none beside it").advised(
            f"'mirror init NAME --from {shlex.quote(str(found.lock))}' writes one for what it asks for."
        )
    return found


def _print(locked: Locked) -> None:
    for file in locked.files:
        unit = "files" if file.path.name.endswith(".files.txt") else "pins"
        what = "removed" if file.is_removed else "written" if file.changed else "unchanged"
        print(f"{file.path}  {file.pins} {unit}  {what}")
    for line in _table(locked.moved):
        print(f"  {line}")
    for line in locked.unpinned:
        print(f"goes without {line}")
    for note in (*locked.kept_out, *locked.notes):
        print(f"note: {note}")


def _table(moved: tuple[Move, ...]) -> list[str]:
    """Old and new versions below each other."""
    rows = [(move.name, move.old or "(new)", move.new or "(gone)", move.part) for move in moved]
    names, olds = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    return [
        f"{name:<{names}}  {old:<{olds}} -> {new}" + (" (to build with)" if part == "build" else "")
        for name, old, new, part in rows
    ]

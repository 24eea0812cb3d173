"""``mirror build``: the wheels of a stack that are built from source, without a bundle."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirror.cli.console import Console, out, print_json
from mirror.cli.options import (
    add_builder_options,
    add_index_option,
    add_locked_stack_arguments,
    add_repository_options,
    add_wheelhouse_option,
)
from mirror.cli.stacktargets import found_stack, meant_stacks, wheelhouse_of

if TYPE_CHECKING:
    from mirror.connected.building.kept import BuiltWheel
    from mirror.connected.building.request import BuildRequest

_DESCRIPTION = """\
Build what a stack builds from source, and nothing else: no bundle is made. 'mirror bundle' finds the wheels where they are.

Each wheel is a job whose key is the digest of all its inputs. --list shows them. --job 2/8 does every eighth of them,
beginning with the second, as an array of Slurm or a matrix of a CI system asks for; -o DIR hands the results over, and
--take DIR on another machine takes them. --scheduler gives the jobs to Dask Distributed. More: 'mirror help building'.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("build", description=_DESCRIPTION)
    add_locked_stack_arguments(parser)
    parser.add_argument("--target", metavar="TARGET", help="of a NAME.toml with several targets, this one")
    parser.add_argument(
        "--locked", action="store_true", help="refuse to lock anything, as every machine of many should"
    )
    parser.add_argument("--list", action="store_true", help="print the jobs and which of them are done; build nothing")
    parser.add_argument("--job", type=_part, metavar="N/M", help="do the N-th of M shares of the jobs, counted from 1")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="also write each result into DIR, for --take")
    parser.add_argument(
        "--take",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="take results that other machines wrote with -o, checked, before anything is built; may be repeated",
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="have a Dask cluster build, e.g. tcp://10.0.0.5:8786")
    parser.add_argument(
        "--resource",
        type=_resource,
        action="append",
        default=[],
        metavar="NAME=N",
        help="what a job takes of its Dask worker's --resources; may be repeated",
    )
    parser.add_argument(
        "--verify-builds",
        type=int,
        default=0,
        metavar="N",
        help="build N of the wheels a second time, here, and refuse one that comes out different",
    )
    add_wheelhouse_option(parser)
    add_repository_options(parser)
    add_index_option(parser)
    add_builder_options(parser)


def run(args: argparse.Namespace) -> int:
    from mirror.connected.building.builder import build_wheel
    from mirror.connected.building.kept import kept_wheel
    from mirror.connected.cluster import build_on
    from mirror.connected.fetching.store import Store
    from mirror.connected.jobs import BuildOptions, hand_over, share, take, verify, workbench
    from mirror.connected.planning.wishes import Wishes

    if args.scheduler and (args.job or args.list):
        args.parser.error("--scheduler shares the jobs out itself: leave out --job and --list")
    found = found_stack(args)
    meant = meant_stacks(found, args.target, {"mirror build": True})
    lock = next(iter(meant.values()), found).lock
    console, store = Console(), Store.default(wheelhouse_of(args, lock))
    wishes = Wishes(
        lock=lock,
        locked=args.locked or args.list,
        toolchain_repo=args.toolchain_repo,
        without=frozenset(args.without),
        epoch=os.environ.get("SOURCE_DATE_EPOCH"),
        index_url=args.index_url,
        rpm_fingerprints=tuple(args.rpm_fingerprint),
    )
    options = BuildOptions(wishes, max(1, args.jobs), args.python)
    with workbench(options, store, console) as (every, locks):
        requests = share(every, *args.job) if args.job else every
        before = {request.key for request in requests if kept_wheel(request, store)}
        take(requests, args.take, store)
        if args.scheduler:
            for _ in build_on(args.scheduler, requests, locks, options, store, dict(args.resource) or None, console):
                pass
        if args.list:
            jobs = [_facts(request, kept_wheel(request, store), False) for request in requests]
        else:
            wheels = [build_wheel(request, store, progress=console) for request in requests]
            if args.output:
                for request, wheel in zip(requests, wheels):
                    hand_over(wheel, request, args.output)
            fresh = [request for request in requests if request.key not in before]
            verified = {one.key for one in verify(fresh or requests, args.verify_builds, store, console)}
            jobs = [_facts(request, wheel, request.key in verified) for request, wheel in zip(requests, wheels)]
    if args.json:
        print_json({"jobs": jobs}, "build-jobs")
    elif every and not jobs:
        number, count = args.job
        out(f"share {number} of {count} has no job: there {'is' if len(every) == 1 else 'are'} {len(every)}")
    else:
        _print(jobs)
    return 0


def _facts(request: BuildRequest, built: BuiltWheel | None, is_verified: bool) -> dict[str, Any]:
    outcome = built.record["outcome"] if built else {"needs": {}, "gpus": [], "auditwheel": "", "notes": []}
    return {
        "key": request.key,
        "project": request.project,
        "version": request.version,
        "wheel": str(built.path) if built else None,
        "sha256": built.sha256 if built else None,
        "verified": is_verified,
        **outcome,
    }


def _print(jobs: list[dict[str, Any]]) -> None:
    for one in jobs:
        out(f"{one['key'][:16]}  {one['project']} {one['version']}  {one['wheel'] or 'not built here'}")
        if one["wheel"]:
            needs = [f"{name}_{version}" for name, version in sorted(one["needs"].items())]
            facts = [*needs, *one["gpus"], *([f"auditwheel: {one['auditwheel']}"] if one["auditwheel"] else [])]
            out(f"  needs       {', '.join(facts)}") if facts else None
        if one["verified"]:
            out("  built twice with the same bytes")
        for note in one["notes"]:
            out(f"  note: {note}")
    if not jobs:
        out("nothing is built from source")


def _part(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", text, re.ASCII)
    if not match or int(match[1]) > int(match[2]):
        raise argparse.ArgumentTypeError(f"expected N/M with N from 1 to M, such as 2/8, got {text!r}")
    return int(match[1]), int(match[2])


def _resource(text: str) -> tuple[str, float]:
    match = re.fullmatch(r"([A-Za-z0-9_.-]+)=([0-9]{1,9}(?:\.[0-9]{1,9})?)", text, re.ASCII)
    if not match:
        raise argparse.ArgumentTypeError(f"expected NAME=N, such as build=1, got {text!r}")
    return match[1], float(match[2])

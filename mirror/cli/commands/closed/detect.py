"""``mirror detect``: what this host is, for those who make bundles for it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from mirror.cli.console import Console, out, print_json
from mirror.closed.doctor.detect import detect
from mirror.core.system.durable import write_file
from mirror.core.system.output import check_output
from mirror.core.targets.detected import BEGINNING

_DESCRIPTION = """\
Say what this host is, for those who lock and make bundles for it: driver, GPUs, glibc, libstdc++, processors, Pythons, gcc,
free space, noexec, quota, /dev/shm, FIPS mode, cuda-compat.

The result is TOML of less than 2 KB, small enough to be typed from paper or carried as a QR code; read it before you carry it
out, it names paths. What cannot be told is listed as unknown, with the reason. On the connected side 'mirror lock --target'
and 'mirror bundle --check-target' take it. Nothing is reached over a network.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("detect", description=_DESCRIPTION)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write it there, e.g. target.toml (default: stdout)"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    if args.output:
        check_output(args.output, "host's file", BEGINNING)
    found = detect(os.environ)
    data = found.encode()
    if args.output:
        check_output(args.output, "host's file", BEGINNING)  # again: it took a while
        write_file(args.output, data)
        Console().say(f"{args.output}: {len(data)} bytes")
    if args.json:
        print_json(found.to_dict())
    elif not args.output:
        out(data.decode().rstrip("\n"))
    return 0

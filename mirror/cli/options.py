"""Options that ``mirror lock`` and ``mirror bundle`` share."""

from __future__ import annotations

import argparse


def add_repository_options(parser: argparse.ArgumentParser) -> None:
    """Where the RPMs come from, who signs them, and what is done without."""
    parser.add_argument("--rpm-repo", metavar="URL-or-DIR", help="a copy of the RPM repository that NAME.toml names")
    parser.add_argument(
        "--rpm-fingerprint",
        action="append",
        default=[],
        metavar="HEX",
        help="the OpenPGP key that signs that copy, when it is not one that NAME.toml pins; may be repeated",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="PART",
        help="leave out 'rpms' (no CUDA toolchain), or a requirement that NAME.toml calls optional; may be repeated",
    )

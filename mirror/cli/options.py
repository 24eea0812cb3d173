"""Options and arguments that several commands share."""

from __future__ import annotations

import argparse

from mirror.core.names import Sha256Hex, sha256_hex


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


def fingerprint(text: str) -> Sha256Hex:
    """A fingerprint as people write it down: blanks between groups and upper case are theirs to choose."""
    try:
        return sha256_hex("".join(text.split()).lower())
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc

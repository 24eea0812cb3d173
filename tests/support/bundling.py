"""``mirror bundle`` with tools that a test made: its command line takes the real ones, which only the package index has.

``python -m tests.support.bundling DIRECTORY`` bundles ``lockfiles/small.txt`` there into ``b.tar``, and ends as the
command does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mirror.cli import failure
from mirror.connected.bundle import BundleOptions, bundle
from mirror.connected.fetching.store import Store
from mirror.connected.pins.requirements import parse_lock
from mirror.connected.planning.wishes import Wishes
from mirror.core.trust.truststore import TrustStore


def main(directory: Path) -> int:
    """The exit code."""
    try:
        tools = parse_lock((directory / "lockfiles/tools.txt").read_bytes(), "tools.txt")
        wishes = Wishes(directory / "lockfiles/small.txt", tools=tools)
        trust = TrustStore(Path(os.environ["MIRROR_HOME"]))
        bundle(BundleOptions(wishes, directory / "b.tar"), Store(directory / "home/store"), trust)
    except failure.CAUGHT as exc:
        error = failure.named(exc, "bundle")
        failure.tell(error, debug=False)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""``mirror split``: a file in volumes, as large as the media that carry them; and volumes checked alone."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mirror.cli.console import Console, human_bytes, tell
from mirror.cli.parsing import add_volumes_option
from mirror.core.bundle.volumes.splitting import Split, check_volumes, split
from mirror.core.words import counted

_DESCRIPTION = """\
Write FILE (a bundle, a delta, any file) in volumes, FILE.001, FILE.002 and so on, and an index of them, FILE.volumes, which
names each by its sha256. `mirror verify`, `report`, `install` and all that read a bundle take the index, or any of the volumes,
and read them where they lie, in several directories (--volumes DIR), without joining them.

With --check, read volumes and hold each to the index: on the day a medium is written, and when one arrives. Only those that are
bad are copied again. Without mirror, `sha256sum -c FILE.volumes` checks them, and `cat FILE.??? > FILE` joins them.
"""

_EPILOG = """\
SIZE is counted as media are sold: 4G is 4,000,000,000 bytes, which a FAT32 medium takes; 4GiB is 4,294,967,296, which it does
not. A run that was stopped, or found no room, is gone on with by the same command: volumes that are there are compared, not
written.
"""

_UNITS = {
    "": 1,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("split", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the file; with --check its index, or a volume for that one alone"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--size", type=size, metavar="SIZE", help="of each volume, e.g. 4G or 650M")
    what.add_argument("--check", action="store_true", help="write nothing: check volumes that are there")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="where to (default: beside FILE); repeated: each volume goes to the first that has room for it",
    )
    add_volumes_option(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def size(text: str) -> int:
    """A size as people write it, in bytes."""
    found = re.fullmatch(r"([0-9]{1,15})(?:\.([0-9]{1,3}))?\s*([KMGT]i?)?B?", text.strip(), re.IGNORECASE | re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a size such as 4G, 650M or 4GiB, got {text!r}")
    unit = (found[3] or "").upper()
    factor = _UNITS[f"{unit[0]}iB" if unit.endswith("I") else unit]
    whole = int(found[1]) * factor + int((found[2] or "0").ljust(3, "0")) * factor // 1000
    if not whole:
        raise argparse.ArgumentTypeError("a volume has at least one byte")
    return whole


def run(args: argparse.Namespace) -> int:
    if args.check:
        if args.output:
            args.parser.error("--check writes nothing: -o has no meaning with it")
        return _check(args)
    if args.volumes:
        args.parser.error("--volumes is for --check; where volumes are written, -o says")
    made = split(args.file, args.size, args.output, Console())
    tell(args, made.to_dict(), _lines(made))
    return 0


def _lines(made: Split) -> Iterator[str]:
    index = made.index
    for number, path in enumerate(made.volumes, 1):
        yield f"{path}  {human_bytes(index.size_of(number))}"
    yield from map(str, made.indexes)
    kept = f"; {made.kept} were there already" if made.kept else ""
    volumes = counted(len(made.volumes), "volume")
    yield f"{index.name}: {human_bytes(index.size)} in {volumes}{kept}; sha256 {index.sha256}"


def _check(args: argparse.Namespace) -> int:
    found = check_volumes(args.file, args.volumes, Console())
    told = ((one, "BAD" if one.fault else "ok") for one in found.volumes)
    lines = (f"{one.path}: {how}" if one.path else f"{one.name}: MISSING" for one, how in told)
    tell(args, found.to_dict(), lines, "split-check")
    found.enforce()
    return 0

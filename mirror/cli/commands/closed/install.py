"""``mirror install``: verify a bundle and install all of it, without network and without root."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mirror.cli.caller import spoken
from mirror.cli.console import Console, out, print_json
from mirror.cli.deltas import made_of_delta
from mirror.cli.options import fingerprint
from mirror.cli.parsing import add_bundle_argument
from mirror.closed.install import Installed, Neighbour, Options, install
from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.numbered import read_stack
from mirror.closed.warm.layer import Added, add_layer
from mirror.core.kinds import KINDS
from mirror.core.policy.document import read_policy
from mirror.core.trust.truststore import TrustStore
from mirror.core.words import counted, utc

_DESCRIPTION = """\
Verify a bundle and install it: Python, wheels and the CUDA toolchain, tested at the end, without network and without
root.

It goes to PREFIX/gens/..., and PREFIX/current is switched to it in one step when all of it is there and works. If anything
stops it, what was current before stays current. Running it again with the same bundle verifies this copy of it and changes
nothing. With --prepare all of this is done but the switch, which 'mirror activate' does later: on several hosts, when all of
them are prepared (mirror help site). With --repair, a damaged generation is replaced by a new one; programs that run keep
theirs.
"""

_EPILOG = """\
The first time on a host, either trust the root before (mirror trust add) or confirm the one in the bundle with --fingerprint,
which you were given by another way than the bundle. Then, in any shell: . PREFIX/current/env.sh
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("install", description=_DESCRIPTION, epilog=_EPILOG)
    add_bundle_argument(parser, "the bundle; or a delta, of which the bundle is made first, beside it")
    parser.add_argument(
        "--base",
        type=Path,
        metavar="PREV",
        help="the bundle that the delta goes from (default: it is looked for beside it, under whatever name)",
    )
    parser.add_argument(
        "--prefix", type=Path, metavar="DIR", help="where to (default: ~/.local/share/mirror/ and the stack's name)"
    )
    parser.add_argument(
        "--python", type=Path, metavar="FILE", help="the Python to make the venv from (default: one that fits)"
    )
    parser.add_argument(
        "--fingerprint",
        type=fingerprint,
        metavar="HEX",
        help="trust the bundle's root if it has this sha256",
    )
    parser.add_argument(
        "--allow-older",
        default="",
        metavar="REASON",
        help="install it although a newer one was; the reason is kept in the receipt and in the prefix's history",
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--prepare", action="store_true", help="install and test it, and leave current what is")
    way.add_argument(
        "--repair",
        action="store_true",
        help="check what was installed from this bundle, and build it anew beside if a file of it is damaged",
    )
    parser.add_argument(
        "--cache", type=Path, metavar="LAYER", help="then add a layer of compiled kernels, as 'mirror cache add' does"
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help="refuse what this policy.toml does not allow")
    parser.add_argument("-j", "--jobs", type=int, default=0, metavar="N", help="wheels to install at once")
    parser.add_argument("--json", action="store_true", help="print the receipt as JSON")


def run(args: argparse.Namespace) -> int:
    store = TrustStore.default()
    options = Options(
        made_of_delta(args.bundle, args.base, args.volumes, store) or args.bundle,
        args.prefix,
        args.python,
        args.fingerprint or "",
        max(0, args.jobs),
        args.allow_older,
        read_policy(args.policy) if args.policy else None,
        args.repair,
        args.prepare,
        tuple(args.volumes),
    )
    installed = install(options, store, progress=Console())
    added = _added(args.cache, installed) if args.cache else None
    if args.json:
        print_json({**_document(installed), **({"cache": added.to_dict()} if added else {})})
    else:
        out("\n".join(_sentences(installed, args.prefix)))
        if args.prepare and not installed.is_current:
            name = Path(installed.receipt.generation).name
            out(f"make it current with:  {spoken(f'mirror activate {_where(installed, args.prefix)} {name}')}")
        if added:
            out(f"added {counted(len(added.layer.files), 'file')} of compiled kernels, in {added.directory}")
        if installed.is_current:
            out(f"use it with:  . {shlex.quote(str(installed.prefix / 'current' / 'env.sh'))}")
    return 0


def _added(layer: Path, installed: Installed) -> Added:
    """Add a layer to what was installed; where that fails, what was installed stays."""
    prefix = Prefix(installed.prefix)
    generation = read_stack(prefix).named(Path(installed.receipt.generation).name)
    return add_layer(layer, generation, prefix, TrustStore.default(), os.environ, Console())


def _document(installed: Installed) -> dict[str, Any]:
    soundness = installed.soundness.to_dict() if installed.soundness else None
    own = {"prefix": str(installed.prefix), "was_installed": installed.was_installed, "number": installed.number}
    others = {"before": installed.before, "current": installed.current}
    told = {key: vars(other) if other else None for key, other in others.items()}
    found = {"repair": soundness, **told, "damaged": list(installed.damaged)}
    return {**installed.receipt.summary(), **own, "is_current": installed.is_current, **found}


def _where(installed: Installed, prefix: Path | None) -> str:
    """The stack, as a command is told it."""
    return f"--prefix {shlex.quote(str(installed.prefix))}" if prefix else installed.receipt.name


def _sentences(installed: Installed, prefix: Path | None) -> Iterator[str]:
    receipt, soundness = installed.receipt, installed.soundness
    this = f"{receipt.name}, locked {utc(receipt.sequence)}, generation {installed.number} of {installed.prefix}"
    current = " and current" if installed.is_current else ""
    if soundness and installed.was_installed:
        yield f"nothing to repair: {soundness.checked} files of {this}, are as they were installed"
    elif installed.was_installed:
        was = "was installed already" if installed.before else "is installed already"
        yield f"the bundle is intact; {this}, {was}{'' if installed.before else current}"
        yield f"whether what is installed is intact was not looked at:  {spoken('mirror status --check')} does"
    elif soundness:
        yield f"repaired {this}: built anew from the bundle{current}, for {_were(len(soundness.damages))} damaged"
        yield f"{Path(receipt.repairs).name} stays for what runs from it, until {spoken('mirror gc')} removes it"
    else:
        done = "installed" if installed.is_current else "prepared"
        yield f"{done} {this}{current}: Python {receipt.python_version}, {', '.join(_parts(installed))}"
    if installed.before and (installed.was_installed or installed.before.was_chosen):
        yield from _switched(installed.before, installed.number)
    yield from (f"note: {spoken(line)}" for line in installed.damaged)
    if soundness and installed.current:
        yield from _current(installed.current, f"mirror status --check {_where(installed, prefix)}")


def _switched(before: Neighbour, number: int) -> Iterator[str]:
    yield f"switched current from generation {before.number} to {number}"
    if before.was_chosen:
        reason = f", which was for: {before.reason}" if before.reason else ""
        yield f"this undoes the rollback to generation {before.number}{reason}"


def _current(current: Neighbour, check: str) -> Iterator[str]:
    """What is current, where a repair was of another one."""
    source = f"{current.name or 'a bundle'}, locked {utc(current.sequence)}"
    yield f"but current is another one: generation {current.number}, of {source}; this repaired nothing of it"
    what = "what else of it is damaged" if current.problem else f"whether generation {current.number} is intact"
    yield f"{what} was not looked at:  {spoken(check)}"


def _parts(installed: Installed) -> Iterator[str]:
    receipt = installed.receipt
    counts = dict(receipt.counts)
    for kind in KINDS:
        if not kind.is_installers and kind.name in counts:
            yield kind.counted(counts[kind.name]) + (f" by {receipt.installer}" if kind.is_project else "")


def _were(count: int) -> str:
    return f"{counted(count, 'file')} {'was' if count == 1 else 'were'}"

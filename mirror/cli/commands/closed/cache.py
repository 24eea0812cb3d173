"""``mirror cache``: carry compiled kernels from one host to others, and tell what was compiled since."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mirror.cli.caller import spoken
from mirror.cli.commands.review.approve import signing_with
from mirror.cli.console import Console, human_bytes, out, print_json, shown, tell
from mirror.cli.options import Action, add_actions, add_stack_arguments
from mirror.closed.prefix.generations import Generation, NoSuchGeneration, Prefix
from mirror.closed.prefix.numbered import read_stack
from mirror.closed.prefix.status import choose_prefix, current_generation
from mirror.closed.warm.carried import open_layer
from mirror.closed.warm.document import Key, Layer
from mirror.closed.warm.layer import LayerDamaged, add_layer, check_layer, remove_layer
from mirror.closed.warm.packing import check_layer_output, pack_layer
from mirror.closed.warm.private import State, fill, read_state
from mirror.closed.warm.programs import is_compiled, program_of
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import REVIEW
from mirror.core.words import counted, utc

_DESCRIPTION = """\
Carry what a server compiled at its first start to other hosts, so that their first start is a warm one. On a host with the
GPU, as the user who ran the server: `mirror cache pack` writes the caches of the current generation into one signed file, a
layer. On each other host, as the owner of the prefix: `mirror cache add` verifies it as `mirror install` verifies a bundle,
and puts it into the generation. There every user has it: `mirror run` and env.sh copy it into their own caches at the first
use, and what programs compile after that is theirs. `mirror cache status` tells what was compiled since: nothing, when every
kernel came from the layer. A layer is code, and fits one bundle at one path on one model of GPU: what differs is named.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("cache", description=_DESCRIPTION)
    add_actions(
        parser,
        Action("pack", "write your caches of the current generation into a signed file", _declare_pack, _pack),
        Action("add", "put a layer into the current generation", _declare_add, _add),
        Action("show", "list what is in a layer, for whoever approves it", _declare_show, _show),
        Action("status", "tell what was compiled since the layer was copied", _declare_status, _status),
        Action(
            "fill",
            "copy the layer into your caches, as 'mirror run' and env.sh do at the first use",
            _declare_fill,
            _fill,
        ),
        Action("remove", "take the layer of the current generation away", _declare_remove, _remove),
    )


def _declare_pack(parser: argparse.ArgumentParser) -> None:
    """Write what programs compiled for the current generation, as this user's caches hold it, into one file, signed with
    the key of a builder: a layer. Start the server first, with 'mirror run' and the settings that it is served with, and
    let it answer; then pack, under the same VLLM_ variables. Locks, logs, models and build directories stay behind. Whoever
    else has to sign does so as with a bundle: 'mirror approve FILE'."""
    add_stack_arguments(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: NAME.warm.tar")
    parser.add_argument(
        "--key",
        type=Path,
        required=True,
        metavar="KEY",
        help="a builder's key: its file, or NAME.pub of one that an ssh agent holds, forwarded with 'ssh -A' as well",
    )


def _declare_add(parser: argparse.ArgumentParser) -> None:
    """Verify a layer, compare what it depends on with this generation and host, and put it into the current generation, in
    place of one that is there. For the owner of the prefix; every user has it then."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the layer")
    add_stack_arguments(parser)


def _declare_show(parser: argparse.ArgumentParser) -> None:
    """Check a layer's signatures and every byte, tell what it depends on, and list each file of it with its program, size
    and sha256. Files marked 'code' are compiled: they will run. The others are sources, notes and lists."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the layer")


def _declare_status(parser: argparse.ArgumentParser) -> None:
    """Tell whether the current generation has a layer, whether it fits this host, and what programs have compiled for this
    user since it was copied, by program: nothing, when every kernel came from the layer. With --check every file of the
    layer is compared with its digest. Nothing is changed."""
    add_stack_arguments(parser)
    parser.add_argument("--check", action="store_true", help="read all files of the layer")


def _declare_fill(parser: argparse.ArgumentParser) -> None:
    """Copy the generation's layer into this user's caches, unless that was done. Nothing that is there is replaced."""
    add_stack_arguments(parser)
    parser.add_argument("--generation", metavar="N", help="another than the current one: its number or name")


def _declare_remove(parser: argparse.ArgumentParser) -> None:
    """Take the layer of the current generation away. What users have copied stays theirs."""
    add_stack_arguments(parser)


def run(args: argparse.Namespace) -> int:
    code: int = args.act(args)
    return code


def _current(args: argparse.Namespace) -> tuple[Prefix, Generation]:
    prefix = choose_prefix(args.name, args.prefix)
    return prefix, current_generation(prefix)


def _pack(args: argparse.Namespace) -> int:
    _, generation = _current(args)
    name = generation.path.parents[1].name if not args.output else ""
    output = args.output or Path(f"{name}.warm.tar")
    check_layer_output(output)
    sign = signing_with(args.key)
    made = pack_layer(generation, os.environ, TrustStore.default(), sign, output, int(time.time()), Console())
    if args.json:
        print_json(made.to_dict())
        return 0
    out(f"{made.path}  {human_bytes(made.path.stat().st_size)}, signed by {', '.join(made.signers)}")
    out(f"  sha256     {made.sha256}")
    for line in _key_lines(made.layer.key):
        out(f"  {line}")
    for line in _counts("compiled", made.layer.compiled):
        out(f"  {line}")
    if made.left_out:
        out(
            f"  note       {counted(len(made.left_out), 'binary file')} left out: they name this cache directory by a path "
            "that is too long, or through a link"
        )
    out(
        spoken(
            f"  next       carry it, and 'mirror cache add {made.path.name}' on each host; 'mirror cache show' lists it"
        )
    )
    return 0


def _add(args: argparse.Namespace) -> int:
    prefix, generation = _current(args)
    made = add_layer(args.file, generation, prefix, TrustStore.default(), os.environ, Console())
    verb = "was there already" if made.was_there else "added"
    lines = [
        f"{verb}: {counted(len(made.layer.files), 'file')}, {human_bytes(made.layer.size)}, in {made.directory}",
        f"  signed by  {', '.join(made.signers)}, packed {utc(made.layer.packed)}",
        *(f"  note       {shown(note)}" for note in made.notes),
    ]
    tell(args, made.to_dict(), lines)
    return 0


def _show(args: argparse.Namespace) -> int:
    store = TrustStore.default()
    with open_layer(args.file, store, REVIEW, Console()) as carried:
        carried.check(Console())
        layer = carried.layer
        tallies = {one.role: list(one.signed) for one in carried.signers.tallies}
    files = [{**one.to_dict(), "program": program_of(one.path), "code": is_compiled(one.path)} for one in layer.files]
    facts = {"key": layer.key.to_dict(), "packed": layer.packed, "signers": tallies, "files": files}
    tell(args, facts, _show_lines(layer, tallies))
    return 0


def _show_lines(layer: Layer, signers: Mapping[str, list[str]]) -> Iterator[str]:
    yield f"a layer for {layer.key.stack}, packed {utc(layer.packed)}"
    for role, names in signers.items():
        yield f"  {role + ':':<10} {', '.join(names) or 'nobody'}"
    yield from (f"  {line}" for line in _key_lines(layer.key))
    for one in layer.files:
        kind = "code" if is_compiled(one.path) else "    "
        yield f"{kind}  {program_of(one.path):<14} {human_bytes(one.size):>10}  {one.sha256}  {shown(one.path)}"


def _key_lines(key: Key) -> Iterator[str]:
    yield f"{'bundle':<10} {key.bundle[:12]} of {key.stack}, in {shown(key.generation)}"
    yield f"{'Python':<10} {key.python}, {key.arch}" + (f", glibc {key.glibc} or newer" if key.glibc else "")
    yield f"{'GPU':<10} {shown(', '.join(key.gpus)) or 'none was seen'}" + (
        f", driver {key.driver}" if key.driver else ""
    )
    if key.variables:
        yield f"{'variables':<10} {shown(', '.join(f'{name}={value}' for name, value in key.variables))}"


def _counts(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    told = ", ".join(f"{program} {count}" for program, count in counts.items())
    yield f"{title:<10} {counted(sum(counts.values()), 'object')}" + (f": {told}" if told else "")


def _status(args: argparse.Namespace) -> int:
    _, generation = _current(args)
    state = read_state(generation, os.environ)
    problems = list(check_layer(generation, Console())) if args.check else []
    facts = {**state.to_dict(), "problems": problems if args.check else None}
    tell(args, facts, _state_lines(state, problems, args.check))
    if problems:
        raise LayerDamaged(str(state.directory), tuple(problems[:10]))
    return 0


def _state_lines(state: State, problems: list[str], is_checked: bool) -> Iterator[str]:
    yield f"generation {state.generation.name} in {state.generation.parents[1]}"
    if state.layer is None:
        yield spoken("  layer      none: 'mirror cache add' adds one")
    else:
        yield f"  layer      {state.directory.name if state.directory else ''}, packed {utc(state.layer.packed)}"
        yield from (f"  {line}" for line in _key_lines(state.layer.key))
        yield from (f"  {line}" for line in _counts("brings", state.layer.compiled))
        if is_checked and not problems:
            yield f"  checked    all {len(state.layer.files)} files are as they were added"
        yield from (f"  differs    {shown(one)}" for one in state.faults)
        yield from (f"  note       {shown(one)}" for one in state.notes)
    yield f"  caches     {state.place}"
    if state.layer is not None:
        yield f"  copied     {utc(state.copied) if state.copied is not None else 'not yet: the first use does'}"
    since = "since then" if state.copied is not None else "all of it by programs here"
    yield from (f"  {line}, {since}" for line in _counts("compiled", state.compiled))
    if state.changed:
        yield f"  changed    {counted(len(state.changed), 'file')} that the layer brought"


def _fill(args: argparse.Namespace) -> int:
    prefix = choose_prefix(args.name, args.prefix)
    generation = read_stack(prefix).named(args.generation) if args.generation else current_generation(prefix)
    filled = fill(generation, os.environ)
    if filled is None:
        raise NoSuchGeneration(str(prefix.root), f"layer of compiled kernels for {generation.name}", ())
    facts = {"caches": str(filled.place), "files": filled.files, "notes": filled.notes}
    copied = f"copied {counted(filled.files, 'file')} to {filled.place}"
    what = copied if filled.files else f"{filled.place} has them already"
    tell(args, facts, [what, *(f"note: {shown(note)}" for note in filled.notes)])
    return 0


def _remove(args: argparse.Namespace) -> int:
    prefix, generation = _current(args)
    found = remove_layer(generation, prefix)
    tell(args, {"removed": str(found) if found else None}, [f"removed {found}" if found else "there was none"])
    return 0

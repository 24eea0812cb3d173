"""``mirror status``: what is installed, which generation is current, and whether it still is what was installed."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Tuple

from mirror.cli.caller import spoken
from mirror.cli.console import Console, human_bytes, out, print_json, shown, tell
from mirror.closed.environment.variables import GenerationDamaged
from mirror.closed.prefix.comparison import Comparison, HostsDiffer, compare, read_host_statuses
from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.numbered import read_stack
from mirror.closed.prefix.status import Listed, Status, choose_prefix, choose_prefixes, current_generation, read_status
from mirror.closed.remedy import remedies
from mirror.closed.silence.record import Note, read_notes
from mirror.closed.soundness import EXPOSED, MOVED, UNREADABLE, Soundness, check_generation
from mirror.closed.upgrade_check import unmet_today
from mirror.closed.warm.layer import LINK, LayerDamaged, check_layer
from mirror.core.errors import MirrorError, Unreadable
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import expiring
from mirror.core.words import counted

_DESCRIPTION = """\
Show what is installed: one stack, by its name, its prefix or the env.sh that was sourced, else every stack in the default
place. The number of a generation is what 'rollback --to' takes; it stays the same for ever. With --check every file of the
current generation is read and compared with what was installed: what is missing, changed or not known is named, with the
package that it belongs to, and what others than the owner may write. Compiled bytecode (.pyc) is not judged.
Nothing is changed.

With --compare, files are read that 'mirror status --json' wrote on several hosts, HOST.json each, and the hosts are named that
have not what most of them have.
"""

_Layers = Mapping[Generation, Tuple[str, ...]]
"""What is wrong with the layer of compiled kernels in each generation; nothing where there is none."""

_SHOWN = 10
"""How many files of a damaged layer are named."""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "status",
        description=_DESCRIPTION,
        epilog=f"Exit code of --check: 0, or {GenerationDamaged.exit_code} when a generation is damaged; of --compare: 0, or "
        f"{HostsDiffer.exit_code} when hosts differ.",
    )
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="the stack's name (default: all)")
    parser.add_argument("--prefix", type=Path, metavar="DIR", help="where it is, if not in the default place")
    parser.add_argument("--check", action="store_true", help="compare the current generation with what was installed")
    parser.add_argument("--all", action="store_true", help="with --check: every generation, not the current one alone")
    parser.add_argument(
        "--compare",
        type=Path,
        nargs="+",
        default=[],
        metavar="HOST.json",
        help="compare what several hosts have installed",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    if args.all and not args.check:
        args.parser.error("--all is for --check: 'status' alone lists every generation")
    if args.compare:
        if args.name or args.prefix or args.check:
            args.parser.error(
                "--compare reads files alone: a stack, --prefix and --check are for the hosts' own 'status'"
            )
        return _compare(args)
    prefixes = choose_prefixes(args.name, args.prefix) or (choose_prefix(),)  # which says that there is none
    statuses = [read_status(prefix) for prefix in prefixes]
    found = [_check(prefix, args.all) for prefix in prefixes] if args.check else [[] for _ in prefixes]
    layers: dict[Generation, tuple[str, ...]] = {}
    unknown: dict[Generation, Unreadable] = {}
    for one in (one for checks in found for one in checks):
        try:
            layers[one.generation] = check_layer(one.generation, Console())
        except Unreadable as exc:  # after what was found is shown
            layers[one.generation], unknown[one.generation] = (str(exc),), exc
    spoilt = {generation: problems for generation, problems in layers.items() if problems and generation not in unknown}
    notes = _notes_on_root()
    if args.json:
        told = [_document(one, checks, layers if args.check else None) for one, checks in zip(statuses, found)]
        print_json({"stacks": told, "notes": list(notes)})
    else:
        out("\n\n".join("\n".join(_lines(one, checks, layers)) for one, checks in zip(statuses, found)))
        for note in notes:
            out(f"note: {spoken(note)}")
    damaged = [check for checks in found for check in checks if check.damages]
    if damaged:
        _say_what_to_do(damaged)
        return GenerationDamaged.exit_code
    if spoilt:
        generation, problems = next(iter(spoilt.items()))
        raise LayerDamaged(str(generation.path / LINK), problems[:_SHOWN])
    for problem in unknown.values():
        raise problem
    return 0


def _notes_on_root() -> tuple[str, ...]:
    """What will soon be untrusted; nothing where nobody can tell, for what is installed can be shown all the same."""
    with contextlib.suppress(MirrorError):
        return expiring(TrustStore.default().load_root())
    return ()


def _compare(args: argparse.Namespace) -> int:
    comparison = compare(read_host_statuses(args.compare))
    tell(args, comparison.to_dict(), _compared(comparison), "status-compare")
    comparison.enforce()
    return 0


def _compared(comparison: Comparison) -> Iterator[str]:
    alike = len(comparison.hosts) - len(comparison.differing)
    yield f"{alike} of {counted(len(comparison.hosts), 'host')} have the same:"
    for name, facts in comparison.common.items():
        yield f"  {shown(name)}: {shown(', '.join(f'{fact} {value}' for fact, value in facts.items()))}"
    for one in comparison.differences:
        where = f"{one.stack}: " if one.stack else ""
        fact = "" if one.fact == "state" else f"{one.fact} "
        yield f"{shown(one.host)}: {shown(f'{where}{fact}{one.here}; elsewhere {one.elsewhere}')}"
    if comparison.unchecked:
        hosts = shown(", ".join(comparison.unchecked))
        yield f"note: whether files are damaged was not checked on {hosts}: {spoken('mirror status --check --json')} does"


def _check(prefix: Prefix, every: bool) -> list[Soundness]:
    """The generations that are to be checked: one that lost its mark while ``current`` points to it is damaged, not absent."""
    pointed = prefix.pointed_to()
    chosen = list(read_stack(prefix).generations) if every else []
    if pointed and pointed.path.is_dir() and pointed not in chosen:
        chosen.append(pointed)
    if not chosen:
        chosen.append(current_generation(prefix))  # which says that none is
    return [check_generation(generation, Console()) for generation in chosen]


def _document(status: Status, checks: list[Soundness], layers: _Layers | None) -> dict[str, Any]:
    document = status.to_dict()
    for one, entry in zip(status.generations, document["generations"]):
        entry["silence"] = list(map(vars, _notes(one)))
        entry["unmet"] = list(unmet_today(one.generation, TrustStore.default()))
    if layers is None:
        return document
    told = [
        {**check.to_dict(), "id": check.generation.name, "layer": list(layers[check.generation])} for check in checks
    ]
    return {**document, "checks": told}


def _lines(status: Status, checks: Iterable[Soundness], layers: _Layers) -> Iterator[str]:
    names = sorted({one.receipt.name for one in status.generations if one.receipt})
    yield " ".join([*names, "in", str(status.prefix)])
    for one in status.generations:
        yield from _generation(one, one.generation.name == status.current)
    yield from (f"  {name}  unfinished" for name in status.unfinished)
    if not status.current:
        yield f"  none is current; '{spoken('mirror rollback')}' makes the newest whole one so"
    if status.history_problem:
        yield f"warning: the history is damaged, and numbers may be others than before: {shown(status.history_problem)}"
    for check in checks:
        yield from _checked(check)
        problems = layers[check.generation]
        yield from (f"layer      {shown(problem)}" for problem in problems[:_SHOWN])
        if len(problems) > _SHOWN:
            yield f"layer      and {len(problems) - _SHOWN} more"


def _generation(one: Listed, is_current: bool) -> Iterator[str]:
    receipt = one.receipt
    locked = time.strftime("%Y-%m-%d", time.gmtime(one.generation.identity.sequence))
    facts = [f"locked {locked}"]
    if receipt:
        facts.append(f"installed {_moment(receipt.installed)}")
        if receipt.python_version:  # a stack of data alone has none
            facts.append(f"Python {receipt.python_version}")
    yield f"{'*' if is_current else ' '} {one.number}  {', '.join([*facts, human_bytes(one.size)])}"
    yield f"     {one.generation.name}" + ("  (current)" if is_current else "")
    if receipt is None:
        yield f"     its receipt cannot be used: {one.problem}"
        yield from (f"     {spoken(step)}" for step in remedies(one.generation, TrustStore.default()))
        yield from _refused(one)
        return
    builders = [name for name in receipt.signers if name not in receipt.approvers]
    approved = f", approved by {', '.join(receipt.approvers)}" if receipt.approvers else ""
    yield f"     signed by {', '.join(builders or receipt.signers)}{approved}"
    yield from _refused(one)
    yield from (f"     {line}" for line in _why(one, receipt.allowed_older, receipt.repairs))
    yield from (f"     {check}" for check in receipt.checks if check.detail)
    yield from (f"     {_silence(note)}" for note in _notes(one)[:1])


def _refused(one: Listed) -> Iterator[str]:
    if unmet := unmet_today(one.generation, TrustStore.default()):
        yield f"     today's root would refuse its bundle: it {'; it '.join(unmet)}"


def _notes(one: Listed) -> tuple[Note, ...]:
    """What was noted of silence; nothing of a file that cannot be read, which decides nothing."""
    with contextlib.suppress(MirrorError):
        return read_notes(one.generation.path)
    return ()


def _silence(note: Note) -> str:
    tried = counted(note.tried, "address or name", "addresses and names") if note.tried else "calls that cannot be read"
    what = "silent" if note.silent else f"not silent ({tried})"
    where = ", ".join(shown(one) for one in (*note.gpus, f"driver {note.driver}" if note.driver else "no driver"))
    return f"{what} on {_moment(note.at)}, {where}, by {note.way}: {shown(shlex.join(note.command))}"


def _why(one: Listed, allowed_older: str, repairs: str) -> Iterator[str]:
    """What is out of the ordinary about a generation."""
    if allowed_older:
        yield f"installed although a newer one had been: {allowed_older}"
    if repairs:
        yield f"built to repair {repairs}"
    if one.is_prepared:
        stack = one.receipt.name if one.receipt else "NAME"
        yield f"prepared; to make it current:  {spoken('mirror activate')} {stack} {one.generation.name}"
    if one.replaced_by:
        yield f"damaged; generation {one.replaced_by} was built to repair it"
    if one.last and one.last.action in ("rolled-back", "made-current"):
        reason = f": {one.last.reason}" if one.last.reason else ""
        how = " by a rollback" if one.last.action == "rolled-back" else ""
        yield f"made current {_moment(one.last.at)}{how}{reason}"


def _moment(when: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(when))


def _checked(check: Soundness) -> Iterator[str]:
    name = check.generation.name
    for damage in check.damages:
        whose = f"of {damage.owner or 'no package'}"
        whose = {MOVED: f"was installed as {damage.owner}", EXPOSED: damage.owner}.get(damage.kind, whose)
        yield f"{damage.kind:<10} {shown(str(check.generation.path / damage.path))} ({whose})"
    yield from (f"unchecked  {reason}" for reason in check.unchecked)
    if check.damages and all(damage.kind == UNREADABLE for damage in check.damages):
        yield f"{name}: {len(check.damages)} of {counted(check.checked, 'file')} could not be read; no other damage was found"
    elif check.damages and all(damage.kind == EXPOSED for damage in check.damages):
        yield f"{name}: others may write {counted(len(check.damages), 'place')} in it; no other damage was found"
    elif check.damages:
        yield f"{name} is damaged: {len(check.damages)} of {counted(check.checked, 'file')} not as installed"
    elif check.unchecked:
        yield f"{name}: no damage was found, but not all of it could be checked"
    else:
        yield f"{name} is whole: all {check.checked} files are as they were installed"


def _say_what_to_do(damaged: Sequence[Soundness]) -> None:
    kinds = frozenset(damage.kind for check in damaged for damage in check.damages)
    what = {
        frozenset({UNREADABLE}): "could not be read whole, and may be as it was",
        frozenset({EXPOSED}): "may be written by others than its owner",
    }.get(kinds, "damaged")
    print(f"error: {what}: {', '.join(check.generation.name for check in damaged)}", file=sys.stderr)
    exposed = [check for check in damaged if any(damage.kind == EXPOSED for damage in check.damages)]
    steps = [
        f"'chmod -R go-w {shlex.quote(str(check.generation.path))}' takes from others the right to write; who had it may have "
        "changed what runs and its digests alike."
        for check in exposed
    ]
    hints = dict.fromkeys(
        [*steps, *(step for check in damaged for step in remedies(check.generation, TrustStore.default()))]
    )
    print(f"hint: {spoken(' '.join(hints))}", file=sys.stderr)
    print(f"ref: {GenerationDamaged.ref}", file=sys.stderr)

"""``mirror doctor``: what is wrong with this host and the stack on it, why, the proof, and what to do."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mirror.cli.console import Console, is_verbose, print_json
from mirror.cli.findings import explained, told
from mirror.cli.options import add_stack_arguments
from mirror.closed.doctor.checkup import Checkup, ProblemsFound, examine
from mirror.closed.doctor.here import looks
from mirror.closed.doctor.page import page
from mirror.closed.doctor.trial import context_of
from mirror.closed.environment.variables import Environment, GenerationDamaged, load_environment
from mirror.closed.prefix.generations import Generation
from mirror.closed.prefix.receipt import Receipt, read_receipt
from mirror.closed.prefix.status import AmbiguousStack, NoneCurrent, NothingInstalled, choose_prefix, current_generation
from mirror.closed.remedy import remedies
from mirror.core.errors import MirrorError
from mirror.core.logs.explained.explanation import Explanation
from mirror.core.logs.explained.log import explain_stream
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, WARNING, About, Finding
from mirror.core.logs.logtext import open_log
from mirror.core.trust.truststore import TrustStore


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "doctor",
        description="Look at this host and at the stack that is installed on it: driver and GPUs, the calling shell, disks, "
        "compilers, the toolkit, versions that must agree, libraries and the GPUs they are for, stale caches; then compare "
        "every file with what was installed, and run the self-test. Each finding comes with its cause, its proof and the next "
        "step. Nothing is changed, nothing touches the network. --verbose prints what is good, too. "
        f"Exit code: 0, or {ProblemsFound.exit_code} when there is a problem.",
    )
    add_stack_arguments(parser)
    parser.add_argument("--log", metavar="FILE", help="explain a server's log instead; '-' for standard input")
    parser.add_argument("--quick", action="store_true", help="leave out comparing the files and the self-test")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print it as JSON")
    form.add_argument(
        "--page", action="store_true", help="print one page of plain text for an issue, without names and secrets"
    )


def run(args: argparse.Namespace) -> int:
    if args.log is not None and not args.page:
        return _explain(args)
    try:
        environment, receipt, first = _load(_generation(args.name, args.prefix))
    except AmbiguousStack as exc:
        if args.log is None:
            raise
        environment, receipt, first = None, None, [_not_looked_at(exc.names, "--page --log", args.log)]
    explanation = _explained(args.log, environment) if args.log is not None else None
    checkup = examine(environment, os.environ, receipt, args.quick or args.page, Console())
    checkup = Checkup(checkup.facts, (*first, *checkup.findings))
    if args.page:
        print("\n".join(page(checkup, int(time.time()), explanation.error if explanation else "")))
    elif args.json:
        print_json({
            "stack": environment.manifest.name if environment else "",
            "generation": str(environment.generation) if environment else "",
            "findings": [finding.to_dict() for finding in checkup.findings],
        })  # fmt: skip
    else:
        _print_findings(checkup.findings, is_verbose())
    return _code(checkup.findings)


def _explain(args: argparse.Namespace) -> int:
    """Explain a log; of which stack it is need not be known for that."""
    environment: Environment | None = None
    stacks: tuple[str, ...] = ()
    try:
        environment = _load(_generation(args.name, args.prefix))[0]
    except AmbiguousStack as exc:
        stacks = exc.names
    explanation = _explained(args.log, environment)
    seen = looks(explanation.findings, os.environ, environment)
    if stacks and _code(explanation.findings):
        seen = (_not_looked_at(stacks, "--log", args.log),)
    if args.json:
        print_json({**explanation.to_dict(), "here": [finding.to_dict() for finding in seen]}, "doctor-log")
    else:
        print("\n".join(explained(explanation, seen, sys.stdout)))
    return _code(explanation.findings)


def _not_looked_at(names: tuple[str, ...], option: str, log: str) -> Finding:
    """Of which stack a log is need not be known to explain it."""
    return About("stack").note(
        f"{', '.join(names)} are installed, and which of them the log is of was not said; none of them is looked at",
        cause="what is looked at depends on the stack",
        proof="mirror status",
        fix=f"mirror doctor {names[0]} {option} {shlex.quote(log)}",
    )


def _generation(name: str, prefix: Path | None) -> Generation | None:
    """The current generation of what was named; None when nothing was named and nothing is installed."""
    try:
        return current_generation(choose_prefix(name, prefix))
    except NothingInstalled as exc:
        if name or prefix or isinstance(exc, NoneCurrent):
            raise
        return None


def _load(generation: Generation | None) -> tuple[Environment | None, Receipt | None, list[Finding]]:
    """What a generation says of itself, and what is to be told when that cannot be read."""
    if generation is None:
        note = About("stack").note(
            "nothing is installed; only the host is looked at",
            cause="no stack was installed by you, or it is under another prefix",
            proof="mirror status",
            fix="name it, or its --prefix; 'mirror install' installs a bundle",
        )
        return None, None, [note]
    try:
        return load_environment(generation), read_receipt(generation), []
    except MirrorError as exc:
        finding = About("stack").problem(
            f"{exc}; only the host is looked at",
            cause="it was altered, or made by an older version of mirror",
            proof=str(generation.path),
            fix=_remedy(generation),
        )
        return None, None, [finding]


def _remedy(generation: Generation) -> str:
    try:
        words = " ".join(remedies(generation, TrustStore.default()))
    except MirrorError:  # the prefix cannot be read either
        return GenerationDamaged.hint
    return f"'mirror status --check' tells what else is damaged. {words}"


def _explained(log: str, environment: Environment | None) -> Explanation:
    context = context_of(environment)
    if log == "-":
        return explain_stream(sys.stdin.buffer, context)
    with open_log(Path(log)) as stream:
        return explain_stream(stream, context)


def _code(findings: Iterable[Finding]) -> int:
    return ProblemsFound.exit_code if any(finding.level == PROBLEM for finding in findings) else 0


def _print_findings(findings: tuple[Finding, ...], verbose: bool) -> None:
    for level in (PROBLEM, WARNING, NOTE):
        for finding in findings:
            if finding.level == level:
                print("\n".join(told(finding, sys.stdout)))
    good = [finding for finding in findings if finding.level == GOOD]
    if verbose:
        print("\n".join(line for finding in good for line in told(finding, sys.stdout)))
    print(f"{len(good)} things are good" + ("" if verbose else " (--verbose lists them)"))

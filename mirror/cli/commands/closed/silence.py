"""``mirror silence``: run a command, and list what it tried to reach."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mirror.cli.console import Console, tell
from mirror.cli.options import SOURCED, add_command_words, words_of
from mirror.closed.environment.variables import load_environment
from mirror.closed.prefix.status import choose_prefix, current_generation
from mirror.closed.preflight import check_owner
from mirror.closed.silence.record import prove, write_note
from mirror.closed.silence.watching import BLIND, NotSilent, Watched, watch
from mirror.closed.warm.private import fill_or_tell
from mirror.core.errors import MirrorError
from mirror.core.words import counted


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "silence",
        usage="mirror silence [-h] [--json] [--record [--prefix DIR]] [NAME] -- COMMAND [ARGUMENT ...]",
        description="Run a command and list what it and all that it starts tried to reach: every address and port outside "
        "loopback, by TCP, by UDP, also a UDP socket that is connected and sends nothing, and every name that was asked for. "
        "Nothing is kept from it. The kernel tells of each call (seccomp), or strace where it does not; the result says which "
        "it was, and what that cannot see. The command's output goes to stderr; Ctrl-C ends it, and the list comes then; what "
        "it leaves running is ended. Example:  mirror silence -- mirror run -- vllm serve /models/llama\n\nWith --record the "
        "command is run as 'mirror run' would, and what was seen is noted beside the receipt of what is current, for 'mirror "
        "status': when, on which GPUs and driver. Example:  mirror silence --record -- vllm serve /models/llama",
        epilog=f"Exit code: the command's own when it was silent, or {NotSilent.exit_code} ({NotSilent.ref}).",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument(
        "--record", action="store_true", help="run it in the installed stack, and note there what was seen"
    )
    parser.add_argument("--prefix", type=Path, metavar="DIR", help="with --record: where the stack is")
    add_command_words(parser, f"with --record, the stack's name (default: {SOURCED}); and what to run")


def run(args: argparse.Namespace) -> int:
    name, command = words_of(args.words)
    if not command:
        args.parser.error("name a command after --")
    if (name or args.prefix) and not args.record:
        args.parser.error("a stack is named with --record; without it: mirror silence -- mirror run NAME -- COMMAND")
    sys.stdout.flush()
    problem: MirrorError | None = None
    if args.record:
        prefix = choose_prefix(name, args.prefix)
        check_owner(prefix.named, "note silence in")
        generation = current_generation(prefix)
        environment = load_environment(generation)
        fill_or_tell(generation, environment, os.environ, Console())
        watched, note = prove(environment, command, os.environ)
        try:
            write_note(prefix, generation, note)
        except MirrorError as exc:  # after what was seen was told
            problem = exc
    else:
        watched = watch(command, os.environ)
    told = {"command": command, "code": watched.code, "way": watched.way, "blind": BLIND[watched.way]}
    tell(args, {**told, **watched.seen.to_dict()}, _lines(watched))
    if problem:
        raise problem
    seen = watched.seen
    if not seen.is_silent:
        raise NotSilent(len(seen.outward) + len(seen.names), watched.code)
    return watched.code


def _lines(watched: Watched) -> Iterator[str]:
    seen = watched.seen
    for name, count in seen.names.items():
        yield f"asked for  {name.name} of {name.server}, by {name.program}, {counted(count, 'time')}"
    for attempt in seen.outward:
        yield f"tried      {attempt}, by {attempt.program}, {counted(seen.attempts[attempt], 'time')}"
        if attempt.known:
            yield f"           {attempt.known}"
    yield from (f"unknown    {sentence}" for sentence in seen.unseen)
    for attempt in seen.own:
        yield f"own        {attempt}, by {attempt.program}: an address of this host, which nothing leaves"
    yield "silent: it tried to reach nothing outside this host" if seen.is_silent else "not silent"
    yield f"seen by {watched.way}, which has its limits:"
    yield from (f"  {sentence}" for sentence in BLIND[watched.way])

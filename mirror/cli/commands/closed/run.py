"""``mirror run``: run a program in the environment of what is installed."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

from mirror.cli.caller import spoken
from mirror.cli.console import Console
from mirror.cli.options import SOURCED, add_command_words, words_of
from mirror.closed.environment.launch import follow, launch
from mirror.closed.environment.variables import load_environment
from mirror.closed.prefix.exposed import USED, exposures_of
from mirror.closed.prefix.generations import Generation
from mirror.closed.prefix.status import choose_prefix, current_generation
from mirror.closed.warm.private import fill_or_tell

_AS_ASKED = (0, *(128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)))
"""Exit codes of a program that did what it was told to."""

_KILLED = {
    128
    + signal.SIGKILL: ": something killed it with SIGKILL, mostly the kernel for want of memory ('dmesg', memory.events)",
    128 + signal.SIGSEGV: ": it crashed (SIGSEGV)",
    128 + signal.SIGABRT: ": it gave up (SIGABRT)",
}


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "run",
        usage="mirror run [-h] [--explain] [--prefix DIR] [NAME] -- COMMAND [ARGUMENT ...]",
        description="Run a program as if env.sh had been sourced: the venv and the CUDA toolkit first on the path, JIT caches "
        "of this generation, nothing that asks the network. The program takes this one's place: signals and its "
        "exit code are its own. Example:  mirror run -- vllm serve /models/llama\n\nWith --explain mirror stays beside it, "
        "passes on what it says, and where it fails tells what 'mirror doctor --log' would say of its last megabyte.",
    )
    parser.add_argument(
        "--explain", action="store_true", help="where it fails, say on standard error what its last words mean"
    )
    parser.add_argument("--prefix", type=Path, metavar="DIR", help="where the stack is, if not in the default place")
    add_command_words(parser, f"the stack's name (default: {SOURCED}), and the program with its arguments")


def run(args: argparse.Namespace) -> int:
    name, command = words_of(args.words)
    if not command:
        args.parser.error("name a program after --")
    generation = current_generation(choose_prefix(name, args.prefix))
    environment = load_environment(generation)
    _warn_of_exposed(generation)
    fill_or_tell(generation, environment, os.environ, Console())
    sys.stdout.flush()
    if not args.explain:
        launch(environment, command, os.environ)
    followed = follow(environment, command, os.environ)
    if followed.code not in _AS_ASKED:
        from mirror.cli.findings import explained  # what explains takes longer to import than to start most programs
        from mirror.closed.doctor.here import looks
        from mirror.closed.doctor.trial import context_of
        from mirror.core.logs.explained.log import explain_stream

        print(
            f"\n{command[0]} ended with {followed.code}{_KILLED.get(followed.code, '')}. What its last words mean:",
            file=sys.stderr,
        )
        explanation = explain_stream(io.BytesIO(followed.last), context_of(environment))
        seen = looks(explanation.findings, os.environ, environment)
        print("\n".join(explained(explanation, seen, sys.stderr)), file=sys.stderr, flush=True)
    return followed.code


def _warn_of_exposed(generation: Generation) -> None:
    """Look at the few places that whatever is started uses; ``mirror status --check`` looks at all."""
    with contextlib.suppress(OSError):  # what cannot be told keeps nobody from starting
        for found in exposures_of(generation.path, USED):
            check = spoken("'mirror status --check'")
            Console().say(
                f"warning: {found.place} {found.problem}: whoever writes there decides what runs; {check} tells what to do"
            )
            return

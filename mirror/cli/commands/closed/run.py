"""``mirror run``: run a program in the environment of what is installed."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from mirror.cli.console import Console
from mirror.cli.options import words_of
from mirror.closed.environment.launch import launch
from mirror.closed.environment.variables import load_environment
from mirror.closed.prefix.status import choose_prefix, current_generation
from mirror.closed.warm.private import fill_or_tell


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "run",
        usage="mirror run [-h] [--prefix DIR] [NAME] -- COMMAND [ARGUMENT ...]",
        description="Run a program as if env.sh had been sourced: the venv and the CUDA toolkit first on the path, JIT caches "
        "of this generation, nothing that asks the network. The program takes this one's place: signals and its "
        "exit code are its own. Example:  mirror run -- vllm serve /models/llama",
    )
    parser.add_argument("--prefix", type=Path, metavar="DIR", help="where the stack is, if not in the default place")
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="[NAME] -- COMMAND [ARGUMENT ...]",
        help="the stack's name (default: the only one), and the program with its arguments",
    )
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    name, command = words_of(args.words)
    if not command:
        args.parser.error("name a program after --")
    generation = current_generation(choose_prefix(name, args.prefix))
    fill_or_tell(generation, os.environ, Console())
    sys.stdout.flush()
    launch(load_environment(generation), command, os.environ)
